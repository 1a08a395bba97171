package import Cluster
package import ObjectModel

/// The replica sets of groups in use, computed once per change of membership.
///
/// A reference per (copies, group): 512 KiB for each number of copies in use, filled on demand.
package struct ReplicaSetCache {
    package final class Entry {
        package let set: ReplicaSet
        /// This node's replica is in sync.
        package let isCurrentHere: Bool

        init(_ set: ReplicaSet, node: NodeID) {
            self.set = set
            isCurrentHere = set.inSync.contains { $0.node == node }
        }
    }

    private var tables: [[Entry?]?] = Array(repeating: nil, count: 32)

    private let node: NodeID

    package init(node: NodeID) { self.node = node }

    package mutating func membershipChanged() { tables = Array(repeating: nil, count: 32) }

    /// `make` is asked for what is not known yet.
    package mutating func entry(for group: PlacementGroup, copies: UInt8, make: () -> ReplicaSet) -> Entry {
        let row = Int(copies)
        if tables[row] == nil { tables[row] = Array(repeating: nil, count: PlacementGroup.count) }
        if let known = tables[row]![Int(group.rawValue)] { return known }
        let entry = Entry(make(), node: node)
        tables[row]![Int(group.rawValue)] = entry
        return entry
    }
}
