package import ObjectModel

/// All objects of one (family, index): the unit of recovery.
package struct ObjectSlot: Hashable, Comparable, WireCodable {
    package var family: Family
    package var index: UInt32
    package init(family: Family, index: UInt32) { (self.family, self.index) = (family, index) }
    package var group: PlacementGroup { PlacementGroup(family: family, index: index) }
    package static func < (a: ObjectSlot, b: ObjectSlot) -> Bool { (a.family, a.index) < (b.family, b.index) }
    package init(from reader: inout WireReader) throws(WireError) {
        family = try reader.readValue()
        index = try reader.read()
    }
    package func encode(to writer: inout WireWriter) {
        writer.write(family)
        writer.write(index)
    }
}

/// Asks a source which slots changed since a disk left: those with an object or a removal of at least `since`.
/// The source first applies the control log up to `logIndex`, so that it refuses writers that do not know of the
/// syncing member; only then it looks. The reply is a ``Listed``.
package struct RecoveryListing: Hashable, WireCodable {
    package var receiverBoot: BootID
    package var logIndex: LogIndex
    package var since: LogIndex
    package var firstGroup: UInt16
    package var lastGroup: UInt16

    package init(receiverBoot: BootID, logIndex: LogIndex, since: LogIndex, firstGroup: UInt16, lastGroup: UInt16) {
        (self.receiverBoot, self.logIndex, self.since) = (receiverBoot, logIndex, since)
        (self.firstGroup, self.lastGroup) = (firstGroup, lastGroup)
    }

    package init(from reader: inout WireReader) throws(WireError) {
        receiverBoot = try reader.readValue()
        logIndex = try reader.readValue()
        since = try reader.readValue()
        firstGroup = try reader.read()
        lastGroup = try reader.read()
    }

    package func encode(to writer: inout WireWriter) {
        writer.write(receiverBoot)
        writer.write(logIndex)
        writer.write(since)
        writer.write(firstGroup)
        writer.write(lastGroup)
    }

    package struct Listed: Hashable, WireCodable {
        /// Ascending, without repeats.
        package var slots: [ObjectSlot]
        /// What the source, in sync, has noted of changes that a gateway may send once more, at other slots than these: there
        /// the members are equal.
        package var noted: [ReplicaRecord]
        package init(slots: [ObjectSlot], noted: [ReplicaRecord] = []) { (self.slots, self.noted) = (slots, noted) }
        package init(from reader: inout WireReader) throws(WireError) {
            slots = try reader.readArray()
            noted = try reader.readArray()
        }
        package func encode(to writer: inout WireWriter) {
            writer.write(slots)
            writer.write(noted)
        }
    }
}

/// What a replica knows of a change, and the volume that it is of.
package struct ReplicaRecord: Hashable, WireCodable {
    package var volume: Birth
    package var record: UnsettledRecord
    package init(volume: Birth, record: UnsettledRecord) { (self.volume, self.record) = (volume, record) }
    package init(from reader: inout WireReader) throws(WireError) {
        volume = try reader.readValue()
        record = try reader.readValue()
    }
    package func encode(to writer: inout WireWriter) {
        writer.write(volume)
        writer.write(record)
    }
}

/// Asks a source for everything it holds at a slot; the reply is a ``Held``.
package struct RecoverySlot: Hashable, WireCodable {
    package var receiverBoot: BootID
    package var logIndex: LogIndex
    package var slot: ObjectSlot
    /// Re-read the data and compare it with the checksums before answering.
    package var verify: Bool

    package init(receiverBoot: BootID, logIndex: LogIndex, slot: ObjectSlot, verify: Bool) {
        (self.receiverBoot, self.logIndex, self.slot, self.verify) = (receiverBoot, logIndex, slot, verify)
    }

    package init(from reader: inout WireReader) throws(WireError) {
        receiverBoot = try reader.readValue()
        logIndex = try reader.readValue()
        slot = try reader.readValue()
        verify = try reader.readBool()
    }

    package func encode(to writer: inout WireWriter) {
        writer.write(receiverBoot)
        writer.write(logIndex)
        writer.write(slot)
        writer.write(verify)
    }

    package struct Held: Hashable, WireCodable {
        package var objects: [SourceObject]
        /// Changes that some member may lack, and that may be in these objects.
        package var unsettled: [ReplicaRecord]
        /// What the source, in sync, has noted of changes that a gateway may send once more: it is in these objects, or there in part.
        package var noted: [ReplicaRecord]
        package init(objects: [SourceObject], unsettled: [ReplicaRecord], noted: [ReplicaRecord]) {
            (self.objects, self.unsettled, self.noted) = (objects, unsettled, noted)
        }
        package init(from reader: inout WireReader) throws(WireError) {
            objects = try reader.readArray()
            unsettled = try reader.readArray()
            noted = try reader.readArray()
        }
        package func encode(to writer: inout WireWriter) {
            writer.write(objects)
            writer.write(unsettled)
            writer.write(noted)
        }
    }
}

/// An object as a source holds it.
package struct SourceObject: Hashable, WireCodable {
    package var name: ObjectName
    package var version: LogIndex
    package var objectShift: UInt8
    package var isHole: Bool
    /// CRC32C per block, 0 = never written; empty for a hole.
    package var table: [UInt32]

    package init(name: ObjectName, version: LogIndex, objectShift: UInt8, isHole: Bool, table: [UInt32]) {
        (self.name, self.version, self.objectShift) = (name, version, objectShift)
        (self.isHole, self.table) = (isHole, table)
    }

    package init(from reader: inout WireReader) throws(WireError) {
        name = try reader.readValue()
        version = try reader.readValue()
        objectShift = try reader.read()
        guard ObjectShift.allowed.contains(objectShift) else { throw .invalid("object shift") }
        isHole = try reader.readBool()
        let count = Int(try reader.read(UInt32.self))
        guard count * 4 <= reader.remaining else { throw .truncated(need: count * 4, have: reader.remaining) }
        var table: [UInt32] = []
        table.reserveCapacity(count)
        for _ in 0..<count { table.append(try reader.read()) }
        self.table = table
    }

    package func encode(to writer: inout WireWriter) {
        writer.write(name)
        writer.write(version)
        writer.write(objectShift)
        writer.write(isHole)
        writer.write(UInt32(table.count))
        for value in table { writer.write(value) }
    }
}

/// Reads ranges of exactly this object, without its ancestors. The reply's payload is their data, one after the other.
package struct RecoveryRead: Hashable, WireCodable {
    package struct Range: Hashable, WireCodable {
        package var offset: UInt32
        package var length: UInt32
        package init(offset: UInt32, length: UInt32) { (self.offset, self.length) = (offset, length) }
        package var bytes: Swift.Range<Int> { Int(offset)..<Int(offset) + Int(length) }
        package init(from reader: inout WireReader) throws(WireError) {
            offset = try reader.read()
            length = try reader.read()
            guard length > 0, UInt64(offset) + UInt64(length) <= 1 << UInt64(ObjectShift.allowed.upperBound) else {
                throw .invalid("range in the object")
            }
        }
        package func encode(to writer: inout WireWriter) {
            writer.write(offset)
            writer.write(length)
        }
    }

    /// The bytes of all ranges together at most.
    package static let largest = 1 << 20

    package var receiverBoot: BootID
    package var object: ObjectName
    /// At least one.
    package var ranges: [Range]

    package init(receiverBoot: BootID, object: ObjectName, ranges: [Range]) {
        (self.receiverBoot, self.object, self.ranges) = (receiverBoot, object, ranges)
    }

    package init(from reader: inout WireReader) throws(WireError) {
        receiverBoot = try reader.readValue()
        object = try reader.readValue()
        ranges = try reader.readArray()
        let bytes = ranges.reduce(UInt64(0)) { $0 + UInt64($1.length) }
        guard !ranges.isEmpty, bytes <= Self.largest else { throw .invalid("ranges in the object") }
    }

    package func encode(to writer: inout WireWriter) {
        writer.write(receiverBoot)
        writer.write(object)
        writer.write(ranges)
    }
}

/// Asks for a digest of each 64 KiB of a part of exactly this object; the reply is a ``RecoveryDigests``.
package struct RecoveryDigest: Hashable, WireCodable {
    package var receiverBoot: BootID
    package var object: ObjectName
    /// Multiples of 64 KiB, not longer than a ``RecoveryRead``.
    package var range: RecoveryRead.Range

    package init(receiverBoot: BootID, object: ObjectName, range: RecoveryRead.Range) {
        (self.receiverBoot, self.object, self.range) = (receiverBoot, object, range)
    }

    package init(from reader: inout WireReader) throws(WireError) {
        receiverBoot = try reader.readValue()
        object = try reader.readValue()
        range = try reader.readValue()
        guard range.offset % 65_536 == 0, range.length % 65_536 == 0, range.length <= RecoveryRead.largest else {
            throw .invalid("a part for digests")
        }
    }

    package func encode(to writer: inout WireWriter) {
        writer.write(receiverBoot)
        writer.write(object)
        writer.write(range)
    }
}

/// In order; 0 says nothing about its part.
package struct RecoveryDigests: Hashable, WireCodable {
    package var values: [UInt64]

    package init(_ values: [UInt64]) { self.values = values }

    package init(from reader: inout WireReader) throws(WireError) {
        let count = Int(try reader.read(UInt32.self))
        guard count <= reader.remaining / 8 else { throw .truncated(need: count * 8, have: reader.remaining) }
        values = []
        values.reserveCapacity(count)
        for _ in 0..<count { values.append(try reader.read()) }
    }

    package func encode(to writer: inout WireWriter) {
        writer.write(UInt32(values.count))
        for value in values { writer.write(value) }
    }
}
