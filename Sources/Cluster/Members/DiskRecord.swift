package import ObjectModel

/// A disk that the log knows, and what it is to every placement group.
package struct DiskRecord: Hashable, Sendable {
    package let id: DiskID
    package var node: NodeID
    /// Bytes of its file system.
    package var capacity: UInt64
    /// Its node announced it when it last came up; one that is not leaves in the next epoch.
    package var isAttached = true
    /// Its machine restarted and it was not in sync everywhere since: what it holds may be older than what it acknowledged.
    package var lostPower = false
    package var standings = RangeMap(Standing.inSync)
    /// Per group, the last entry that changed what this disk is to it.
    package var touched = RangeMap(LogIndex.zero)

    package init(id: DiskID, node: NodeID, capacity: UInt64) { (self.id, self.node, self.capacity) = (id, node, capacity) }

    /// Whether the disk holds what it is no longer placed for.
    package var isHolding: Bool { standings.values.contains { !$0.holding.isEmpty } }
    /// Some group is being filled here.
    package var isSyncing: Bool { standings.values.contains { $0.layers.contains { $0.state == .syncing } } }

    /// Ascending ranges of groups outside which the disk, where it is a member for some of these numbers of copies, is in sync.
    func exceptions(for counts: CopyCounts) -> [GroupRange] {
        var ranges: [GroupRange] = []
        standings.forEach { range, standing in
            if !standing.exceptions.isDisjoint(with: counts) { ranges.append(range) }
        }
        return ranges
    }
}

extension DiskRecord: WireCodable {
    package init(from reader: inout WireReader) throws(WireError) {
        id = try reader.readValue()
        node = try reader.readValue()
        capacity = try reader.read()
        isAttached = try reader.readBool()
        lostPower = try reader.readBool()
        standings = try reader.readValue()
        touched = try reader.readValue()
    }

    package func encode(to writer: inout WireWriter) {
        writer.write(id)
        writer.write(node)
        writer.write(capacity)
        writer.write(isAttached)
        writer.write(lostPower)
        writer.write(standings)
        writer.write(touched)
    }
}
