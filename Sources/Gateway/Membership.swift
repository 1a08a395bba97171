// Invariants
// 1. A node goes down by a committed entry only; it is `proven` only when the engine has proof of its death.
// 2. One node proposes what any could: the lowest-numbered one that is up; repeats are harmless.
import Cluster
import Logging
import ObjectModel
import ObjectStore
import SheepProtocol

/// Who is in the cluster: joining it, noticing who left, planning placement, opening groups after a full stop.
package final class Membership<Env: NodeEnvironment> {
    private unowned(unsafe) let node: SheepNode<Env>
    private let lostPower: Bool
    let reach: Reach<Env>
    private var probing: Set<NodeID> = []
    private var calledDown: Set<BootID> = []
    private(set) var hasJoined = false
    private var isLeaving = false
    private var joinedAt: UInt64 = 0
    private var lastTick: UInt64 = 0
    /// The end of this sheep's last pause: its process or its machine did nothing meanwhile.
    private var stoodStillUntil: UInt64 = 0
    private var placementPendingSince: UInt64?
    private var proposalUnderWay = false
    private var knownClosed: (index: LogIndex, groups: ClosedGroups)?
    /// Runs that were called down without proof, and until when they may hold their node lease.
    private var fences: [BootID: (node: NodeID, until: UInt64)] = [:]
    private var fencesAreProbed = false
    /// This sheep's former run, when it was called down without proof: the others wait to hear that it is over.
    private var doubtedRun: BootID?
    private var downSeen: [NodeID: UInt64] = [:]
    private var failedDisks: Set<DiskID> = []
    /// When a disk left the in-sync sets, by whomever's word.
    private var diskLeftAt: UInt64 = 0
    private var isDetached = false

    init(node: SheepNode<Env>, lostPower: Bool) {
        (self.node, self.lostPower) = (node, lostPower)
        reach = Reach(node: node)
    }

    private var state: ControlState { node.control.state }

    // MARK: Joining

    /// First who is alive, then one entry each: down for those whom the log calls up and who are gone by the engine (a former
    /// run of this sheep among them), then, when all who are up are within reach, up for this one.
    func join() {
        if let cluster = state.cluster { node.takeCluster(cluster.id, afterFormat: false) }
        callDownTheDead { [weak self] in
            guard let self else { return }
            reach.whenComplete { [weak self] in self?.announce() }
            lookForTheDead()
        }
    }

    private func callDownTheDead(_ completion: @escaping () -> Void) {
        node.engine.aliveNodes { [weak self] alive in
            // An engine that has failed knows nobody, not even this sheep.
            guard let self, alive.contains(node.identity) else { return }
            if isLastCopyInDoubt {
                node.clock.schedule(after: NodeTiming.tick) { [weak self] in self?.callDownTheDead(completion) }
                return
            }
            let gone = state.nodes.values.filter { $0.isUp && ($0.id == self.node.identity || !alive.contains($0.id) || self.isEqual($0)) }
            let proven = !gone.contains { alive.contains($0.id) && self.node.engine.sight(of: $0.boot, of: $0.id) == .silent }
            var victims = gone.map { ControlCommand.NodesDown.Victim(node: $0.id, boot: $0.boot) }
            // The entry changes nothing for a run that is down, but tells that it has ended.
            if let doubtedRun { victims.append(.init(node: node.identity, boot: doubtedRun)) }
            doubtedRun = nil
            if victims.isEmpty { return completion() }
            victims.sort { $0.node < $1.node }
            node.control.propose(.nodesDown(.init(victims: victims, proven: proven))) { _ in completion() }
        }
    }

    // Who goes down last is taken for the one that has every acknowledged write. So before this sheep's former run goes down, it has
    // to be known of each other one with storage whether it outlived that run: if it did not, or nobody can tell, they go down with one
    // entry, as equals. Else one that lost its power first, and with it what was not synced, could pass for the last.

    /// The former run of this sheep had storage, and its end is not in the log yet.
    private var mayHaveBeenLast: Bool { node.store != nil && state.nodes[node.identity]?.isUp == true }

    private var isLastCopyInDoubt: Bool {
        mayHaveBeenLast && state.nodes.values.contains { mayBeEqual($0) && node.engine.sight(of: $0.boot, of: $0.id) == .unknown }
    }

    /// It goes down with the former run of this sheep.
    private func isEqual(_ record: Cluster.NodeRecord) -> Bool {
        guard mayHaveBeenLast, mayBeEqual(record) else { return false }
        switch node.engine.sight(of: record.boot, of: record.id) {
        case .ended, .silent: return true
        case .running, .unknown: return false
        }
    }

    private func mayBeEqual(_ record: Cluster.NodeRecord) -> Bool { record.isUp && !record.isGateway && record.id != node.identity }

    /// While this sheep waits to join, those it waits for may die, and perhaps nobody else is there to notice.
    private func lookForTheDead() {
        node.clock.schedule(after: 2 * NodeTiming.tick) { [weak self] in
            guard let self, reach.isWaitingToJoin, !hasJoined else { return }
            callDownTheDead { [weak self] in self?.lookForTheDead() }
        }
    }

    private func announce() {
        let disks = node.store.map { store in
            [DiskAnnouncement(id: store.identity.disk, capacity: (try? store.space().total) ?? 0)]
        }
        node.control.propose(.nodeUp(announcement(of: disks ?? [], lostPower: lostPower))) { [weak self] result in
            guard let self else { return }
            if case .refused(let error) = result { return node.end(.failed("cannot join the cluster: \(error.message)")) }
            hasJoined = true
            node.engine.joined()
            joinedAt = node.clock.now()
            node.logger.info("joined the cluster as \(node.identity), boot \(node.boot)")
            node.joined?()
            probeFences()
            // It may have failed before the log knew this run.
            if node.store?.hasFailed ?? false { diskFailed(of: node.identity) }
            node.replica.joined()
            node.recovery.joined()
        }
    }

    private func announcement(of disks: [DiskAnnouncement], lostPower: Bool) -> ControlCommand.NodeUp {
        ControlCommand.NodeUp(
            node: node.identity, boot: node.boot, address: node.options.address, zone: node.options.zone,
            virtualNodes: node.options.virtualNodes, disks: disks, lostPower: lostPower, reached: hasJoined ? nil : node.engine.reachedBefore,
            dataAddress: node.options.dataAddress)
    }

    /// An orderly leave: the others need not find out. Calls back when the log says so, or at once when it cannot.
    func leave(completion: @escaping () -> Void) {
        guard hasJoined else { return completion() }
        isLeaving = true
        // One that has fallen silent may be dead, and would be the last to go down though this sheep outlived it. The others find out
        // about both, and call them down as equals.
        if node.store != nil, !reach.hears(allWithStorageBut: node.identity) { return completion() }
        node.control.propose(
            .nodesDown(.init(victims: [.init(node: node.identity, boot: node.boot)], proven: true))
        ) { _ in completion() }
    }

    // MARK: Noticing who left

    func linked(to peer: NodeID) { reach.linked(to: peer) }

    func unlinked(from peer: NodeID) { suspected(peer) }

    /// Tries to prove a node dead; with proof it goes down at once.
    func suspected(_ peer: NodeID) {
        guard hasJoined, let record = state.nodes[peer], record.isUp, peer != node.identity else { return }
        guard probing.insert(peer).inserted else { return }
        node.engine.proveDead(peer) { [weak self] proven in
            guard let self else { return }
            probing.remove(peer)
            if proven { callDown([record], proven: true, why: "died") }
        }
    }

    func callDown(_ records: [Cluster.NodeRecord], proven: Bool, why: String) {
        let current = records.filter { state.nodes[$0.id]?.boot == $0.boot && state.nodes[$0.id]?.isUp == true }
            .filter { calledDown.insert($0.boot).inserted }
        guard !current.isEmpty else { return }
        for record in current { node.logger.warning("\(record.address) \(why): it is called down") }
        let victims = current.map { ControlCommand.NodesDown.Victim(node: $0.id, boot: $0.boot) }
        node.control.propose(.nodesDown(.init(victims: victims, proven: proven)))
    }

    /// A member that keeps a change waiting beyond its bound leaves, where enough others stay, one in a second. Who has just
    /// stood still itself has no right to say so: what it waits for was answered meanwhile, or is answered by others now.
    ///
    /// - Parameter mayBeOwn: Of this sheep's own disk its own loop can hold up a change, but no sync for so long.
    /// True when it is made to leave.
    @discardableResult
    func slow(_ disk: DiskID, mayBeOwn: Bool = false) -> Bool {
        let now = node.clock.now()
        guard node.leaseHeld, now <= lastTick + 2 * NodeTiming.tick, now >= stoodStillUntil + MemberLatencies.shortestBound else { return false }
        guard let owner = state.disks[disk]?.node, mayBeOwn || owner != node.identity, !failedDisks.contains(disk) else { return false }
        let isOwn = owner == node.identity
        if !isOwn { suspected(owner) }
        guard isOwn || node.network.isLinked(to: owner), now >= diskLeftAt + NodeTiming.betweenSlowMembers, state.mayLeave(disk) else { return false }
        // One that has fallen silent may be dead: it would be taken for the one that has everything, though it may have lost its power.
        guard reach.hears(allWithStorageBut: owner) else { return false }
        diskLeftAt = now
        leave(disk, of: owner)
        return true
    }

    /// The node's disk failed (its own word, or an error that it answered).
    func diskFailed(of owner: NodeID) {
        guard let disk = state.nodes[owner]?.diskIDs.first, !failedDisks.contains(disk) else { return }
        leave(disk, of: owner)
    }

    private func leave(_ disk: DiskID, of owner: NodeID) {
        guard let boot = state.nodes[owner]?.boot else { return }
        failedDisks.insert(disk)
        node.logger.warning("disk \(disk) of \(owner) leaves the in-sync sets")
        node.control.propose(.diskOut(disk, boot: boot))
    }

    /// This sheep's disk failed for good: as soon as nothing needs it any more as the last one that had something, it is
    /// announced no more, so that the next epoch gives its share to others. The sheep goes on as a gateway.
    private func detachFailedDisk() {
        guard let store = node.store, store.hasFailed, !isDetached, !isLeaving, let record = state.disks[store.identity.disk],
            record.isAttached, state.isOut(node.identity), !state.closedGroups.hasAny
        else { return }
        isDetached = true
        node.logger.critical("disk \(store.identity.disk) failed: its share goes to others; this sheep goes on as a gateway")
        node.control.propose(.nodeUp(announcement(of: [], lostPower: false))) { [weak self] result in
            if case .refused = result { self?.isDetached = false }
        }
    }

    /// After a clean stop of the cluster its nodes return one after another; a lease granted meanwhile would call those
    /// outdated that are still on their way, so they are waited for a little.
    var cleanNodesAreAwaited: Bool {
        node.clock.now() - joinedAt < NodeTiming.cleanReturn && state.nodes.values.contains { !$0.isUp && !$0.isRemoved && $0.cleanStop != nil }
    }

    /// For so long nobody may act on the latest `nodesDown` without proof: one of them may still hold its node lease.
    var fenceRemaining: UInt64 {
        let now = node.clock.now()
        return fences.values.reduce(0) { max($0, $1.until > now ? $1.until - now : 0) }
    }

    private func noteFences(_ entry: ControlEntry) {
        switch entry.command {
        case .nodesDown(let down) where down.proven:
            for victim in down.victims {
                fences[victim.boot] = nil
                if victim.node == node.identity { doubtedRun = nil }
            }
        case .nodesDown(let down):
            let until = node.clock.now() + nodeFenceDuration
            for victim in down.victims {
                fences[victim.boot] = (victim.node, until)
                if victim.node == node.identity { doubtedRun = victim.boot }
            }
            probeFences()
        case .nodeUp(let up):
            // Its former run has ended before this one began.
            for (boot, fence) in fences where fence.node == up.node && boot != up.boot { fences[boot] = nil }
            if up.node == node.identity { doubtedRun = nil }
        default: break
        }
    }

    /// Proof of its death ends a fence early: who is called down ends its run as soon as it sees that.
    private func probeFences() {
        guard hasJoined, !fencesAreProbed else { return }
        let now = node.clock.now()
        for (boot, fence) in fences where fence.until <= now { fences[boot] = nil }
        guard !fences.isEmpty else { return }
        fencesAreProbed = true
        for (boot, fence) in fences.sorted(by: { $0.key < $1.key }) {
            node.engine.proveDead(fence.node) { [weak self] proven in
                if proven { self?.fences[boot] = nil }
            }
        }
        node.clock.schedule(after: NodeTiming.retry) { [weak self] in
            self?.fencesAreProbed = false
            self?.probeFences()
        }
    }

    // MARK: The control log

    func applied(_ entry: ControlEntry, at index: LogIndex) {
        noteFences(entry)
        if case .nodesDown(let down) = entry.command {
            if hasJoined, !isLeaving, down.victims.contains(where: { $0.boot == node.boot }) { return wasCalledDown() }
        }
        if case .diskOut = entry.command { diskLeftAt = node.clock.now() }
        if case .shutdown = entry.command, hasJoined, !isLeaving { stopCleanly() }
        if case .nodeUp(let up) = entry.command {
            for disk in up.disks { failedDisks.remove(disk.id) }
            outTried = []
        }
        switch entry.command {
        // It answers, so it may fail anew.
        case .syncing(let disk, _, _), .inSync(let disk, _, _): failedDisks.remove(disk)
        case .openGroups: failedDisks = []
        default: break
        }
    }

    /// A snapshot of the state took the place of entries that this sheep, which stood still for long, never saw. The one that
    /// called it down may be among them, or one that changed a volume that is open here: it starts anew.
    func stateReplaced() {
        if hasJoined {
            if !isLeaving { wasCalledDown() }
            return
        }
        // Somebody may have been called down in it only just now, without proof.
        let until = node.clock.now() + nodeFenceDuration
        for record in state.nodes.values where !record.isUp && record.id != node.identity { fences[record.boot] = (record.id, until) }
        probeFences()
    }

    private func wasCalledDown() {
        node.logger.warning("the other sheep called this one down: it starts anew")
        node.end(.calledDown)
    }

    /// The cluster shuts down: everything is settled and nobody holds a lease, so what is made durable now is complete.
    private func stopCleanly() {
        isLeaving = true
        let stop = { [node] in
            node.control.propose(.cleanStop(node.identity, boot: node.boot)) { [node] _ in
                // A moment for the answer to whoever asked.
                node.clock.schedule(after: 100_000_000) { [node] in node.end(.stopped) }
            }
        }
        guard let store = node.store else { return stop() }
        store.flush { [node] error in
            if let error {
                node.logger.error("the store could not be made durable: \(error.message)")
                return node.end(.failed(error.message))
            }
            stop()
        }
    }

    // MARK: The passage of time

    func tick(now: UInt64) {
        discountOwnPause(now: now)
        if reach.isWaitingToJoin { reach.tick(now: now, isMember: false) }
        guard hasJoined, node.isServing else { return }
        reach.tick(now: now, isMember: true)
        noteDown(now: now)
        detachFailedDisk()
        guard isLowest, !proposalUnderWay else { return }
        planPlacement(now: now)
        openGroups(now: now)
        takeOut(now: now)
    }

    /// While this sheep (or the whole machine) stood still it could hear nobody: that silence is not the others'.
    private func discountOwnPause(now: UInt64) {
        defer { lastTick = now }
        guard lastTick > 0, now > lastTick + 2 * NodeTiming.tick else { return }
        let pause = now - lastTick
        stoodStillUntil = now
        // What came after the pause, but before this tick, is not from the future.
        reach.discount(pause, now: now)
        joinedAt = min(now, joinedAt + pause)
    }

    /// Of the nodes that are up, the one that proposes for all.
    var isLowest: Bool {
        !state.nodes.values.contains { $0.isUp && $0.id < node.identity }
    }

    private func propose(_ command: ControlCommand) {
        proposalUnderWay = true
        node.control.propose(command) { [weak self] _ in self?.proposalUnderWay = false }
    }

    private func planPlacement(now: UInt64) {
        guard state.pendingPlacement else { return placementPendingSince = nil }
        let since = placementPendingSince ?? now
        placementPendingSince = since
        if now - since >= NodeTiming.placementGathering {
            placementPendingSince = nil
            propose(.planPlacement)
        }
    }

    /// Looked at four times a second, and the same until the log goes on.
    private var closedGroups: ClosedGroups {
        if let (index, groups) = knownClosed, index == state.appliedIndex { return groups }
        let groups = state.closedGroups
        knownClosed = (state.appliedIndex, groups)
        return groups
    }

    /// After a full stop: groups whose last members are all back open at once, others after a wait for the absent.
    private func openGroups(now: UInt64) {
        let closed = closedGroups
        let present = state.nodes.values.filter { $0.isUp }.flatMap(\.diskIDs).sorted()
        let preferred = present.filter { !state.disks[$0]!.lostPower }
        let wait = preferred.isEmpty ? NodeTiming.openingWaitAfterPowerLoss : NodeTiming.openingWait
        guard closed.canOpen, closed.allMembersAreUp || now >= joinedAt + wait else { return }
        propose(.openGroups(present: present, preferred: preferred))
    }

    /// Since when this sheep sees a node down, by its own clock: wall clocks jump.
    private func noteDown(now: UInt64) {
        for record in state.nodes.values {
            if record.isUp { downSeen[record.id] = nil } else if downSeen[record.id] == nil { downSeen[record.id] = now }
        }
    }

    /// A node is taken out when this sheep, up for as long, saw it down for so long: after a stop of the whole cluster, however
    /// long it was, all have that time to return.
    private func takeOut(now: UInt64) {
        guard now >= joinedAt + node.options.downOut else { return }
        for record in state.nodes.values.sorted(by: { $0.id < $1.id }) where !record.isUp && !record.isRemoved && !record.isGateway {
            guard let since = downSeen[record.id], now - min(now, since) > node.options.downOut else { continue }
            guard outTried.insert(record.id).inserted else { continue }
            propose(.nodeOut(record.id, byOperator: false))
        }
    }

    private var outTried: Set<NodeID> = []
}
