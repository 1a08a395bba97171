import Cluster
import ObjectModel
import ObjectStore
import SheepProtocol

/// Removes what no living volume shows any more: this sheep's own decision for its in-sync replicas, by the tree alone.
///
/// A walk after a delete, a bounded number of slots a tick, resumed until its end; and a look at a slot whenever a trim
/// or copy-on-write changed it. A replica that catches up follows its source: it removes only what no object could hide from a living
/// volume, because there is none, so that its space comes back also where it has none left to catch up.
///
/// And what belongs to other sheep now: a disk that left a group, which the log lets it do only when all placed members are
/// in sync, removes the group's objects in a walk of its own. A disk that is placed again lacks everything, so nothing
/// ever relies on what is found there.
package final class GarbageCollector<Env: NodeEnvironment> {
    private static var slotsPerTick: Int { 4096 }
    private static var straysPerTick: Int { 512 }
    /// Nanoseconds after which a step ends that is not through: clients' requests wait for it.
    private static var longestStep: UInt64 { 300_000 }
    private static var looksAtOnce: Int { 64 }

    private unowned(unsafe) let node: SheepNode<Env>
    private var changedSlots: [ObjectSlot] = []
    private var walk: [ObjectSlot] = []
    private var walkIsDue = true
    private var straysAreDue = true
    private var strayWalk = StrayWalk.idle
    /// Removals that the store has not done yet. A recovery that may need these objects again begins after them.
    private(set) var straysUnderWay = 0
    /// What the walk for strays depends on, as of the last membership looked at.
    private var ownEpoch: Epoch?
    private var ownStandings: RangeMap<Standing>?
    private var isScheduled = false
    private var forgetting = false
    private var nextForgetting: UInt64 = 0
    private var nextRemovalsForgotten: UInt64 = 0
    package private(set) var removed: UInt64 = 0

    init(node: SheepNode<Env>) { self.node = node }

    /// A volume was deleted or rolled back: every slot of the store is looked at.
    func volumesChanged() {
        walkIsDue = true
        continueSoon()
    }

    /// Where this disk left groups by an epoch, or by the entry that made the last placed member current, their space comes back.
    func membershipChanged() {
        let state = node.control.state
        guard let disk = node.store?.identity.disk, let standings = state.disks[disk]?.standings else { return }
        guard ownEpoch != state.epochs.last?.epoch || ownStandings != standings else { return }
        (ownEpoch, ownStandings) = (state.epochs.last?.epoch, standings)
        straysMayBe()
    }

    /// Something was put here that may belong to other sheep by now.
    func straysMayBe() {
        straysAreDue = true
        continueSoon()
    }

    /// A write made the object.
    func made(_ name: ObjectName) {
        changed(ObjectSlot(family: name.family, index: name.index))
        if let disk = node.store?.identity.disk, isStray(name, on: disk) { straysMayBe() }
    }

    func changed(_ slot: ObjectSlot) {
        guard node.control.state.hasDeletedVolumes(in: slot.family) else { return }
        changedSlots.append(slot)
        continueSoon()
    }

    func tick() {
        forgetVolumesSometimes()
        forgetRemovalsSometimes()
        if !isIdle { continueSoon() }
    }

    package var isIdle: Bool { !walkIsDue && walk.isEmpty && changedSlots.isEmpty && !straysAreDue && strayWalk == .idle }

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
        let end = node.clock.now() + Self.longestStep
        for number in 0..<min(Self.slotsPerTick, walk.count) {
            if number % Self.looksAtOnce == 0, number > 0, node.clock.now() > end { return }
            look(at: walk.removeLast(), in: store)
        }
        for _ in 0..<Self.straysPerTick / Self.looksAtOnce where node.clock.now() <= end { removeStrays(in: store) }
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

    /// What hides an object must not be lost to a power cut after the object is gone: it is made durable first.
    private func look(at slot: ObjectSlot, in store: ObjectStore<Env.StoreDisk>) {
        let present = store.births(family: slot.family, index: slot.index)
        let births = present.map(\.name.birth)
        let hiding = present.map(\.name).filter { !node.control.state.isGarbage($0, presentBirths: births) }
        guard hiding.count < present.count else { return }
        var remaining = hiding.count + 1
        var isDurable = true
        let done = { [weak self] (error: SheepError?) in
            if error != nil { isDurable = false }
            remaining -= 1
            if remaining == 0, isDurable { self?.removeGarbage(at: slot, hiddenBy: hiding, in: store) }
        }
        for name in hiding { store.flush(name, done) }
        done(nil)
    }

    private func removeGarbage(at slot: ObjectSlot, hiddenBy hiding: [ObjectName], in store: ObjectStore<Env.StoreDisk>) {
        guard node.isServing, !store.hasFailed else { return }
        let state = node.control.state
        let present = store.births(family: slot.family, index: slot.index)
        let births = present.map(\.name.birth).filter { birth in hiding.contains { $0.birth == birth } }
        for object in present where !hiding.contains(object.name) {
            guard state.isGarbage(object.name, presentBirths: births + [object.name.birth]) else { continue }
            let copies = state.volume(object.name.birth)?.copies ?? 1
            // Only an in-sync replica knows all that hides it; one that the group does not name any more may let go as well.
            let set = node.replicaSet(of: slot.group, copies: copies)
            let isBehind = (set.syncing + set.out).contains { $0.node == node.identity }
            if isBehind, !state.isGarbage(object.name, presentBirths: []) { continue }
            store.remove(object.name, version: set.version) { _ in }
            removed += 1
        }
    }

    // MARK: What belongs to other sheep

    private enum StrayWalk: Hashable {
        case idle
        /// The last name looked at; nil: none yet.
        case after(ObjectName?)
    }

    private func removeStrays(in store: ObjectStore<Env.StoreDisk>) {
        if straysAreDue, strayWalk == .idle { (straysAreDue, strayWalk) = (false, .after(nil)) }
        guard case .after(let last) = strayWalk else { return }
        let objects = store.objects(after: last, limit: Self.looksAtOnce)
        for object in objects where isStray(object.name, on: store.identity.disk) {
            // Nobody asks this disk what it removed here, so the record need not be kept.
            straysUnderWay += 1
            store.remove(object.name, version: .zero) { [weak self] _ in self?.straysUnderWay -= 1 }
            removed += 1
        }
        strayWalk = objects.last.map { .after($0.name) } ?? .idle
    }

    /// The log names other members for the object, and one of them at least is in sync. Or its birth was forgotten, which asks
    /// only those whose copies count.
    private func isStray(_ name: ObjectName, on disk: DiskID) -> Bool {
        let state = node.control.state
        guard let copies = state.volume(name.birth)?.copies else { return name.birth.rawValue <= state.appliedIndex.rawValue }
        let set = node.replicaSet(of: name.group, copies: copies)
        return !set.inSync.isEmpty && !(set.inSync + set.syncing + set.out).contains { $0.disk == disk }
    }

    // MARK: Forgetting removals

    /// Records of removals are for disks that were out meanwhile. One that goes out later does so by a younger entry: what it
    /// may not have done was unsettled then, and counts as of that entry (`ReplicaService.membershipChanged`).
    private func forgetRemovalsSometimes() {
        let now = node.clock.now()
        guard let store = node.store, node.isServing, now >= nextRemovalsForgotten else { return }
        nextRemovalsForgotten = now + NodeTiming.forgetting
        let state = node.control.state
        store.forgetRemovals(before: min(state.oldestOutSince ?? state.membershipVersion, state.membershipVersion))
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
