package import ObjectModel

/// Nodes, disks, epochs, and from them every placement group's replica set.
///
/// Invariants:
/// 1. A disk that was not told of a write that may have been acknowledged is not in sync: whoever goes down, fails or is
///    new is put `out` by the entry itself, and only a committed `inSync` (where another member is in sync to copy from) or
///    `openGroups` (where none is) brings it back. The one exception is a clean stop (`NodeRecord.cleanStop`), which
///    ends with the first lease granted. By an operator's order (`forceOpen`) such writes are given up: then whoever opens
///    the group is right, and all others lack everything.
/// 2. A down node's disks are out of every group for every k, but for a clean stop.
/// 3. A set's members are the first k of the group's list in the latest epoch, and holding ones. A member leaves the set only
///    by an epoch, when others are in sync and it is not, or by the entry that brings the last placed member in sync.
/// 4. All that is derived (`placement`, `holders`) follows from what is encoded.
///
/// Results must not depend on the order of a dictionary: iterate ``sortedNodeIDs`` and ``sortedDiskIDs``.
package struct Membership: Sendable {
    package internal(set) var nodes: [NodeID: NodeRecord] = [:]
    package internal(set) var disks: [DiskID: DiskRecord] = [:]
    /// Oldest first, the last 1000.
    package internal(set) var epochs: [EpochRecord] = []
    /// The last entry that touched any membership; what was derived of an older state is outdated.
    package internal(set) var version = LogIndex.zero
    /// The last entry that touched every group: an epoch.
    var epochVersion = LogIndex.zero
    /// While any disk is holding: the most zones that an epoch since then had, whose minimum still holds.
    var zonesHeld = 0
    /// Bytes of one unit of weight, fixed at format so that a new disk does not change the others' weights.
    var bytesPerWeight: UInt64 = 1

    // Derived.
    package private(set) var placement = Placement(members: [])
    /// Disks that are holding members of some group, sorted.
    private(set) var holders: [DiskID] = []

    static let epochsKept = 1000
    package init() {}

    var sortedNodeIDs: [NodeID] { nodes.keys.sorted() }
    var sortedDiskIDs: [DiskID] { disks.keys.sorted() }

    mutating func append(_ epoch: EpochRecord) {
        epochs.append(epoch)
        if epochs.count > Self.epochsKept { epochs.removeFirst(epochs.count - Self.epochsKept) }
        placement = Placement(members: epoch.placementMembers)
    }

    mutating func findHolders() {
        holders = disks.values.filter(\.isHolding).map(\.id).sorted()
        if holders.isEmpty { zonesHeld = 0 }
    }

    /// The disk's standing changes in these groups by the entry `index`.
    mutating func change(
        _ disk: DiskID, _ ranges: [GroupRange], at index: LogIndex, _ transform: (Standing) -> Standing
    ) {
        disks[disk]!.standings.update(ranges, transform)
        disks[disk]!.touched.update(ranges) { _ in index }
        version = index
    }

    mutating func putOut(_ disk: DiskID, since index: LogIndex) {
        change(disk, [.all], at: index) { $0.out(since: index) }
    }
}

extension Membership: WireCodable {
    package init(from reader: inout WireReader) throws(WireError) {
        nodes = Dictionary(try reader.readArray(of: NodeRecord.self).map { ($0.id, $0) }) { $1 }
        disks = Dictionary(try reader.readArray(of: DiskRecord.self).map { ($0.id, $0) }) { $1 }
        epochs = try reader.readArray()
        version = try reader.readValue()
        epochVersion = try reader.readValue()
        zonesHeld = Int(try reader.read(UInt8.self))
        bytesPerWeight = try reader.read()
        guard bytesPerWeight > 0 else { throw .invalid("weight unit") }
        placement = Placement(members: epochs.last?.placementMembers ?? [])
        findHolders()
    }

    package func encode(to writer: inout WireWriter) {
        writer.write(sortedNodeIDs.map { nodes[$0]! })
        writer.write(sortedDiskIDs.map { disks[$0]! })
        writer.write(epochs)
        writer.write(version)
        writer.write(epochVersion)
        writer.write(UInt8(min(zonesHeld, 255)))
        writer.write(bytesPerWeight)
    }
}
