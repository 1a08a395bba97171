// Invariants
// 1. A block is written anew only with bytes that this copy's own checksum calls right: whatever is written here meanwhile,
//    nothing can be undone by it.
// 2. What cannot be told by its own checksums any more (the table, the file, or all of it outvoted by the others) is made anew
//    only after the disk left the in-sync sets of its group by a committed entry; then it is an ordinary recovery.
// 3. A group's only copy in sync never leaves it: its damage is an error to whoever reads it.
import Cluster
import Logging
import ObjectModel
import ObjectStore
import SheepProtocol

/// How the repair of one object ended.
enum RepairOutcome: Hashable {
    /// Nothing is damaged (any more).
    case sound
    case mended
    /// The disk left the object's group and copies it anew.
    case rebuilding
    /// No other member could help: so many blocks are lost here, or the whole object.
    case lost
}

/// Makes this sheep's damaged objects good again, from in-sync members: whatever a read, a recovery or the scrub came upon.
package final class Repairer<Env: NodeEnvironment> {
    /// Objects repaired at the same time.
    private static var width: Int { 2 }
    /// A lost object is tried again, when somebody reads it, not more often than this.
    private static var retryLost: UInt64 { 5_000_000_000 }

    private unowned(unsafe) let node: SheepNode<Env>
    private var queue: [ObjectName] = []
    private var active: Set<ObjectName> = []
    private var waiters: [ObjectName: [(RepairOutcome) -> Void]] = [:]
    private var isScheduled = false
    /// Blocks that were counted as found and are not good yet, and when they were looked at.
    private var lost: [ObjectName: (blocks: Set<Int>, at: UInt64)] = [:]
    /// Leave their groups with the next entry.
    private var leaving: [ObjectName] = []
    private var leavingIsProposed = false
    /// Being made anew by recovery, with the damages counted in each.
    private var rebuilding: [ObjectName: UInt64] = [:]

    init(node: SheepNode<Env>) { self.node = node }

    package var isIdle: Bool { queue.isEmpty && active.isEmpty && leaving.isEmpty && !leavingIsProposed && rebuilding.isEmpty }

    /// The store met damage in an object. It may be in the middle of something: everything else happens later.
    func found(_ name: ObjectName) {
        guard !active.contains(name), rebuilding[name] == nil, waiters[name] == nil else { return }
        if let known = lost[name], node.clock.now() < known.at + Self.retryLost { return }
        waiters[name] = []
        queue.append(name)
        continueSoon()
    }

    /// Reads all of an object and repairs what is damaged.
    func repair(_ name: ObjectName, completion: @escaping (RepairOutcome) -> Void) {
        if waiters[name] == nil {
            waiters[name] = []
            queue.append(name)
            continueSoon()
        }
        waiters[name]!.append(completion)
    }

    func isRebuilding(_ slot: ObjectSlot) -> Bool {
        rebuilding.keys.contains { $0.family == slot.family && $0.index == slot.index }
            || leaving.contains { $0.family == slot.family && $0.index == slot.index }
    }

    private func continueSoon() {
        guard !isScheduled else { return }
        isScheduled = true
        node.clock.schedule(after: 0) { [weak self] in
            guard let self else { return }
            isScheduled = false
            advance()
        }
    }

    private func advance() {
        while active.count < Self.width, !queue.isEmpty {
            let name = queue.removeFirst()
            active.insert(name)
            ObjectRepair(node: node, name: name, known: lost[name]?.blocks ?? []) { [weak self] in self?.ended(name, $0) }.start()
        }
    }

    private func ended(_ name: ObjectName, _ result: ObjectRepair<Env>.Result) {
        active.remove(name)
        node.repairs.found += UInt64(result.newlyFound)
        node.repairs.done += UInt64(result.mended)
        lost[name] = result.remaining.isEmpty ? nil : (result.remaining, node.clock.now())
        let completions = waiters.removeValue(forKey: name) ?? []
        if result.needsRebuilding {
            rebuild([name]) { outcome in for completion in completions { completion(outcome) } }
        } else {
            let outcome: RepairOutcome = !result.remaining.isEmpty ? .lost : result.mended > 0 ? .mended : .sound
            for completion in completions { completion(outcome) }
        }
        if !queue.isEmpty { continueSoon() }
    }

    // MARK: Objects that are made anew

    private var rebuildWaiters: [(RepairOutcome) -> Void] = []

    /// Leaves the in-sync sets of the objects' groups, so that recovery compares and copies them.
    func rebuild(_ names: [ObjectName], completion: @escaping (RepairOutcome) -> Void) {
        leaving += names
        rebuildWaiters.append(completion)
        proposeLeaving()
    }

    private func proposeLeaving() {
        guard !leavingIsProposed, !leaving.isEmpty, let store = node.store else { return }
        leavingIsProposed = true
        let (names, completions) = (leaving, rebuildWaiters)
        rebuildWaiters = []
        let groups = Set(names.map(\.group)).sorted { $0.rawValue < $1.rawValue }
        let ranges = GroupRange.merged(groups.map { GroupRange(first: $0.rawValue, last: $0.rawValue) })
        for name in names { node.logger.error("object \(name) is made anew from other copies") }
        node.control.propose(.groupsOut(store.identity.disk, boot: node.boot, ranges)) { [weak self] _ in
            guard let self else { return }
            leavingIsProposed = false
            leaving.removeFirst(names.count)
            left(names, completions)
            proposeLeaving()
        }
    }

    private func left(_ names: [ObjectName], _ completions: [(RepairOutcome) -> Void]) {
        guard let store = node.store else { return }
        let outside = names.filter { !isCurrent($0) }
        // Changed since this disk left: so the next list of recovery has it, also that of a later run of this sheep.
        for name in outside { store.touch(name, version: node.control.state.membershipVersion) }
        for name in names where !outside.contains(name) {
            if lost[name] == nil { node.repairs.found += 1 }
            lost[name] = ([-1], node.clock.now())
            node.logger.error("object \(name) cannot be made good: no other copy is in sync")
        }
        for name in outside {
            if rebuilding[name] != nil { continue }
            let known = lost.removeValue(forKey: name)
            if known == nil { node.repairs.found += 1 }
            rebuilding[name] = UInt64(known?.blocks.count ?? 1)
        }
        for completion in completions { completion(outside.isEmpty ? .lost : .rebuilding) }
    }

    private func isCurrent(_ name: ObjectName) -> Bool {
        guard let copies = node.control.state.volume(name.birth)?.copies else { return false }
        return node.holdsCurrent(ObjectSlot(family: name.family, index: name.index), copies: copies)
    }

    /// The membership changed: what was made anew may be in sync now.
    func membershipChanged() {
        guard !rebuilding.isEmpty else { return }
        for name in rebuilding.keys.sorted() where isCurrent(name) || node.control.state.volume(name.birth) == nil {
            node.repairs.done += rebuilding.removeValue(forKey: name)!
        }
    }
}
