package import ObjectModel

/// A volume or snapshot as `dog vdi list`, `tree` and `graph` show it.
package struct VolumeRecord: Hashable, Sendable, WireCodable {
    package var name: String
    package var isSnapshot: Bool
    /// The snapshot's id within its volume, from 1; 0 for the working volume.
    package var snapshotID: UInt32
    /// The snapshot's tag; empty when it has none and for the working volume.
    package var tag: String
    /// Bytes.
    package var size: UInt64
    /// Nil to ``AdministrationRequest/volumeFind(_:)``.
    package var usage: VolumeUsage?
    /// When this birth was made, and when it became a snapshot (0: it did not); nanoseconds since 1970.
    package var createdAt: UInt64
    package var snapshotAt: UInt64
    package var vid: VID
    package var birth: Birth
    /// The snapshot it began as a copy of; also set when that snapshot was deleted.
    package var parent: Birth?
    /// Made by a clone, not by a snapshot or rollback of the same name.
    package var isClone: Bool
    package var copies: UInt8
    package var objectShift: UInt8
    package var attributeCount: UInt32
    /// The sheep that orders its writes; nil: nobody uses it, or it is a snapshot.
    package var owner: NodeID?

    package init(
        name: String, isSnapshot: Bool, snapshotID: UInt32, tag: String, size: UInt64, usage: VolumeUsage?,
        createdAt: UInt64, snapshotAt: UInt64, vid: VID, birth: Birth, parent: Birth?, isClone: Bool, copies: UInt8,
        objectShift: UInt8, attributeCount: UInt32, owner: NodeID?
    ) {
        (self.name, self.isSnapshot, self.snapshotID, self.tag) = (name, isSnapshot, snapshotID, tag)
        (self.size, self.usage, self.createdAt, self.snapshotAt) = (size, usage, createdAt, snapshotAt)
        (self.vid, self.birth, self.parent, self.isClone) = (vid, birth, parent, isClone)
        (self.copies, self.objectShift, self.attributeCount, self.owner) = (copies, objectShift, attributeCount, owner)
    }

    package init(from reader: inout WireReader) throws(WireError) {
        name = try reader.readVolumeName()
        isSnapshot = try reader.readBool()
        snapshotID = try reader.read()
        tag = try reader.readVolumeName()
        size = try reader.read()
        usage = try reader.readOptional()
        createdAt = try reader.read()
        snapshotAt = try reader.read()
        vid = try reader.readValue()
        birth = try reader.readValue()
        parent = try reader.readOptional()
        isClone = try reader.readBool()
        copies = try reader.readCopies()
        objectShift = try reader.readObjectShift()
        attributeCount = try reader.read()
        owner = try reader.readOptional()
    }

    package func encode(to writer: inout WireWriter) {
        writer.write(name)
        writer.write(isSnapshot)
        writer.write(snapshotID)
        writer.write(tag)
        writer.write(size)
        writer.write(optional: usage)
        writer.write(createdAt)
        writer.write(snapshotAt)
        writer.write(vid)
        writer.write(birth)
        writer.write(optional: parent)
        writer.write(isClone)
        writer.write(copies)
        writer.write(objectShift)
        writer.write(attributeCount)
        writer.write(optional: owner)
    }
}

/// Bytes of objects, counted once however many copies there are.
package struct VolumeUsage: Hashable, Sendable, WireCodable {
    /// In objects of its own.
    package var own: UInt64
    /// In objects of its ancestors that it still sees.
    package var shared: UInt64

    package init(own: UInt64, shared: UInt64) { (self.own, self.shared) = (own, shared) }

    package init(from reader: inout WireReader) throws(WireError) {
        own = try reader.read()
        shared = try reader.read()
    }

    package func encode(to writer: inout WireWriter) {
        writer.write(own)
        writer.write(shared)
    }
}

/// Who may attach a volume just now.
package struct LockRecord: Hashable, Sendable, WireCodable {
    package var name: String
    package var snapshotID: UInt32
    package var tag: String
    package var vid: VID
    package var isShared: Bool
    /// host:port of the gateways that hold it.
    package var owners: [String]

    package init(name: String, snapshotID: UInt32, tag: String, vid: VID, isShared: Bool, owners: [String]) {
        (self.name, self.snapshotID, self.tag) = (name, snapshotID, tag)
        (self.vid, self.isShared, self.owners) = (vid, isShared, owners)
    }

    package init(from reader: inout WireReader) throws(WireError) {
        name = try reader.readVolumeName()
        snapshotID = try reader.read()
        tag = try reader.readVolumeName()
        vid = try reader.readValue()
        isShared = try reader.readBool()
        owners = try reader.readStrings()
    }

    package func encode(to writer: inout WireWriter) {
        writer.write(name)
        writer.write(snapshotID)
        writer.write(tag)
        writer.write(vid)
        writer.write(isShared)
        writer.write(strings: owners)
    }
}
