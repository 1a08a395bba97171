package import Cluster
package import ObjectModel

/// The replica sets of groups in use, computed once per change of membership.
///
/// A reference per (copies, group): 512 KiB for each number of copies in use, filled on demand.
package struct ReplicaSetCache {
    package final class Entry {
        package let set: ReplicaSet
        init(_ set: ReplicaSet) { self.set = set }
    }

    private var membership = LogIndex.zero
    private var tables: [[Entry?]?] = Array(repeating: nil, count: 32)

    package init() {}

    package mutating func entry(for group: PlacementGroup, copies: UInt8, in state: borrowing ControlState) -> Entry {
        if membership != state.membershipVersion {
            membership = state.membershipVersion
            tables = Array(repeating: nil, count: 32)
        }
        let row = Int(copies)
        if tables[row] == nil { tables[row] = Array(repeating: nil, count: PlacementGroup.count) }
        if let known = tables[row]![Int(group.rawValue)] { return known }
        let entry = Entry(state.replicas(of: group, copies: copies))
        tables[row]![Int(group.rawValue)] = entry
        return entry
    }
}
