package import Cluster
package import ObjectModel

/// The replica sets of groups in use, computed once per change of membership.
///
/// A reference per (copies, group): 512 KiB for each number of copies in use, filled on demand. What was of a former membership stays in its
/// place until it is asked for: to let 65,536 references go, and to take as much memory anew, would keep a client waiting.
package struct ReplicaSetCache {
    package final class Entry {
        package let set: ReplicaSet
        /// This node's replica is in sync.
        package let isCurrentHere: Bool
        fileprivate let generation: UInt64

        init(_ set: ReplicaSet, node: NodeID, generation: UInt64) {
            (self.set, self.generation) = (set, generation)
            isCurrentHere = set.inSync.contains { $0.node == node }
        }
    }

    private var tables: [[Entry?]?] = Array(repeating: nil, count: 32)

    private let node: NodeID
    private var generation: UInt64 = 0

    package init(node: NodeID) { self.node = node }

    package mutating func membershipChanged() { generation += 1 }

    /// `make` is asked for what is not known yet.
    package mutating func entry(for group: PlacementGroup, copies: UInt8, make: () -> ReplicaSet) -> Entry {
        let row = Int(copies)
        if tables[row] == nil { tables[row] = Array(repeating: nil, count: PlacementGroup.count) }
        if let known = tables[row]![Int(group.rawValue)], known.generation == generation { return known }
        let entry = Entry(make(), node: node, generation: generation)
        tables[row]![Int(group.rawValue)] = entry
        return entry
    }
}
