package import ObjectModel

/// A change of placement: who had a share of the objects from then on.
package struct EpochRecord: Hashable, Sendable {
    package struct Member: Hashable, Sendable {
        package var node: NodeID
        package var address: NodeAddress
        package var zone: UInt32
        /// Sorted by disk.
        package var disks: [Disk]

        /// As Sheepdog shows it: the weights of the disks, which are the virtual nodes given or about 128 a disk.
        package var virtualNodes: UInt32 { disks.reduce(0) { $0 + $1.weight } }
    }

    package struct Disk: Hashable, Sendable {
        package var id: DiskID
        package var weight: UInt32
    }

    package var epoch: Epoch
    /// The entry that made it.
    package var index: LogIndex
    /// The proposer's wall clock, nanoseconds since 1970.
    package var time: UInt64
    /// Sorted by node.
    package var members: [Member]

    var placementMembers: [PlacementMember] {
        members.flatMap { member in
            member.disks.map { PlacementMember(disk: $0.id, zone: member.zone, weight: $0.weight) }
        }
    }
}

extension EpochRecord: WireCodable {
    package init(from reader: inout WireReader) throws(WireError) {
        epoch = try reader.readValue()
        index = try reader.readValue()
        time = try reader.read()
        members = try reader.readArray()
    }

    package func encode(to writer: inout WireWriter) {
        writer.write(epoch)
        writer.write(index)
        writer.write(time)
        writer.write(members)
    }
}

extension EpochRecord.Member: WireCodable {
    package init(from reader: inout WireReader) throws(WireError) {
        node = try reader.readValue()
        address = try reader.readValue()
        zone = try reader.read()
        disks = try reader.readArray()
    }

    package func encode(to writer: inout WireWriter) {
        writer.write(node)
        writer.write(address)
        writer.write(zone)
        writer.write(disks)
    }
}

extension EpochRecord.Disk: WireCodable {
    package init(from reader: inout WireReader) throws(WireError) {
        id = try reader.readValue()
        weight = try reader.read()
    }

    package func encode(to writer: inout WireWriter) {
        writer.write(id)
        writer.write(weight)
    }
}
