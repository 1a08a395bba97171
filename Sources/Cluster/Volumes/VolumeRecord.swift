package import ObjectModel

/// A birth in the volume tree: a working volume, a snapshot, or a deleted one that something may still need.
package struct VolumeRecord: Hashable, Sendable {
    package let birth: Birth
    package let parent: Birth?
    package let family: Family
    /// Of the volume, shared by its snapshots; empty when deleted.
    package var name: String
    package var tag = ""
    /// Sheepdog's 1, 2, 3… per name; the working volume has the highest.
    package var snapshotID: UInt32
    package let vid: VID
    /// Wall clock of the proposer, nanoseconds since 1970.
    package let createdAt: UInt64
    /// Nil: working.
    package var snapshotAt: UInt64?
    /// In bytes.
    package var size: UInt64
    package let objectShift: UInt8
    package let copies: UInt8
    package var isDeleted = false
    /// Forgotten, and here only because a child is.
    package var isUnneeded = false
    package var attributes: [String: [UInt8]] = [:]
    /// The last entry that changed what its data requests must know: creation, snapshot, size, deletion.
    /// Leases (which have terms), locks and attributes do not count.
    package var lastEntry: LogIndex
    /// Counts the owners; a grant raises it, and so does the loss of an owner.
    package var term = Term.zero

    package var isSnapshot: Bool { snapshotAt != nil }
    package var isWorking: Bool { !isSnapshot && !isDeleted }
    /// Nothing writes to it any more.
    package var isFrozen: Bool { !isWorking }
    /// Objects that its size takes; indices from there on are beyond it.
    package var objectCount: UInt64 { (size + (1 << UInt64(objectShift)) - 1) >> UInt64(objectShift) }
}

extension VolumeRecord: WireCodable {
    package init(from reader: inout WireReader) throws(WireError) {
        birth = try reader.readValue()
        parent = try reader.readOptional()
        family = try reader.readValue()
        name = try reader.readString()
        tag = try reader.readString()
        snapshotID = try reader.read()
        vid = try reader.readValue()
        createdAt = try reader.read()
        snapshotAt = try reader.readBool() ? try reader.read() : nil
        size = try reader.read()
        objectShift = try reader.read()
        copies = try reader.read()
        guard ObjectShift.allowed.contains(objectShift), Redundancy.allowedCopies.contains(copies) else {
            throw .invalid("volume layout")
        }
        isDeleted = try reader.readBool()
        isUnneeded = try reader.readBool()
        for _ in 0..<(try reader.read(UInt32.self)) {
            let key = try reader.readString()
            attributes[key] = try reader.readBytes()
        }
        lastEntry = try reader.readValue()
        term = try reader.readValue()
    }

    package func encode(to writer: inout WireWriter) {
        writer.write(birth)
        writer.write(optional: parent)
        writer.write(family)
        writer.write(name)
        writer.write(tag)
        writer.write(snapshotID)
        writer.write(vid)
        writer.write(createdAt)
        writer.write(snapshotAt != nil)
        if let snapshotAt { writer.write(snapshotAt) }
        writer.write(size)
        writer.write(objectShift)
        writer.write(copies)
        writer.write(isDeleted)
        writer.write(isUnneeded)
        writer.write(UInt32(attributes.count))
        for key in attributes.keys.sorted() {
            writer.write(key)
            writer.write(bytes: attributes[key]!)
        }
        writer.write(lastEntry)
        writer.write(term)
    }
}
