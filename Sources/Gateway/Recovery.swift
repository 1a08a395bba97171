// Invariants
// 1. A disk is `syncing` by a committed entry before anything is copied, so every later write comes here as well.
// 2. A source applies the log up to that entry before it lists what changed: writes of senders that do not know of the
//    syncing member are in its store or refused.
// 3. A block that came by a write is never overwritten by a copy of it that was begun earlier.
// 4. A disk that fills up while it copies leaves the groups that it never had, and one that has no space left all that it copies:
//    no client's write fails for a copy that is only being made.
// 5. The disk is called in sync only when every slot on the list was made equal and everything is durable here.
import Cluster
import Logging
import NIOCore
import ObjectModel
import ObjectStore
import SheepProtocol

/// Brings this sheep's disk back into sync: lists what changed, compares checksum tables, fetches what differs.
package final class Recovery<Env: NodeEnvironment> {
    private enum Phase {
        /// Everything is in sync, or nothing can be done yet.
        case idle
        case proposing
        case listing
        case copying
        case finishing
    }

    /// Slots compared at the same time.
    private static var width: Int { 8 }

    private unowned(unsafe) let node: SheepNode<Env>
    private let report: StartReport?
    private var phase = Phase.idle
    private var pass = 0
    private var ranges: [GroupRange] = []
    private var listed = false
    private var queue: [ObjectSlot] = []
    private var pending: Set<ObjectSlot> = []
    private var active: [ObjectSlot: SlotRecovery<Env>] = [:]
    /// How often slots were tried in vain.
    private var attempts: [ObjectSlot: Int] = [:]
    private var awaited: Set<NodeID> = []
    private var behind = false
    /// What an unclean stop may have left half done here, or undone.
    private let startRegions: Set<ListedRegion>
    private var behindVersion = LogIndex.zero
    private var lastDone: UInt64 = 0
    private var ticksWithoutProgress = 0
    package private(set) var progress = RecoveryProgress()
    /// Groups that this disk should have are not copied to it, because it is nearly full.
    private(set) var waitsForSpace = false
    /// Of this pass, groups that this disk never had.
    private var inbound: [GroupRange] = []
    /// What was to be copied, or written to what is being copied, found no space.
    private var hasRunOut = false
    /// What the disk has no space for: it leaves these groups when nothing is under way.
    private var leaving: [GroupRange] = []
    /// Nothing is copied before this time, for there was no space.
    private var restsUntil: UInt64?
    private static var rest: UInt64 { 10_000_000_000 }
    private var pace = RecoveryPace()
    private var advancePending = false
    /// Fetches under way at the same time beside clients: one, or so many where that is too slow for the rate.
    private static var widthBesideClients: Int { 4 }
    private var fetchesUnderWay = 0
    private var waitingFetches = CircularBuffer<(bytes: Int, fetch: (FetchPermit) -> Void)>()

    init(node: SheepNode<Env>, report: StartReport?) {
        (self.node, self.report) = (node, report)
        pace.throttle = node.options.recoveryThrottle
        // Listed after a clean stop is what was not on all members then.
        startRegions = Set(report?.listedRegions ?? [])
    }

    private var disk: DiskID? { node.store?.identity.disk }

    /// The log does not call this disk in sync everywhere. Asked for each change, so remembered for each membership.
    private var isBehind: Bool {
        if behindVersion != node.membershipVersion {
            behindVersion = node.membershipVersion
            behind = disk.map { !node.control.state.isInSync($0) } ?? false
        }
        return behind
    }
    package var isIdle: Bool { if case .idle = phase { true } else { false } }

    /// False while objects of the slot may be missing here: a write is then put in alone, without its ancestors' data.
    func isComplete(_ slot: ObjectSlot, copies: UInt8) -> Bool {
        if case .idle = phase { return !isBehind || node.holdsCurrent(slot, copies: copies) }
        if listed, !pending.contains(slot) { return true }
        return node.holdsCurrent(slot, copies: copies)
    }

    /// A write came to a slot that is not complete: the slot is looked at later, and the blocks are not copied over.
    func touched(_ slot: ObjectSlot, _ change: ReplicaChange) {
        if let copy = active[slot] { copy.touched(change) } else { lookAt(slot) }
    }

    /// It failed here: what it passed over has to come from the source.
    func failed(_ slot: ObjectSlot, _ change: ReplicaChange, _ error: SheepError) {
        refused(error)
        if let copy = active[slot] { return copy.failed(change) }
        if case .copying = phase { lookAt(slot) }
    }

    /// Of what is put here, in groups that this disk is not in sync for.
    func refused(_ error: SheepError) {
        if error.code == .noSpace { hasRunOut = true }
    }

    private func lookAt(_ slot: ObjectSlot) {
        guard pending.insert(slot).inserted else { return }
        queue.append(slot)
        progress.total += 1
    }

    // MARK: Start of a pass

    /// This run is up: what an unclean stop left counts as changed, for those that take this sheep as their source.
    func joined() {
        guard let store = node.store, let report else { return membershipChanged() }
        let version = node.control.state.membershipVersion
        for name in report.interruptedCreates { withdraw(name, in: store, version: version) }
        for region in report.listedRegions {
            for object in store.objects(inFamily: region.family, indices: region.indices) where object.name.birth == region.birth {
                store.touch(object.name, version: version)
            }
        }
        membershipChanged()
    }

    /// A create whose file a power cut took never was: nothing in it was durable, for a flush that covered it would have made
    /// its name so. Where another member has the object, it is the one that is compared with.
    private func withdraw(_ name: ObjectName, in store: ObjectStore<Env.StoreDisk>, version: LogIndex) {
        node.logger.warning("object \(name) was being made when the power went: it never was")
        store.withdraw(name, version: version) { [weak self] error in
            if let error { self?.node.logger.error("object \(name) could not be taken back: \(error.message)") }
        }
    }

    /// Slots where this disk may lack what it had before an unclean stop, and what it says of which is not enough for others:
    /// names that a power cut took are in no list of changes.
    func startSlots(in wanted: (PlacementGroup) -> Bool) -> [ObjectSlot] {
        startRegions.sorted().flatMap { region in
            region.indices.lazy.filter { $0 <= UInt64(UInt32.max) }.map { ObjectSlot(family: region.family, index: UInt32($0)) }
        }.filter { wanted($0.group) }
    }

    /// The region's intent may go: nobody needs it to find out what an unclean stop of this sheep left. Until this run has joined,
    /// the log speaks of a former one, which it may call in sync although nothing has been compared since its end.
    func mayRetire(_ region: ListedRegion) -> Bool {
        isIdle && (!startRegions.contains(region) || node.membership.hasJoined && node.allDisksAreInSync)
    }

    func membershipChanged() {
        switch phase {
        case .idle: startPass()
        case .proposing, .listing, .copying, .finishing:
            // Sources may have gone; what is under way fails and is tried with others.
            for copy in active.sorted(by: { $0.key < $1.key }).map(\.value) { copy.membershipChanged() }
        }
    }

    func tick() {
        if case .idle = phase { startPass() }
        if case .copying = phase {
            lookForSpace()
            clientsFare(node.load, at: node.identity)
            pace.adapt(now: node.clock.now())
            advance()
            settleOwnerless()
        }
    }

    /// A slot may wait for changes of an owner that died, which only a new owner rolls forward or makes undone. When nobody uses
    /// the volume, this sheep opens it.
    private func settleOwnerless() {
        guard progress.done == lastDone else { return (lastDone, ticksWithoutProgress) = (progress.done, 0) }
        ticksWithoutProgress += 1
        guard ticksWithoutProgress % 8 == 0 else { return }
        for birth in node.replica.unsettledVolumes where node.control.state.owner(of: birth) == nil {
            node.session(for: birth)?.openForSettling()
        }
    }

    private func startPass() {
        guard node.isServing, let disk, let store = node.store, !store.hasFailed, !node.replica.diskIsSilent,
            node.garbage.straysUnderWay == 0
        else { return }
        let tasks = admissible(RecoveryPlan(for: disk, in: node.control.state).tasks, in: store)
        guard !tasks.isEmpty else { return }
        let since = tasks.map(\.since).min()!
        let toPropose = GroupRange.merged(tasks.filter { !$0.isSyncing }.map(\.range))
        phase = .proposing
        pass += 1
        (listed, queue, pending, progress) = (false, [], [], RecoveryProgress())
        attempts = [:]
        progress.isRunning = true
        ranges = GroupRange.merged(tasks.map(\.range))
        inbound = GroupRange.merged(tasks.filter { $0.since == .zero }.map(\.range))
        (leaving, hasRunOut) = ([], false)
        guard !toPropose.isEmpty else { return list(since: since) }
        let pass = pass
        // A disk that hangs would hold up every change and flush that comes to it as a syncing one.
        store.probe { [weak self] error in
            guard let self, pass == self.pass else { return }
            if let error {
                node.logger.warning("recovery cannot begin: \(error.message)")
                return beginAnew()
            }
            propose(toPropose, since: since, disk)
        }
    }

    private func propose(_ toPropose: [GroupRange], since: LogIndex, _ disk: DiskID) {
        node.control.propose(.syncing(disk, boot: node.boot, toPropose)) { [weak self] result in
            guard let self else { return }
            if case .refused(let error) = result {
                node.logger.warning("recovery cannot begin: \(error.message)")
                return beginAnew()
            }
            node.replica.beganSyncing(toPropose)
            list(since: since)
        }
    }

    /// A nearly full disk takes no copies of what it never had: those groups stay where they are until there is space. What
    /// changed while it was away mostly overwrites what is there.
    private func admissible(_ tasks: [RecoveryPlan.Task], in store: ObjectStore<Env.StoreDisk>) -> [RecoveryPlan.Task] {
        let inbound = tasks.filter { $0.since == .zero && !$0.isSyncing }.map(\.range)
        if let end = restsUntil {
            if node.clock.now() < end { return [] }
            restsUntil = nil
        }
        waitsForSpace = !inbound.isEmpty && store.isNearlyFull
        return waitsForSpace ? tasks.filter { task in !inbound.contains { $0.overlaps(task.range) } } : tasks
    }

    /// Whether what is copied, and what clients write meanwhile, still has room.
    private func lookForSpace() {
        guard let store = node.store, leaving.isEmpty else { return }
        if hasRunOut {
            leaving = ranges
            (restsUntil, waitsForSpace) = (node.clock.now() + Self.rest, true)
        } else if !inbound.isEmpty, store.isNearlyFull {
            leaving = inbound
        }
    }

    private func leave() {
        guard let disk else { return }
        node.logger.error("recovery: the disk is nearly full: it leaves \(leaving.reduce(0) { $0 + $1.size }) groups that it was to have; make space or add disks")
        phase = .proposing
        (listed, pass) = (false, pass + 1)
        node.control.propose(.syncStopped(disk, boot: node.boot, leaving)) { [weak self] _ in self?.beginAnew() }
    }

    /// Gives the pass up. Until the next one has its list, no slot counts as complete here.
    private func beginAnew() {
        phase = .proposing
        listed = false
        pass += 1
        node.clock.schedule(after: NodeTiming.tick) { [weak self] in
            guard let self, case .proposing = phase else { return }
            phase = .idle
            startPass()
        }
    }

    // MARK: Listing

    private func list(since: LogIndex) {
        phase = .listing
        awaited = node.storingNodes.subtracting([node.identity])
        addOwnRegions()
        addOwnChanges(since: since)
        if awaited.isEmpty { return listingDone() }
        let index = node.control.state.appliedIndex
        for source in awaited.sorted() {
            remainingLists[source] = ranges
            listNext(from: source, since: since, index: index, pass: pass)
        }
    }

    private var remainingLists: [NodeID: [GroupRange]] = [:]

    private func listNext(from source: NodeID, since: LogIndex, index: LogIndex, pass: Int) {
        guard pass == self.pass, case .listing = phase, awaited.contains(source) else { return }
        guard node.storingNodes.contains(source), let boot = node.control.state.nodes[source]?.boot else {
            // It went down: the pass begins anew with those that are left.
            return beginAnew()
        }
        guard let range = remainingLists[source]?.last else {
            awaited.remove(source)
            if awaited.isEmpty { listingDone() }
            return
        }
        let request = RecoveryListing(
            receiverBoot: boot, logIndex: index, since: since, firstGroup: range.first, lastGroup: range.last)
        node.network.send(.recoveryListing, body: request.wire, payload: nil, to: source) { [weak self] result in
            guard let self, pass == self.pass else { return }
            if case .success(let reply) = result, let listed = try? RecoveryListing.Listed(wire: reply.body), node.replica.learn(listed.noted) {
                for slot in listed.slots { add(slot) }
                remainingLists[source]?.removeLast()
                return listNext(from: source, since: since, index: index, pass: pass)
            }
            node.clock.schedule(after: NodeTiming.retry) { [weak self] in
                self?.listNext(from: source, since: since, index: index, pass: pass)
            }
        }
    }

    private func add(_ slot: ObjectSlot) {
        guard isMine(slot), pending.insert(slot).inserted else { return }
        queue.append(slot)
        progress.total += 1
    }

    /// A disk of this sheep is a syncing member of the slot for some number of copies in use.
    private func isMine(_ slot: ObjectSlot) -> Bool {
        ranges.contains { $0.contains(slot.group) }
    }

    /// What an unclean stop of this sheep may have left half done: every slot of the regions in its intent log.
    private func addOwnRegions() {
        for slot in startSlots(in: { _ in true }) { add(slot) }
    }

    /// What reached this disk since it left, but perhaps no other member: looked at as well.
    private func addOwnChanges(since: LogIndex) {
        guard let store = node.store else { return }
        let mine = { [ranges] (group: PlacementGroup) in ranges.contains { $0.contains(group) } }
        for object in store.objects(changedSince: since, in: mine) {
            add(ObjectSlot(family: object.name.family, index: object.name.index))
        }
        for removal in store.removals(since: since).sorted(by: { $0.name < $1.name }) where mine(removal.name.group) {
            add(ObjectSlot(family: removal.name.family, index: removal.name.index))
        }
    }

    private func listingDone() {
        listed = true
        phase = .copying
        sortByNeed()
        pace.began(among: node.control.state.nodes.values.filter(\.isUp).map(\.id), now: node.clock.now())
        node.logger.info("recovery: \(queue.count) slots to compare")
        advance()
    }

    /// What has the fewest copies comes first; the queue is worked from its end.
    private func sortByNeed() {
        var wanted: [Family: UInt8] = [:]
        let needs = queue.map { slot -> (copies: Int, slot: ObjectSlot) in
            let copies = wanted[slot.family] ?? node.control.state.copiesInUse(in: slot.family).smallest ?? 1
            wanted[slot.family] = copies
            return (node.replicaSet(of: slot.group, copies: copies).inSync.count, slot)
        }
        queue = needs.sorted { $0 > $1 }.map(\.slot)
    }

    // MARK: Copying

    private func advance() {
        guard case .copying = phase else { return }
        while active.count < Self.width, !queue.isEmpty {
            lookForSpace()
            if !leaving.isEmpty { break }
            let delay = pace.begin(now: node.clock.now())
            if delay > 0 { return advanceLater(after: delay) }
            let slot = queue.removeLast()
            let copy = SlotRecovery(node: node, slot: slot, attempt: attempts[slot, default: 0]) { [weak self] outcome in self?.ended(slot, outcome) }
            active[slot] = copy
            copy.start()
        }
        guard active.isEmpty else { return }
        if !leaving.isEmpty { leave() } else if queue.isEmpty, pending.isEmpty { finish() }
    }

    private func advanceLater(after delay: UInt64) {
        guard !advancePending else { return }
        advancePending = true
        node.clock.schedule(after: delay) { [weak self] in
            guard let self else { return }
            advancePending = false
            advance()
        }
    }

    // MARK: The pace

    /// What an operator allows; takes effect at once.
    var throttle: RecoveryThrottle {
        get { pace.throttle }
        set { pace.throttle = newValue }
    }

    func clientsFare(_ load: ClientLoad, at sheep: NodeID) { pace.noted(load, at: sheep, now: node.clock.now()) }

    /// Clients are busy meanwhile, or may be: not all sheep have told yet.
    var isBesideClients: Bool { pace.rate != nil }

    /// Runs `fetch` when so many bytes more may be fetched; the permit is given back when what it asked for is done.
    ///
    /// Beside clients few go at a time: a client's request waits behind what came to a loop before it.
    func fetch(_ bytes: Int, _ fetch: @escaping (FetchPermit) -> Void) {
        guard mayFetch else { return waitingFetches.append((bytes, fetch)) }
        fetchesUnderWay += 1
        let permit = FetchPermit { [weak self] in self?.fetched() }
        let delay = pace.reserve(bytes, now: node.clock.now())
        if delay == 0 { return fetch(permit) }
        node.clock.schedule(after: delay) { fetch(permit) }
    }

    private var mayFetch: Bool {
        guard isBesideClients else { return fetchesUnderWay < Self.width }
        return fetchesUnderWay < (pace.isBehind(now: node.clock.now()) ? Self.widthBesideClients : 1)
    }

    private func fetched() {
        fetchesUnderWay -= 1
        while mayFetch, let next = waitingFetches.popFirst() { fetch(next.bytes, next.fetch) }
    }

    private func ended(_ slot: ObjectSlot, _ outcome: SlotOutcome) {
        active[slot] = nil
        switch outcome {
        case .equal(let fetchedObjects, let fetchedBytes):
            pending.remove(slot)
            attempts[slot] = nil
            progress.done += 1
            progress.fetchedObjects += fetchedObjects
            progress.fetchedBytes += fetchedBytes
            advance()
        case .postponed(let reason):
            attempts[slot, default: 0] += 1
            node.logger.debug("recovery: \(slot) waits: \(reason)")
            // What no member can give now is not asked for all the time.
            let pause = attempts[slot]! < 50 ? NodeTiming.retry : 50 * NodeTiming.retry
            let pass = pass
            node.clock.schedule(after: pause) { [weak self] in
                guard let self, pass == self.pass, pending.contains(slot), active[slot] == nil else { return }
                queue.insert(slot, at: 0)
                advance()
            }
        }
    }

    // MARK: End of a pass

    private func finish() {
        guard case .copying = phase, let disk, let store = node.store else { return }
        phase = .finishing
        let pass = self.pass
        store.flush { [weak self] error in
            guard let self, pass == self.pass else { return }
            if let error {
                node.logger.error("recovery: what was fetched could not be made durable: \(error.message)")
                return beginAnew()
            }
            node.control.propose(.inSync(disk, boot: node.boot, ranges)) { [weak self] result in
                guard let self, pass == self.pass else { return }
                phase = .idle
                progress.isRunning = false
                // What was deleted meanwhile was not collected here.
                node.garbage.volumesChanged()
                // Groups that this disk left meanwhile were copied to the end.
                node.garbage.straysMayBe()
                if case .refused(let error) = result { node.logger.warning("recovery: \(error.message)") } else {
                    node.logger.info(
                        "recovery: in sync again; \(progress.done) slots compared, \(progress.fetchedObjects) objects and \(progress.fetchedBytes) bytes fetched")
                }
                startPass()
            }
        }
    }
}

/// The right to have one fetch under way.
final class FetchPermit {
    private var ended: (() -> Void)?
    init(ended: @escaping () -> Void) { self.ended = ended }

    /// On whatever path the fetch ends; once counts.
    func end() {
        let ended = ended
        self.ended = nil
        ended?()
    }
}

/// How far a recovery is, for `dog node recovery`.
package struct RecoveryProgress: Hashable, Sendable {
    package var isRunning = false
    package var total: UInt64 = 0
    package var done: UInt64 = 0
    /// Objects of which at least one block differed.
    package var fetchedObjects: UInt64 = 0
    package var fetchedBytes: UInt64 = 0
}
