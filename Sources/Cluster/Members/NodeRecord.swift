package import ObjectModel

/// A sheep that the log knows.
package struct NodeRecord: Hashable, Sendable {
    package enum Status: Hashable, Sendable { case up, down, removed }

    package let id: NodeID
    package var address: NodeAddress
    /// Where other sheep reach it first; nil: at ``address``.
    package var dataAddress: NodeAddress?
    package var zone: UInt32
    /// As the node announced: 0 for a gateway; nil: by capacity.
    package var virtualNodes: UInt16?
    /// Of the last process that was up.
    package var boot: BootID
    package var incarnation = Incarnation.zero
    /// The log calls this process up; a removed node may be up until what it holds is elsewhere.
    package var isUp = true
    /// Out of the next epoch and all later ones, until it comes up anew.
    package var isRemoved = false
    /// Sorted; those that the node announced last.
    package var diskIDs: [DiskID] = []
    /// The entry that called it down; nil while up.
    package var downSince: LogIndex?
    /// The proposer's wall clock in that entry, nanoseconds since 1970; only shown and for `--down-out`.
    package var downTime: UInt64?
    /// The node stopped cleanly after the shutdown of this index, and no lease was granted since: its disks stay in sync.
    package var cleanStop: LogIndex?

    package init(id: NodeID, boot: BootID, address: NodeAddress, zone: UInt32) {
        (self.id, self.boot, self.address, self.zone) = (id, boot, address, zone)
    }

    package var status: Status { isRemoved ? .removed : isUp ? .up : .down }
    package var isGateway: Bool { virtualNodes == 0 || diskIDs.isEmpty }
}

extension NodeRecord: WireCodable {
    package init(from reader: inout WireReader) throws(WireError) {
        id = try reader.readValue()
        address = try reader.readValue()
        zone = try reader.read()
        virtualNodes = try reader.readBool() ? try reader.read() : nil
        boot = try reader.readValue()
        incarnation = try reader.readValue()
        isUp = try reader.readBool()
        isRemoved = try reader.readBool()
        diskIDs = try reader.readArray()
        downSince = try reader.readOptional()
        downTime = try reader.readBool() ? try reader.read() : nil
        cleanStop = try reader.readOptional()
        dataAddress = try reader.readOptional()
    }

    package func encode(to writer: inout WireWriter) {
        writer.write(id)
        writer.write(address)
        writer.write(zone)
        writer.write(virtualNodes != nil)
        if let virtualNodes { writer.write(virtualNodes) }
        writer.write(boot)
        writer.write(incarnation)
        writer.write(isUp)
        writer.write(isRemoved)
        writer.write(diskIDs)
        writer.write(optional: downSince)
        writer.write(downTime != nil)
        if let downTime { writer.write(downTime) }
        writer.write(optional: cleanStop)
        writer.write(optional: dataAddress)
    }
}
