package import ObjectModel

/// The working volume of a name, or one of its snapshots.
package struct VolumeReference: Hashable, Sendable, WireCodable {
    package enum Selector: Hashable, Sendable {
        case working
        case id(UInt32)
        case tag(String)
    }

    package var name: String
    package var selector: Selector

    package init(name: String, selector: Selector = .working) { (self.name, self.selector) = (name, selector) }

    package init(from reader: inout WireReader) throws(WireError) {
        name = try reader.readVolumeName()
        switch try reader.read(UInt8.self) {
        case 0: selector = .working
        case 1: selector = .id(try reader.read())
        case 2: selector = .tag(try reader.readVolumeName())
        default: throw .invalid("snapshot selector")
        }
    }

    package func encode(to writer: inout WireWriter) {
        writer.write(name)
        switch selector {
        case .working: writer.write(UInt8(0))
        case .id(let id):
            writer.write(UInt8(1))
            writer.write(id)
        case .tag(let tag):
            writer.write(UInt8(2))
            writer.write(tag)
        }
    }
}

/// Refused with `volumeExists` when the name is taken.
package struct VolumeCreate: Hashable, Sendable, WireCodable {
    package var name: String
    /// Bytes; any number up to what the object size allows.
    package var size: UInt64
    /// 0: the cluster's default.
    package var copies: UInt8
    /// 0: the cluster's default.
    package var objectShift: UInt8

    package init(name: String, size: UInt64, copies: UInt8 = 0, objectShift: UInt8 = 0) {
        (self.name, self.size, self.copies, self.objectShift) = (name, size, copies, objectShift)
    }

    package init(from reader: inout WireReader) throws(WireError) {
        name = try reader.readVolumeName()
        size = try reader.read()
        copies = try reader.readCopies(orDefault: true)
        objectShift = try reader.readObjectShift(orDefault: true)
    }

    package func encode(to writer: inout WireWriter) {
        writer.write(name)
        writer.write(size)
        writer.write(copies)
        writer.write(objectShift)
    }
}

/// Refused with `volumeLocked` while clients have the volume attached at any sheep, or hold Sheepdog's lock.
package struct VolumeDelete: Hashable, Sendable, WireCodable {
    package var volume: VolumeReference
    /// Refused with `noSuchVolume` unless the volume still has this birth: who undoes a creation must not delete
    /// what another made under the same name meanwhile.
    package var onlyBirth: Birth?
    /// The sheep whose client asks: a lock that this one holds is the client's own and does not stand in the way.
    package var lockHolder: NodeID?

    package init(volume: VolumeReference, onlyBirth: Birth? = nil, lockHolder: NodeID? = nil) {
        (self.volume, self.onlyBirth, self.lockHolder) = (volume, onlyBirth, lockHolder)
    }

    package init(from reader: inout WireReader) throws(WireError) {
        volume = try reader.readValue()
        onlyBirth = try reader.readOptional()
        lockHolder = try reader.readOptional()
    }

    package func encode(to writer: inout WireWriter) {
        writer.write(volume)
        writer.write(optional: onlyBirth)
        writer.write(optional: lockHolder)
    }
}

/// Refused with `snapshotExists` when the volume has the tag already.
package struct VolumeSnapshot: Hashable, Sendable, WireCodable {
    package var name: String
    /// May be empty.
    package var tag: String

    package init(name: String, tag: String) { (self.name, self.tag) = (name, tag) }

    package init(from reader: inout WireReader) throws(WireError) {
        name = try reader.readVolumeName()
        tag = try reader.readVolumeName()
    }

    package func encode(to writer: inout WireWriter) {
        writer.write(name)
        writer.write(tag)
    }
}

package struct VolumeClone: Hashable, Sendable, WireCodable {
    /// A snapshot.
    package var source: VolumeReference
    package var name: String

    package init(source: VolumeReference, name: String) { (self.source, self.name) = (source, name) }

    package init(from reader: inout WireReader) throws(WireError) {
        source = try reader.readValue()
        name = try reader.readVolumeName()
    }

    package func encode(to writer: inout WireWriter) {
        writer.write(source)
        writer.write(name)
    }
}

/// Growing only; `invalidArgument` otherwise.
package struct VolumeResize: Hashable, Sendable, WireCodable {
    package var name: String
    /// Bytes.
    package var size: UInt64

    package init(name: String, size: UInt64) { (self.name, self.size) = (name, size) }

    package init(from reader: inout WireReader) throws(WireError) {
        name = try reader.readVolumeName()
        size = try reader.read()
    }

    package func encode(to writer: inout WireWriter) {
        writer.write(name)
        writer.write(size)
    }
}

/// Refused with `volumeExists` when the new name is taken, by a volume or by snapshots that a deleted one left.
package struct VolumeRename: Hashable, Sendable, WireCodable {
    package var name: String
    package var newName: String
    /// Refused with `noSuchVolume` unless the volume still has this birth, as in ``VolumeDelete``.
    package var onlyBirth: Birth?

    package init(name: String, newName: String, onlyBirth: Birth? = nil) {
        (self.name, self.newName, self.onlyBirth) = (name, newName, onlyBirth)
    }

    package init(from reader: inout WireReader) throws(WireError) {
        name = try reader.readVolumeName()
        newName = try reader.readVolumeName()
        onlyBirth = try reader.readOptional()
    }

    package func encode(to writer: inout WireWriter) {
        writer.write(name)
        writer.write(newName)
        writer.write(optional: onlyBirth)
    }
}

/// Refused with `noSuchNode` when that sheep is not up, with `busy` when writes under way do not end.
package struct VolumeHandOver: Hashable, Sendable, WireCodable {
    package var name: String
    /// Who orders the volume's writes afterwards.
    package var owner: NodeID

    package init(name: String, owner: NodeID) { (self.name, self.owner) = (name, owner) }

    package init(from reader: inout WireReader) throws(WireError) {
        name = try reader.readVolumeName()
        owner = try reader.readValue()
    }

    package func encode(to writer: inout WireWriter) {
        writer.write(name)
        writer.write(owner)
    }
}

/// What create, snapshot, clone and rollback made.
package struct VolumeCreated: Hashable, Sendable, WireCodable {
    /// The working volume's birth and VID afterwards.
    package var birth: Birth
    package var vid: VID
    /// To a snapshot: the VID and id that the snapshot has.
    package var snapshot: SnapshotCreated?

    package init(birth: Birth, vid: VID, snapshot: SnapshotCreated? = nil) {
        (self.birth, self.vid, self.snapshot) = (birth, vid, snapshot)
    }

    package init(from reader: inout WireReader) throws(WireError) {
        birth = try reader.readValue()
        vid = try reader.readValue()
        snapshot = try reader.readOptional()
    }

    package func encode(to writer: inout WireWriter) {
        writer.write(birth)
        writer.write(vid)
        writer.write(optional: snapshot)
    }
}

package struct SnapshotCreated: Hashable, Sendable, WireCodable {
    package var vid: VID
    package var id: UInt32

    package init(vid: VID, id: UInt32) { (self.vid, self.id) = (vid, id) }

    package init(from reader: inout WireReader) throws(WireError) {
        vid = try reader.readValue()
        id = try reader.read()
    }

    package func encode(to writer: inout WireWriter) {
        writer.write(vid)
        writer.write(id)
    }
}
