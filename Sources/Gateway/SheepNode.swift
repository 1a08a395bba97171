// Invariants
// 1. Everything of a sheep happens on one thread: the event loop of the process, or the simulator's.
// 2. A sheep serves only while it is up in the control log with its present boot id and holds the node lease.
// 3. A sheep that the log calls down never serves again in this run: it starts anew with another boot id.
import Cluster
package import Logging
package import NIOCore
package import ObjectModel
package import ObjectStore
package import SheepProtocol

/// One sheep: its parts and how they hear of each other.
package final class SheepNode<Env: NodeEnvironment> {
    package let identity: NodeID
    package let boot: BootID
    package let options: NodeOptions
    package let clock: Env.Clock
    package let network: Env.Network
    package let engine: Env.Engine
    /// Nil: a gateway without storage.
    package let store: ObjectStore<Env.StoreDisk>?
    package let logger: Logger
    /// The system's generator, or the simulator's.
    let random: () -> UInt64
    package let control: ControlPlane<Env.Engine>

    package private(set) var replica: ReplicaService<Env>!
    private(set) var source: RecoverySource<Env>!
    package private(set) var recovery: Recovery<Env>!
    package private(set) var repairer: Repairer<Env>!
    package private(set) var scrubber: Scrubber<Env>!
    package private(set) var garbage: GarbageCollector<Env>!
    package private(set) var membership: Membership<Env>!

    private var sets: ReplicaSetCache
    private var ancestries: [Birth: [Birth]] = [:]
    private(set) var sessions: [Birth: VolumeSession<Env>] = [:]
    private var closedCounts: [UInt8: Bool] = [:]
    private var groupHealths: [CopyCounts: GroupHealth] = [:]
    private var leaseWaiters: [() -> Void] = []
    private var leaseCheckPending = false
    private var isStopped = false
    private var isUp = false
    /// The log was read to its end once; entries before that tell of the past.
    private var hasReplayed = false
    private var releasingUntil: UInt64 = 0
    /// Has changed when the control state has: the index of the last entry that did.
    package private(set) var revision: UInt64 = 0
    /// This node's incarnation, and the runs of all nodes, as of the last entry.
    private(set) var incarnation = Incarnation.zero
    private(set) var boots: [NodeID: BootID] = [:]
    /// Of the runs that are up.
    private(set) var upBoots: Set<BootID> = []
    /// Of the nodes that are up.
    private(set) var incarnations: [NodeID: Incarnation] = [:]
    /// See ``nextOrigin()``.
    private var nextOriginNumber: UInt64 = 1
    private(set) var membershipVersion = LogIndex.zero
    private var facts: [Birth: VolumeFacts] = [:]
    private var ticks = 0
    package var repairs = RepairCounters()
    /// Of clients, through this gateway.
    package var requests = RequestCounters()
    /// Of changes that this sheep ordered as an owner.
    var latencies = LatencyWindow()
    /// Of clients' reads, at whatever sheep they are asked for, that waited for this one's disk.
    var readLatencies = LatencyWindow()
    /// Of changes at other sheep.
    var memberLatencies = MemberLatencies()
    private(set) var load = ClientLoad.none
    var checks = CheckRuns()

    /// Where other processes of this machine see whether what they read by themselves counts; nil: they ask for everything.
    package var readBoard: ReadBoard?

    /// Called once: the control log names this run.
    package var joined: (() -> Void)?
    /// Called once: this run is over. With a reason when it must not simply start again.
    package var ended: ((NodeEnd) -> Void)?

    package init(
        identity: NodeID, boot: BootID, options: NodeOptions, clock: Env.Clock, network: Env.Network, engine: Env.Engine,
        store: ObjectStore<Env.StoreDisk>?, report: StartReport?, lostPower: Bool, random: @escaping () -> UInt64,
        logger: Logger
    ) {
        (self.identity, self.boot, self.options, self.clock) = (identity, boot, options, clock)
        sets = ReplicaSetCache(node: identity)
        (self.network, self.engine, self.store, self.logger, self.random) = (network, engine, store, logger, random)
        control = ControlPlane(
            engine: engine, node: identity, wallClock: { clock.wallClock() },
            randomRequest: { RequestID(high: random(), low: random()) })
        replica = ReplicaService(node: self, lostPower: lostPower)
        source = RecoverySource(node: self)
        recovery = Recovery(node: self, report: report)
        repairer = Repairer(node: self)
        garbage = GarbageCollector(node: self)
        membership = Membership(node: self, lostPower: lostPower)
        scrubber = Scrubber(node: self)
        network.delegate = self
        control.applied = { [unowned self] in applied($0, at: $1, result: $2) }
        control.restoredState = { [unowned self] in stateReplaced() }
        control.started = { [unowned self] in
            if control.state.cluster == nil, let own = self.store?.identity.cluster {
                return end(.failed(
                    """
                    the control log knows of no cluster, but this store belongs to cluster \(own): the log was lost. Put it back, or start the \
                    sheep of this machine that ran last with --restore-log; for a new cluster give empty stores
                    """))
            }
            hasReplayed = true
            membership.join()
        }
        control.suspected = { [unowned self] in membership.suspected($0) }
        control.failed = { [unowned self] in end(.failed($0)) }
        store?.mayRetire = { [unowned self] region in recovery.mayRetire(region) && !replica.hasUnsettled(in: region) }
        store?.onDamage = { [unowned self] in repairer.found($0) }
        store?.onFailure = { [unowned self] error in
            logger.critical("the store failed: \(error.message)")
            membership.diskFailed(of: identity)
        }
    }

    package func start() {
        replica.decideNotes { [self] in
            guard !isStopped else { return }
            engine.start()
            tick()
            storeTick()
        }
    }

    /// Ends this run; nothing is answered any more.
    package func end(_ how: NodeEnd) {
        guard !isStopped else { return }
        scrubber.stop()
        isStopped = true
        postLease()
        engine.stop()
        network.keepLinks(to: [])
        ended?(how)
    }

    /// Of a process that is dead as it is: lets go of all that waits and of what refers to itself, the store's too. Nothing may come to it
    /// after this.
    package func dismantle() {
        (replica, source, recovery, repairer, scrubber, garbage, membership) = (nil, nil, nil, nil, nil, nil, nil)
        store?.dismantle()
        for session in sessions.values { session.dismantle() }
        (sessions, leaseWaiters) = ([:], [])
    }

    /// Tells the others that this sheep leaves, before it stops.
    package func leave(completion: @escaping () -> Void) { membership.leave(completion: completion) }

    /// How the sheep calls itself in texts for people.
    package var name: String { options.address.description }

    // MARK: State that the parts share

    /// The members of a group for volumes of so many copies, under the present membership.
    func replicaSet(of group: PlacementGroup, copies: UInt8) -> ReplicaSet {
        replicas(of: group, copies: copies).set
    }

    /// The same without copying the set; for the data path.
    func replicas(of group: PlacementGroup, copies: UInt8) -> ReplicaSetCache.Entry {
        sets.entry(for: group, copies: copies) { control.state.replicas(of: group, copies: copies) }
    }

    /// This sheep has an in-sync replica of the slot.
    func holdsCurrent(_ slot: ObjectSlot, copies: UInt8) -> Bool {
        replicas(of: slot.group, copies: copies).isCurrentHere
    }

    /// Some group has no in-sync member for so many copies. Worked out once per membership.
    func hasClosedGroups(copies: UInt8) -> Bool {
        if let known = closedCounts[copies] { return known }
        let closed = control.state.hasClosedGroups(copies: copies)
        closedCounts[copies] = closed
        return closed
    }

    /// Worked out once per membership: with the ring of a real cluster it takes some milliseconds.
    func groupHealth(copies counts: CopyCounts) -> GroupHealth {
        if let known = groupHealths[counts] { return known }
        let health = control.state.groupHealth(copies: counts)
        groupHealths[counts] = health
        return health
    }

    /// What the data path asks of a birth, worked out once per entry of the log.
    func facts(of birth: Birth) -> VolumeFacts? {
        if let known = facts[birth] { return known }
        guard let volume = control.state.volume(birth) else { return nil }
        let found = VolumeFacts(volume, leaseTerm: control.state.leases[birth]?.term)
        facts[birth] = found
        return found
    }

    /// Self first, the root last.
    func ancestry(of birth: Birth) -> [Birth] {
        if let known = ancestries[birth] { return known }
        let ancestry = control.state.ancestry(of: birth)
        ancestries[birth] = ancestry
        return ancestry
    }

    /// No disk is being filled anywhere, as of the latest change of the membership.
    private var nobodyRecovers = true
    /// As of the latest change of the membership.
    private(set) var allDisksAreInSync = true
    /// Nodes that are up and have disks.
    private(set) var storingNodes: Set<NodeID> = []

    /// Up in the control log with the present boot id; noted with each entry, because every request asks.
    package var isServing: Bool { !isStopped && isUp }

    // MARK: The node lease

    /// This sheep may answer: it is up, and its last look at the control log that said so began less than T ago.
    package var leaseHeld: Bool {
        guard isServing else { return false }
        if clock.now() < engine.lastLookStarted + nodeLeaseDuration { return true }
        engine.look()
        return isServing && clock.now() < engine.lastLookStarted + nodeLeaseDuration
    }

    /// Tells other processes how long what they read by themselves counts.
    private func postLease() { readBoard?.setLease(until: isServing ? engine.lastLookStarted + nodeLeaseDuration : 0) }

    /// Runs `action` while the lease is held: now, or after a look at the log confirmed it, or never if this run is over.
    func whenLeaseHeld(_ action: @escaping () -> Void) {
        if leaseHeld { return action() }
        leaseWaiters.append(action)
        checkLeaseLater()
    }

    private func checkLeaseLater() {
        guard !leaseCheckPending, !isStopped else { return }
        leaseCheckPending = true
        clock.schedule(after: NodeTiming.retry) { [weak self] in
            guard let self else { return }
            leaseCheckPending = false
            guard leaseHeld else { return checkLeaseLater() }
            let actions = leaseWaiters
            leaseWaiters = []
            for action in actions { action() }
        }
    }

    /// Runs `action` when everything was applied here that was committed anywhere before this call, so that what one sheep
    /// acknowledged is known at every other: at once when the log has nothing new, after a second at the latest.
    package func whenCurrent(_ action: @escaping () -> Void) { whenCurrent { _ in action() } }

    /// The same, and tells whether that is so.
    func whenCurrent(_ action: @escaping (_ isCurrent: Bool) -> Void) {
        let asked = clock.now()
        engine.look()
        awaitLook(since: asked, action)
    }

    private func awaitLook(since asked: UInt64, _ action: @escaping (_ isCurrent: Bool) -> Void) {
        if engine.lastLookStarted >= asked { return action(true) }
        if !isServing || clock.now() - asked > 1_000_000_000 { return action(false) }
        clock.schedule(after: 1_000_000) { [weak self] in
            guard let self else { return }
            engine.look()
            awaitLook(since: asked, action)
        }
    }

    // MARK: Sessions

    /// The session of a working volume, made on first use.
    func session(for birth: Birth) -> VolumeSession<Env>? {
        if let known = sessions[birth] { return known }
        guard let volume = control.state.volume(birth), !volume.isFrozen, !volume.isDeleted else { return nil }
        let session = VolumeSession(node: self, volume: volume)
        sessions[birth] = session
        return session
    }

    /// Of a change that this sheep is about to pass on, or the mark of a watch. Nothing else of any volume has it, under whatever birth.
    func nextOrigin() -> ChangeOrigin {
        defer { nextOriginNumber += 1 }
        return ChangeOrigin(boot: boot, request: nextOriginNumber)
    }

    /// In order of their births, so that a simulated run repeats exactly.
    private var orderedSessions: [VolumeSession<Env>] { sessions.sorted { $0.key < $1.key }.map { $0.value } }

    /// Changes that this sheep ordered as an owner and that are not on all members yet. Its own replica gets them
    /// directly, so they stand in no window of the replica service.
    var ownChanges: [UnsettledRecord] {
        orderedSessions.flatMap { session in
            session.window.active.map { change in
                var record = UnsettledRecord(
                    term: session.term ?? .zero, sequence: change.sequence,
                    object: ObjectName(family: session.volume.family, index: change.index, birth: session.birth),
                    kind: change.kind, offset: UInt32(change.offset), length: UInt32(change.length), origin: change.origin)
                // It failed here, and is about to be tried again.
                record.isPartial = store.map { !change.isAt($0.identity.disk) } ?? true
                return record
            }
        }
    }

    /// The cluster is about to shut down: volumes are not opened, requests wait.
    var isReleasing: Bool { clock.now() < releasingUntil }

    func beginReleasing() { releasingUntil = clock.now() + NodeTiming.releasing }

    /// This sheep, as the owner, has changes under way in the region.
    func isChanging(_ region: ListedRegion) -> Bool {
        guard let session = sessions[region.birth] else { return false }
        return session.window.active.contains { region.indices.contains(UInt64($0.index)) }
    }

    /// Sheepdog's clients, when they delete a snapshot, zero slots of the working volume, which they do not mean.
    package func forgetDelayedTrims(of family: Family) {
        for session in sessions.values where session.volume.family == family { session.delayedTrims.removeAll() }
    }

    /// Drains and gives back every lease of this sheep.
    package func releaseAll(completion: @escaping () -> Void) {
        var remaining = sessions.count
        if remaining == 0 { return completion() }
        for session in orderedSessions {
            session.release {
                remaining -= 1
                if remaining == 0 { completion() }
            }
        }
    }

    // MARK: The control log

    private func noteMembers() {
        let nodes = control.state.nodes
        revision = control.state.appliedIndex.rawValue
        boots = nodes.mapValues(\.boot)
        incarnation = nodes[identity]?.incarnation ?? .zero
        isUp = nodes[identity].map { $0.isUp && $0.boot == boot } ?? false
        facts.removeAll(keepingCapacity: true)
        // Whatever it was: what others read by themselves they ask for again.
        readBoard?.invalidate()
        postLease()
        guard membershipVersion != control.state.membershipVersion else { return }
        membershipVersion = control.state.membershipVersion
        incarnations = nodes.filter(\.value.isUp).mapValues(\.incarnation)
        upBoots = Set(nodes.values.lazy.filter(\.isUp).map(\.boot))
        nobodyRecovers = !control.state.disks.values.contains(where: \.isSyncing)
        allDisksAreInSync = control.state.disks.keys.allSatisfy { control.state.isInSync($0) }
        memberLatencies.keep { control.state.disks[$0] != nil }
        storingNodes = Set(nodes.values.lazy.filter { $0.isUp && !$0.isGateway }.map(\.id))
        sets.membershipChanged()
        (closedCounts, groupHealths) = ([:], [:])
    }

    /// The entry opened groups with disks of which these alone kept all that they acknowledged.
    private func writesMayBeLost(at index: LogIndex, butOn kept: Set<DiskID>) {
        for session in orderedSessions {
            session.membersLostWrites { group in
                replicas(of: group, copies: session.volume.copies).set.inSync.contains { member in
                    !kept.contains(member.disk) && control.state.disks[member.disk]?.touched[group] == index
                }
            }
        }
    }

    /// What the volumes had may not be there any more.
    private func forgetObjects() {
        for session in orderedSessions { session.knownObjects = [] }
    }

    private func applied(_ entry: ControlEntry, at index: LogIndex, result: ControlResult) {
        if case .refused = result { return }
        noteMembers()
        ancestries.removeAll(keepingCapacity: true)
        switch entry.command {
        case .snapshotVolume(let command): moved(command.volume, result)
        case .rollbackVolume(let command): moved(command.volume, result)
        case .format:
            // An earlier format that is replayed must not empty a store that belongs to the cluster of a later one.
            if hasReplayed, let cluster = control.state.cluster { formatted(cluster) }
        case .handOverLease(let birth, _, _, to: identity) where control.state.leases[birth]?.boot == boot: _ = session(for: birth)
        case .acquireLease, .releaseLease, .handOverLease, .createVolume, .cloneVolume, .resizeVolume, .deleteVolume, .setAttribute,
            .forgetVolume, .renameVolume, .lockVolume, .unlockVolume, .nodesDown, .nodeUp, .nodeOut, .planPlacement, .diskOut, .groupsOut,
            .syncing, .syncStopped,
            .inSync, .shutdown, .cleanStop:
            break
        case .openGroups(_, let preferred): writesMayBeLost(at: index, butOn: Set(preferred))
        case .forceOpen:
            forgetObjects()
            writesMayBeLost(at: index, butOn: [])
        case .giveUpNode:
            forgetObjects()
            // What nobody serves may have waited for that node.
            for session in orderedSessions {
                session.membersLostWrites { replicas(of: $0, copies: session.volume.copies).set.inSync.isEmpty }
            }
        }
        if control.state.membershipVersion == index { membershipChanged(index) }
        for session in orderedSessions { session.refresh() }
        membership.applied(entry, at: index)
        if case .deleteVolume(let command) = entry.command {
            garbage.volumesChanged()
            if let family = control.state.volume(command.volume)?.family { forgetDelayedTrims(of: family) }
        }
        if case .rollbackVolume = entry.command { garbage.volumesChanged() }
        if case .forgetVolume = entry.command { garbage.straysMayBe() }
        // It may have made this sheep's replicas current, which did not collect while they were not.
        switch entry.command {
        case .openGroups, .forceOpen: garbage.volumesChanged()
        default: break
        }
        if case .nodesDown(let down) = entry.command {
            for victim in down.victims {
                replica.forget(gateway: victim.boot)
                for session in orderedSessions { session.forget(gateway: victim.boot) }
            }
        }
        if case .deleteVolume(let command) = entry.command {
            sessions[command.volume] = nil
            // Nobody will roll its last changes forward.
            replica.forget(command.volume)
        }
    }

    private func moved(_ old: Birth, _ result: ControlResult) {
        guard case .volume(let new) = result else { return }
        if let session = sessions.removeValue(forKey: old) {
            sessions[new] = session
            session.moved(to: new)
        } else {
            replica.move(from: old, to: new)
        }
    }

    private func membershipChanged(_ index: LogIndex) {
        replica.membershipChanged(index)
        membership.reach.membersChanged()
        keepLinks()
        for session in orderedSessions { session.membershipChanged() }
        recovery.membershipChanged()
        repairer.membershipChanged()
        garbage.membershipChanged()
    }

    private func stateReplaced() {
        noteMembers()
        ancestries = [:]
        membership.reach.membersChanged()
        keepLinks()
        membership.stateReplaced()
    }

    /// Links to all who are up, and to those who want to be.
    func keepLinks() {
        guard !isStopped else { return }
        network.keepLinks(to: (peers + membership.reach.wantedPeers).sorted { $0.node < $1.node })
    }

    private var peers: [Peer] {
        control.state.nodes.values.filter { $0.isUp && $0.id != identity }
            .map { Peer(node: $0.id, boot: $0.boot, address: $0.address, dataAddress: $0.dataAddress) }
            .sorted { $0.node < $1.node }
    }

    private func formatted(_ cluster: ClusterRecord) {
        for session in orderedSessions { session.becomeDeleted() }
        sessions = [:]
        takeCluster(cluster.id, afterFormat: true)
    }

    /// The store belongs to the cluster that the log names; one that belonged to another is emptied by a format only.
    func takeCluster(_ cluster: ClusterID, afterFormat: Bool) {
        guard let store else { return }
        if let own = store.identity.cluster, own != cluster, afterFormat {
            return store.wipe { [weak self] _ in self?.end(.calledDown) }
        }
        store.setCluster(cluster) { [weak self] error in
            if let error { self?.end(.failed("this store cannot join the cluster: \(error.message)")) }
        }
    }

    // MARK: The passage of time

    private func tick() {
        guard !isStopped else { return }
        let now = clock.now()
        engine.look()
        postLease()
        ticks += 1
        if ticks % 4 == 0 { control.retry() }
        if store != nil { replica.tick(now: now) }
        for session in orderedSessions {
            session.tick(now: now)
            // With a change that cannot end the volume could not be drained, and would hold up whoever comes.
            if now > session.lastUse + options.leaseUnused, session.window.isEmpty, session.flushes.isEmpty { session.release() } else {
                session.followClients(now: now)
            }
        }
        load = latencies.close(isCalm: nobodyRecovers).orWorse(readLatencies.close(isCalm: nobodyRecovers))
        memberLatencies.close()
        membership.tick(now: now)
        recovery.tick()
        garbage.tick()
        scrubber.tick(now: now)
        clock.schedule(after: NodeTiming.tick) { [weak self] in self?.tick() }
    }

    /// Little at a time, and so more often than all else: who waits for the store meanwhile waits for the loop.
    private func storeTick() {
        guard !isStopped, let store else { return }
        store.tick(now: clock.now())
        clock.schedule(after: NodeTiming.storeTick) { [weak self] in self?.storeTick() }
    }

    /// A member answered with an error: perhaps the log says why.
    func memberRefused(_ member: Replica, error: SheepError) {
        switch error.code {
        case .stale, .noLease, .notOwner: engine.look()
        case .unavailable: membership.suspected(member.node)
        case .inputOutput: membership.diskFailed(of: member.node)
        // It repairs its copy, and if it cannot, it leaves the object's group itself.
        case .damaged: break
        default: logger.warning("\(member.node) refused a change: \(error.message)")
        }
    }

    /// Members that refused a change for want of space, and until when others are sent to them first.
    private var fullMembers: [(disk: DiskID, until: UInt64)] = []

    func foundFull(_ member: Replica) {
        fullMembers.removeAll { $0.disk == member.disk }
        fullMembers.append((member.disk, clock.now() + NodeTiming.fullMember))
    }

    /// Of the members of a set, the one that refused last.
    func fullMember(of set: ReplicaSet) -> Replica? {
        if fullMembers.isEmpty { return nil }
        let now = clock.now()
        fullMembers.removeAll { $0.until < now }
        for full in fullMembers.reversed() {
            if let member = (set.inSync + set.syncing).first(where: { $0.disk == full.disk }) { return member }
        }
        return nil
    }

    package var waitingRequests: Int { sessions.values.reduce(0) { $0 + $1.waitingCount } }
}

/// How a run of a sheep ended.
package enum NodeEnd: Hashable, Sendable {
    /// The others called it down: it has to start anew.
    case calledDown
    /// An orderly end (`dog cluster shutdown`, `dog node kill`).
    case stopped
    case failed(String)
}

/// Damaged blocks, and whole objects that could not be told any more, since the sheep started.
package struct RepairCounters: Hashable, Sendable {
    package var found: UInt64 = 0
    package var done: UInt64 = 0
}

extension SheepNode: PeerNetworkDelegate {
    package func linked(to node: NodeID) {
        membership.linked(to: node)
        for session in orderedSessions { session.membershipChanged() }
    }

    package func unlinked(from node: NodeID) { membership.unlinked(from: node) }

    package func received(
        _ operation: Operation, body: [UInt8], payload: ByteBuffer, from peer: NodeID, boot: BootID,
        reply: @escaping PeerCompletion
    ) {
        guard !isStopped else { return reply(.failure(SheepError(.shuttingDown, "\(name) is stopping"))) }
        do throws(WireError) {
            try serve(operation, body: body, payload: payload, from: peer, boot: boot, reply: reply)
        } catch {
            reply(.failure(SheepError(.invalidArgument, "\(operation): \(error.text)")))
        }
    }

    private func serve(
        _ operation: Operation, body: [UInt8], payload: ByteBuffer, from peer: NodeID, boot: BootID,
        reply: @escaping PeerCompletion
    ) throws(WireError) {
        switch operation {
        case .ping:
            let ping = try Ping(wire: body)
            if ping.logIndex > control.appliedIndex { engine.look() }
            membership.reach.pinged(ping, by: peer, boot: boot, reply: reply)
        case .replicaWrite, .replicaZero: replica.change(try ReplicaChange(wire: body), payload: payload, from: peer, reply: reply)
        case .replicaRead: replica.read(try ReplicaRead(wire: body), from: peer, reply: reply)
        case .replicaStatus: replica.status(try ReplicaRead(wire: body), from: peer, reply: reply)
        case .replicaFlush: replica.flush(try ReplicaFlush(wire: body), from: peer, reply: reply)
        case .replicaGather: replica.gather(try ReplicaGather(wire: body), from: peer, reply: reply)
        case .replicaRecall: replica.recall(try ReplicaRecall(wire: body), from: peer, reply: reply)
        case .replicaSettled:
            replica.settled(try ReplicaSettled(wire: body))
            reply(.success(PeerReply()))
        case .recoveryListing: source.list(try RecoveryListing(wire: body), reply: reply)
        case .recoverySlot: source.slot(try RecoverySlot(wire: body), reply: reply)
        case .volumeMapping: serveMapping(try VolumeMapping(wire: body), reply: reply)
        case .scrubSlot: source.scrub(try ScrubSlot(wire: body), reply: reply)
        case .recoveryRead: source.read(try RecoveryRead(wire: body), reply: reply)
        case .recoveryDigest: source.digest(try RecoveryDigest(wire: body), reply: reply)
        case .nodeReport: reply(.success(PeerReply(body: report.wire)))
        case .releaseLeases:
            // Not waited for: what cannot be drained must not keep the asker, who looks at the log.
            beginReleasing()
            releaseAll {}
            reply(.success(PeerReply(body: Nothing().wire)))
        case .endProcess:
            reply(.success(PeerReply()))
            clock.schedule(after: NodeTiming.retry) { [weak self] in self?.end(.stopped) }
        case .volumeUse:
            let volume = try VolumeUse(wire: body).volume
            reply(.success(PeerReply(body: VolumeUse(volume: volume, users: UInt32(clamping: users(of: volume))).wire)))
        case .usage: reply(.success(PeerReply(body: WireList(localUsage()).wire)))
        case .forward:
            let request = try ForwardRequest(wire: body)
            if request.logIndex <= control.appliedIndex { return forwarded(request, payload, from: peer, boot, reply) }
            whenCurrent { [self] in forwarded(request, payload, from: peer, boot, reply) }
        case .administer: administer(try AdministrationRequest(wire: body), forwardedBy: boot) { result in
            reply(result.map { PeerReply(body: $0.wire) })
        }
        case .hello, .authenticate, .prove, .deviceOpen, .deviceRead, .deviceWrite, .deviceFlush, .deviceZero, .deviceStatus,
            .deviceReadGrant, .devicePayloads, .deviceClose:
            reply(.failure(SheepError(.invalidArgument, "\(operation) is no request between sheep")))
        }
    }

    private func forwarded(
        _ request: ForwardRequest, _ payload: ByteBuffer, from peer: NodeID, _ boot: BootID, _ reply: @escaping PeerCompletion
    ) {
        // Of a run that was called down nothing may be done any more: its clients went on through other sheep.
        guard request.logIndex <= control.appliedIndex, boots[peer] == boot, control.state.nodes[peer]?.isUp == true else {
            return reply(.failure(SheepError(.stale, "\(name) does not know this run of \(peer) as up, or is behind it")))
        }
        guard isServing, let session = sessions[request.volume] else {
            return reply(.failure(SheepError(.notOwner, "\(name) does not hold the lease of volume \(request.volume)")))
        }
        session.serve(request, payload: payload, from: peer, reply: reply)
    }
}
