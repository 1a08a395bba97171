import Cluster
import ObjectModel
import ObjectStore
import SheepProtocol

/// Removes what no living volume shows any more: this sheep's own decision for its in-sync replicas, by the tree alone.
///
/// A walk after a delete, a bounded number of slots a tick, resumed until its end; and a look at a slot whenever a trim
/// or copy-on-write changed it. A replica that catches up does not collect: it follows its source.
package final class GarbageCollector<Env: NodeEnvironment> {
    private static var slotsPerTick: Int { 4096 }

    private unowned let node: SheepNode<Env>
    private var changedSlots: [ObjectSlot] = []
    private var walk: [ObjectSlot] = []
    private var walkIsDue = true
    private var isScheduled = false
    private var forgetting = false
    private var nextForgetting: UInt64 = 0
    package private(set) var removed: UInt64 = 0

    init(node: SheepNode<Env>) { self.node = node }

    /// A volume was deleted or rolled back: every slot of the store is looked at.
    func volumesChanged() {
        walkIsDue = true
        continueSoon()
    }

    func changed(_ slot: ObjectSlot) {
        guard node.control.state.hasDeletedVolumes(in: slot.family) else { return }
        changedSlots.append(slot)
        continueSoon()
    }

    func tick() {
        forgetVolumesSometimes()
        if walkIsDue || !walk.isEmpty || !changedSlots.isEmpty { continueSoon() }
    }

    package var isIdle: Bool { !walkIsDue && walk.isEmpty && changedSlots.isEmpty }

    private func continueSoon() {
        guard !isScheduled else { return }
        isScheduled = true
        node.clock.schedule(after: 1_000_000) { [weak self] in
            guard let self else { return }
            isScheduled = false
            collect()
            if !isIdle, node.isServing { continueSoon() }
        }
    }

    private func collect() {
        guard let store = node.store, node.isServing, !store.hasFailed else { return }
        let looked = changedSlots
        changedSlots = []
        for slot in looked { look(at: slot, in: store) }
        if walkIsDue {
            walkIsDue = false
            walk = candidates(in: store)
        }
        for _ in 0..<min(Self.slotsPerTick, walk.count) { look(at: walk.removeLast(), in: store) }
    }

    private func candidates(in store: ObjectStore<Env.StoreDisk>) -> [ObjectSlot] {
        let state = node.control.state
        var slots: Set<ObjectSlot> = []
        for family in store.families where state.hasDeletedVolumes(in: family) || state.volumesInFamily(family).isEmpty {
            store.forEachObject(inFamily: family, indices: 0..<(1 << 32)) {
                slots.insert(ObjectSlot(family: family, index: $0.name.index))
                return true
            }
        }
        return slots.sorted()
    }

    private func look(at slot: ObjectSlot, in store: ObjectStore<Env.StoreDisk>) {
        let state = node.control.state
        let present = store.births(family: slot.family, index: slot.index)
        let births = present.map(\.name.birth)
        for object in present {
            guard state.isGarbage(object.name, presentBirths: births) else { continue }
            let copies = state.volume(object.name.birth)?.copies ?? 1
            // Only an in-sync replica decides; one that the group does not name any more may let go as well.
            let set = node.replicaSet(of: slot.group, copies: copies)
            if (set.syncing + set.out).contains(where: { $0.node == node.identity }) { continue }
            store.remove(object.name, version: set.version) { _ in }
            removed += 1
        }
    }

    // MARK: Forgetting deleted births

    /// One sheep asks, now and then: a deleted birth of which no sheep has an object leaves the tree, its VID is free again.
    private func forgetVolumesSometimes() {
        let now = node.clock.now()
        guard node.membership.isLowest, !forgetting, now >= nextForgetting else { return }
        nextForgetting = now + NodeTiming.forgetting
        let state = node.control.state
        let candidates = state.deletedVolumes.filter { !$0.isUnneeded }
        guard !candidates.isEmpty, state.disks.keys.allSatisfy({ state.isInSync($0) }) else { return }
        forgetting = true
        let asked = node.storingNodes.subtracting([node.identity])
        node.askAll(.usage, as: WireList<BirthUsage>.self) { [weak self] answers in
            guard let self else { return }
            forgetting = false
            guard asked.isSubset(of: answers.keys), state.membershipVersion == node.control.state.membershipVersion else { return }
            let used = Set((answers.values.flatMap(\.elements) + node.localUsage()).filter { $0.own > 0 }.map(\.birth))
            for candidate in candidates where !used.contains(candidate.birth) {
                node.control.propose(.forgetVolume(candidate.birth))
            }
        }
    }
}
