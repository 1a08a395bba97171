package import ObjectModel

/// What a disk must fetch to be in sync everywhere, most endangered groups first. A pure function of the control state.
///
/// The disk first has its ranges made `syncing` (from then on it gets every write), copies what changed, then `inSync`.
package struct RecoveryPlan: Hashable, Sendable {
    package struct Task: Hashable, Sendable {
        package var range: GroupRange
        /// Only births with these numbers of copies.
        package var copies: CopyCounts
        /// What changed from this entry on must be fetched. 0: everything; objects found here are of a former
        /// membership, and what the sources lack of them goes.
        package var since: LogIndex
        /// Committed as syncing already.
        package var isSyncing: Bool
        /// In-sync members whose nodes are up, in member order; the first is the one to ask.
        package var sources: [Replica]
    }

    /// The fewest sources first, then by group.
    package private(set) var tasks: [Task] = []
    /// Without an in-sync member that is up: they wait for `openGroups` or a node. And what lies in the same groups as a task
    /// that waits for a node which stopped cleanly: `inSync` speaks for all numbers of copies of a group, and it would
    /// for that one as well as soon as the node is back, though nothing was copied from it.
    package private(set) var waiting: [Task] = []

    package var isEmpty: Bool { tasks.isEmpty && waiting.isEmpty }

    package init(for disk: DiskID, in state: ControlState) {
        guard let record = state.disks[disk] else { return }
        var found: [Task] = []
        for (groups, members) in state.membership.runs(in: record.exceptions(for: state.copiesInUse)) {
            Self.append(Self.tasks(for: disk, groups, of: members, in: state), to: &found)
        }
        waiting = found.filter(\.sources.isEmpty)
        tasks = found.filter { !$0.sources.isEmpty }.sorted {
            ($0.sources.count, $0.range.first, $0.copies.rawValue) < ($1.sources.count, $1.range.first, $1.copies.rawValue)
        }
    }

    /// A run's tasks: its numbers of copies by what they have in common. Holding memberships are not brought back.
    private static func tasks(for disk: DiskID, _ groups: GroupRange, of members: [GroupMember], in state: ControlState) -> [Task] {
        guard let own = members.first(where: { $0.disk == disk }) else { return [] }
        var tasks: [Task] = []
        var waitsForCleanStop = false
        for layer in own.standing.layers {
            for copies in layer.copies.intersection(own.placed).intersection(state.copiesInUse).counts {
                let inSync = members.filter { $0.inSync.contains(copies: copies) }.map { state.membership.replica($0.disk) }
                let sources = inSync.filter(\.isUp)
                if sources.isEmpty, !inSync.isEmpty { waitsForCleanStop = true }
                let task = Task(
                    range: groups, copies: CopyCounts(copies: copies), since: layer.since,
                    isSyncing: layer.state == .syncing, sources: sources)
                if let same = tasks.firstIndex(where: { isAlike($0, task) }) {
                    tasks[same].copies.formUnion(task.copies)
                } else {
                    tasks.append(task)
                }
            }
        }
        if waitsForCleanStop { for task in tasks.indices { tasks[task].sources = [] } }
        return tasks
    }

    private static func isAlike(_ a: Task, _ b: Task) -> Bool {
        a.since == b.since && a.isSyncing == b.isSyncing && a.sources == b.sources
    }

    /// Neighbouring runs with the same task are one.
    private static func append(_ tasks: [Task], to found: inout [Task]) {
        for task in tasks {
            // A run has a task for each number of copies at most, so its neighbour's are among the last.
            let neighbour = found.suffix(2 * 31).lastIndex { Int($0.range.last) + 1 >= Int(task.range.first) && $0.copies == task.copies }
            if let neighbour, Int(found[neighbour].range.last) + 1 == Int(task.range.first), isAlike(found[neighbour], task) {
                found[neighbour].range.last = task.range.last
            } else {
                found.append(task)
            }
        }
    }
}
