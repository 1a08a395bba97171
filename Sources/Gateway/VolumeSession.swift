// Invariants
// 1. Requests are executed here only in the state `owned`, under the term that the control log granted.
// 2. No two overlapping changes are under way at once; a read is answered when no change that overlaps it is.
// 3. A change is acknowledged only when every in-sync and syncing member has it, the in-sync ones are at least the
//    minimum, and this sheep still holds its node lease. Each said so after it knew that they are the members.
// 4. A change that reached any member stays in the window until it is on all members, whatever its client was told.
import Cluster
import Logging
import NIOCore
package import ObjectModel
import ObjectStore
import SheepProtocol

/// One volume at one gateway: finds or becomes its owner, and as the owner orders its changes.
package final class VolumeSession<Env: NodeEnvironment> {
    enum Mode {
        /// Nobody asked for anything lately; no lease.
        case idle
        /// The lease is being taken and the former owner's changes are rolled forward.
        case opening
        /// The lease is ours; the former owner's changes are rolled forward, requests wait.
        case rollingForward(Term)
        case owned(Term)
        /// Another gateway holds the lease.
        case forwarding(NodeID)
        /// A snapshot, rollback or hand-over drains the window; new requests wait.
        case draining(Term)
        /// The volume was deleted.
        case deleted
    }

    /// It outlives its sessions.
    unowned(unsafe) let node: SheepNode<Env>
    package internal(set) var birth: Birth
    var volume: Cluster.VolumeRecord
    var mode = Mode.idle {
        didSet { if case .owned = oldValue { node.readBoard?.invalidate() } }
    }
    var waiting: [VolumeRequest] = []
    var window = ChangeWindow()
    var holds = RangeHolds()
    var nextSequence = Sequence(rawValue: 1)
    /// Wait for members to return or for room in the window.
    var parked: [Waiter] = []
    /// What the next flush must cover; nil: everything, as at the start of a term.
    var unflushed: UnflushedChanges?
    /// The same of this gateway's own clients, whoever is the owner.
    var unflushedHere = UnflushedWrites()
    /// Objects that the volume certainly has of its own, where this sheep holds no current replica.
    var knownObjects: Set<UInt32> = []
    var flushes: [VolumeFlush<Env>] = []
    var forwarder = Forwarder()
    var forwarded = ForwardedChanges()
    var clientChanges = ClientChanges()
    /// Forwarded changes that are done everywhere but whose gateway has not confirmed the reply: not settled yet.
    var unconfirmed: [(sequence: Sequence, origin: ChangeOrigin)] = []
    /// What other gateways send for this term they sent after they knew this entry.
    var termSince = LogIndex.zero
    /// By anybody, in nanoseconds of CLOCK_BOOTTIME.
    var lastUse: UInt64 = 0
    var uses = GatewayUses()
    var drained: (() -> Void)?
    /// The roll-forward that is under way, or the last one.
    weak var takeover: Takeover<Env>?
    /// Wait for the volume to be open here and for those before them.
    var orders: [VolumeOrder] = []
    var orderIsRunning = false
    /// Reads that found no member to ask and look again soon.
    var waitingReads = 0
    /// Requests that wait a moment before they are tried again.
    var waitingRetries = 0
    /// Members that are asked whether they did what is sent once more.
    var recalls: [Recall] = []
    var confirmationPending = false
    private var settledNoticePending = false
    private var lastToldSettled = Sequence.zero
    private var lastToldReplies: [ReplicaSettled.RepliesSeen] = []
    /// The members changed: those that copy from others have their records as well.
    private var allAreToBeTold = false
    private var settledTargets: Set<NodeID> = []
    package var users = 0
    var delayedTrims = DelayedTrims()

    init(node: SheepNode<Env>, volume: Cluster.VolumeRecord) {
        (self.node, self.volume) = (node, volume)
        birth = volume.birth
        lastUse = node.clock.now()
    }

    /// See ``SheepNode/dismantle()``.
    func dismantle() {
        (waiting, parked, flushes, orders) = ([], [], [], [])
        (window, forwarder, drained, delayedTrims) = (ChangeWindow(), Forwarder(), nil, DelayedTrims())
    }

    var term: Term? {
        switch mode {
        case .owned(let term), .draining(let term), .rollingForward(let term): term
        case .idle, .opening, .forwarding, .deleted: nil
        }
    }

    var objectSize: Int { volume.shift.objectSize }

    func group(at offset: UInt64) -> PlacementGroup {
        PlacementGroup(family: volume.family, index: UInt32(offset / UInt64(objectSize)))
    }

    // MARK: Requests

    /// Takes a request; executes it now, or keeps it until the volume is open here or its owner is known.
    func submit(_ request: VolumeRequest) {
        lastUse = max(lastUse, request.receivedAt)
        if !delayedTrims.isEmpty, case .change(_, let length, _, _, _) = request.work { changeComes(at: request.offset, length: length) }
        if request.sender.isGone { return request.fail(ChangeSender.gone) }
        if request.isInDoubt {
            return request.fail(
                SheepError(
                    .inputOutput,
                    "volume \(volume.name): the machines that may have had a change under way ended in the middle of it: make it again"))
        }
        switch mode {
        case .owned: execute(request)
        case .forwarding(let owner): forward(request, to: owner)
        case .opening, .rollingForward, .draining: waiting.append(request)
        case .idle:
            waiting.append(request)
            open()
        case .deleted: request.fail(SheepError(.noSuchVolume, "volume \(volume.name) was deleted"))
        }
    }

    func resubmitWaiting() {
        let requests = waiting
        waiting = []
        for request in requests { submit(request) }
    }

    private func execute(_ request: VolumeRequest) {
        switch request.work {
        case .read(let length, let buffer, let completion):
            read(at: request.offset, length: length, buffer: buffer, since: request.receivedAt, completion: completion)
        case .change(let kind, let length, let data, let durable, let completion):
            if isDone(request.origin) {
                noteUnflushed(index: UInt32(request.offset / UInt64(objectSize)), durable: durable, origin: request.origin)
                return completion(nil)
            }
            guard mayBegin(request) else { return }
            change(
                kind, at: request.offset, length: length, data: data, durable: durable, from: request.sender,
                completion: completion)
        case .flush(let completion): flush(completion: completion)
        case .status(let length, let completion): status(at: request.offset, length: length, completion: completion)
        }
    }

    // MARK: Changes

    /// Splits a change at the objects' borders and completes blocks at its ends.
    private func change(
        _ kind: ChangeKind, at offset: UInt64, length: UInt64, data: ByteBuffer, durable: Bool, from sender: ChangeSender,
        completion: @escaping (SheepError?) -> Void
    ) {
        let size = UInt64(objectSize)
        let within = offset % size
        if length <= size - within {
            return changePiece(
                kind, index: UInt32(offset / size), offset: Int(within), length: Int(length), data: data, durable: durable,
                from: sender, completion: completion)
        }
        PieceSeries(
            offset..<offset + length, data: data, cut: { min($0.upperBound, ($0.lowerBound / size + 1) * size) }, completion: completion
        ) { [self] piece, data, done in
            changePiece(
                kind, index: UInt32(piece.lowerBound / size), offset: Int(piece.lowerBound % size), length: piece.count, data: data,
                durable: durable, from: sender, completion: done)
        }.advance()
    }

    /// A change within one object; not aligned ends are read, merged and written as whole blocks.
    func changePiece(
        _ kind: ChangeKind, index: UInt32, offset: Int, length: Int, data: ByteBuffer, durable: Bool,
        from sender: ChangeSender, completion: @escaping (SheepError?) -> Void
    ) {
        if offset % blockSize == 0, length % blockSize == 0 {
            return startChange(
                kind, index: index, offset: offset, length: length, data: data, durable: durable, from: sender,
                completion: completion)
        }
        // Only the owner may read what it completes a block with.
        guard mayStart(under: nil) else {
            return submitAgain(
                kind, index: index, offset: offset, length: length, data: data, durable: durable, from: sender, completion: completion)
        }
        mergeEdges(
            kind, index: index, offset: offset, length: length, data: data, durable: durable, from: sender,
            completion: completion)
    }

    /// A change that was not begun, and may not be now. One of this gateway's own gets another number when it is forwarded: nobody vouches
    /// for the former one any more, whose request is gone.
    private func submitAgain(
        _ kind: ChangeKind, index: UInt32, offset: Int, length: Int, data: ByteBuffer, durable: Bool,
        from sender: ChangeSender, completion: @escaping (SheepError?) -> Void
    ) {
        submit(
            VolumeRequest(
                offset: UInt64(index) * UInt64(objectSize) + UInt64(offset),
                work: .change(kind, length: UInt64(length), data: data, durable: durable, completion: completion),
                receivedAt: node.clock.now(), origin: sender.origin?.boot == node.boot ? nil : sender.origin, client: sender.client))
    }

    /// Numbers a block-aligned change and sends it to all members, once nothing overlaps it.
    func startChange(
        _ kind: ChangeKind, index: UInt32, offset: Int, length: Int, data: ByteBuffer, durable: Bool,
        from sender: ChangeSender, under hold: RangeHolds.Hold? = nil, since: UInt64? = nil,
        completion: @escaping (SheepError?) -> Void
    ) {
        let waiter = { [weak self] in
            let since = since ?? self?.node.clock.now() ?? 0
            return Waiter(
                since: since,
                run: { [weak self] in
                    guard let self else { return completion(SheepError(.shuttingDown, "the volume was closed")) }
                    startChange(
                        kind, index: index, offset: offset, length: length, data: data, durable: durable, from: sender,
                        under: hold, since: since, completion: completion)
                }, fail: completion)
        }
        guard mayStart(under: hold) else {
            return submitAgain(
                kind, index: index, offset: offset, length: length, data: data, durable: durable, from: sender, completion: completion)
        }
        if isDone(sender.origin) { return completion(nil) }
        if sender.isGone { return completion(ChangeSender.gone) }
        if isOrphaned(sender.origin) {
            return completion(SheepError(.stale, "the gateway that passed it on was called down, and its client may have gone on elsewhere"))
        }
        changeComes(at: UInt64(index) * UInt64(objectSize) + UInt64(offset), length: UInt64(length))
        let slot = ObjectSlot(family: volume.family, index: index)
        // Whoever holds a part holds it of an object that is there, and nobody removes it meanwhile.
        let coversObject = hold.map { $0.length == objectSize } ?? (kind != .write && length == objectSize || !hasOwnObject(slot))
        if let held = holds.conflict(index: index, offset: offset, length: length, coversObject: coversObject, except: hold) {
            return held.dependents.append(waiter())
        }
        if let conflict = window.conflict(index: index, offset: offset, length: length, coversObject: coversObject) {
            return conflict.dependents.append(waiter())
        }
        // Whoever holds the range has read what it writes: it must not lose its place to another.
        if window.isFull, hold == nil { return parked.append(waiter()) }
        // A new owner may show nothing where another member still has what its predecessor trimmed; and a durable trim is
        // answered only when the removal that it finds done is durable.
        if kind == .trim, !durable, case .owned = mode, isKnownAbsent(slot) { return completion(nil) }
        let change = VolumeChange(
            sequence: nextSequence, kind: kind, index: index, offset: offset, length: length, data: data,
            durable: durable, origin: sender.origin, startedAt: node.clock.now(), coversObject: coversObject,
            completion: completion)
        nextSequence = nextSequence.next
        // Before anything of it is on any disk.
        node.readBoard?.changing(family: slot.family, index: index)
        if case .rollingForward = mode { change.mayBeSomewhere = true }
        window.insert(change)
        drive(change)
    }

    /// Another copy of it came first. What a new owner rolls forward is done again all the same.
    private func isDone(_ origin: ChangeOrigin?) -> Bool {
        guard let origin, forwarded.isDone(origin) else { return false }
        if case .rollingForward = mode { return false }
        return true
    }

    /// What a gateway that is gone had passed on, and what waited here since, is not begun any more: its client was told nothing,
    /// and may have written the same blocks through another one. What a new owner rolls forward was begun before.
    private func isOrphaned(_ origin: ChangeOrigin?) -> Bool {
        guard let origin, origin.boot != node.boot, !node.upBoots.contains(origin.boot) else { return false }
        if case .rollingForward = mode { return false }
        return true
    }

    /// A drained volume takes no new change, but lets those finish that hold a range already.
    private func mayStart(under hold: RangeHolds.Hold?) -> Bool {
        switch mode {
        case .owned, .rollingForward: true
        case .draining: hold != nil
        case .idle, .opening, .forwarding, .deleted: false
        }
    }

    /// The volume certainly has its own object there, so a write to it is only a write.
    func hasOwnObject(_ slot: ObjectSlot) -> Bool {
        guard node.holdsCurrent(slot, copies: volume.copies), let store = node.store else {
            return knownObjects.contains(slot.index)
        }
        return store.hasObject(ObjectName(family: slot.family, index: slot.index, birth: birth))
    }

    /// This sheep's replica is current and shows nothing there: trimming it changes nothing.
    private func isKnownAbsent(_ slot: ObjectSlot) -> Bool {
        guard node.holdsCurrent(slot, copies: volume.copies), let store = node.store else { return false }
        switch store.resolve(family: slot.family, index: slot.index, ancestry: node.ancestry(of: birth)) {
        case .absent, .hole: return true
        case .object: return false
        }
    }

    // MARK: Replication

    /// Sends a change to members that have not got it, and completes it when all have.
    func drive(_ change: VolumeChange) {
        guard let term, !change.isDone else { return }
        unflushed?.groups.insert(PlacementGroup(family: volume.family, index: change.index))
        let slot = ObjectSlot(family: volume.family, index: change.index)
        let members = node.replicas(of: slot.group, copies: volume.copies)
        change.isDriven(to: members.set)
        if !members.set.inSync.isEmpty, let full = node.fullMember(of: members.set), !change.acknowledged.contains(full.disk) {
            // It decides first: what it has no room for reaches nobody else.
            change.isHeldBack = true
            return send(change, to: full, version: members.set.version, term: term)
        }
        for member in members.set.inSync { send(change, to: member, version: members.set.version, term: term) }
        // Without an in-sync member nothing is sent: a syncing one has what a write makes without its ancestors' data until
        // it was compared, and may be the one that the group opens with.
        if members.set.inSync.isEmpty { return }
        for member in members.set.syncing { send(change, to: member, version: members.set.version, term: term) }
        finishIfDone(change, members)
    }

    /// Not when it is done meanwhile: this sheep's own replica may refuse it at once, and then it reaches nobody.
    private func send(_ change: VolumeChange, to member: Replica, version: LogIndex, term: Term) {
        guard !change.isDone, !change.acknowledged.contains(member.disk), !change.outstanding.contains(where: { $0.disk == member.disk }) else { return }
        let sending = change.willSend(to: member.disk, now: node.clock.now())
        unflushed?.insert(member.node, node.boots[member.node])
        let message = ReplicaChange(
            context: context(to: member.node, version: version, term: term),
            object: ObjectName(family: volume.family, index: change.index, birth: birth),
            objectShift: volume.objectShift, kind: change.kind, durable: change.durable,
            sequence: change.sequence, settled: settled, offset: UInt32(change.offset), length: UInt32(change.length),
            origin: change.origin)
        if member.node == node.identity {
            node.replica.apply(message, payload: change.data, shift: volume.shift, copies: volume.copies) { [self] error in
                answered(change, by: member, sending: sending, error: error)
            }
        } else {
            settledTargets.insert(member.node)
            node.network.send(
                change.kind == .write ? .replicaWrite : .replicaZero, body: message.wire,
                payload: change.kind == .write ? change.data : nil, to: member.node
            ) { [self] result in
                switch result {
                case .success: answered(change, by: member, sending: sending, error: nil)
                case .failure(let error): answered(change, by: member, sending: sending, error: error)
                }
            }
        }
    }

    func context(to receiver: NodeID, version: LogIndex, term: Term) -> ReplicaContext {
        ReplicaContext(
            volume: birth, term: term, groupVersion: version, volumeEntry: volume.lastEntry,
            senderIncarnation: node.incarnation, receiverBoot: node.boots[receiver] ?? BootID(rawValue: 0))
    }

    private func answered(_ change: VolumeChange, by member: Replica, sending: UInt32, error: SheepError?) {
        guard change.wasAnswered(member.disk, sending: sending), !change.isDone, term != nil else { return }
        guard let error else {
            change.acknowledged.append(member.disk)
            if member.node != node.identity { node.memberLatencies.record(member.disk, change.age(at: member.disk, now: node.clock.now())) }
            if change.isHeldBack {
                change.isHeldBack = false
                return drive(change)
            }
            let group = PlacementGroup(family: volume.family, index: change.index)
            return finishIfDone(change, node.replicas(of: group, copies: volume.copies))
        }
        node.memberRefused(member, error: error)
        if !VolumeChange.leavesNothing.contains(error.code) { change.mayBeSomewhere = true }
        switch error.code {
        case .noSpace where isSyncing(member, change):
            // It leaves: what it is only being made for keeps nobody from writing.
            driveLater(change, after: NodeTiming.retry)
        case .noSpace:
            node.foundFull(member)
            if change.isOnNobody { return fail(change, error) }
            // Some member has it: the client learns at once; the change stays until it is on all, and is tried again.
            tell(change, error)
            driveLater(change, after: 1_000_000_000)
        case .damaged where isOnlyHope(member, change):
            fail(change, SheepError(.inputOutput, "\(error.message); there is no other copy"))
        default:
            // The member is behind, ahead or gone: the control log decides; until then it is tried again.
            driveLater(change, after: NodeTiming.retry)
        }
    }

    /// One timer a change: each try may fail at several members at once, which would double the tries each time.
    private func driveLater(_ change: VolumeChange, after delay: UInt64) {
        let due = node.clock.now() + delay
        if let pending = change.retryDue, pending <= due { return }
        change.retryDue = due
        node.clock.schedule(after: delay) { [weak self] in
            guard change.retryDue == due else { return }
            change.retryDue = nil
            self?.drive(change)
        }
    }

    /// No other member is in sync that could help this one to repair its copy, and nobody has the change.
    private func isOnlyHope(_ member: Replica, _ change: VolumeChange) -> Bool {
        let set = node.replicaSet(of: PlacementGroup(family: volume.family, index: change.index), copies: volume.copies)
        return set.inSync.map(\.disk) == [member.disk] && change.isOnNobody
    }

    private func isSyncing(_ member: Replica, _ change: VolumeChange) -> Bool {
        let set = node.replicaSet(of: PlacementGroup(family: volume.family, index: change.index), copies: volume.copies)
        return set.syncing.contains { $0.disk == member.disk }
    }

    /// The client learns that it failed, though it stays under way.
    private func tell(_ change: VolumeChange, _ error: SheepError) {
        let completion = change.completion
        change.completion = nil
        completion?(error)
    }

    /// No member has done it, nor will: it never was.
    private func fail(_ change: VolumeChange, _ error: SheepError) {
        remove(change)
        let completion = change.completion
        change.completion = nil
        completion?(error)
        removed(change)
    }

    private func finishIfDone(_ change: VolumeChange, _ members: ReplicaSetCache.Entry) {
        guard !change.isDone, change.setVersion == members.set.version, change.acknowledged.count >= members.set.inSync.count else { return }
        guard members.set.inSync.count >= max(1, members.set.minimum) else { return }
        for member in members.set.inSync where !change.acknowledged.contains(member.disk) { return }
        for member in members.set.syncing where !change.acknowledged.contains(member.disk) { return }
        guard node.leaseHeld else { return node.whenLeaseHeld { [weak self] in self?.drive(change) } }
        finish(change)
    }

    private func finish(_ change: VolumeChange) {
        remove(change)
        let now = node.clock.now()
        node.latencies.record(now - min(now, change.startedAt))
        note(change)
        noteUnflushed(index: change.index, durable: change.durable, origin: change.origin)
        let completion = change.completion
        change.completion = nil
        completion?(nil)
        removed(change)
    }

    private func remove(_ change: VolumeChange) {
        change.isDone = true
        window.remove(change)
        // What this gateway asked for itself needs no confirmation, and a run that is gone gives none.
        if let origin = change.origin, !origin.isUndo, origin.boot != node.boot, node.upBoots.contains(origin.boot) {
            unconfirmed.append((change.sequence, origin))
        }
    }

    private func removed(_ change: VolumeChange) {
        let dependents = change.dependents
        change.dependents = []
        for dependent in dependents { dependent.run() }
        if !parked.isEmpty, !window.isFull { unpark() }
        if window.isEmpty { windowEmptied() }
        tellSettledLater()
    }

    private func note(_ change: VolumeChange) {
        let slot = ObjectSlot(family: volume.family, index: change.index)
        if node.holdsCurrent(slot, copies: volume.copies) { return }
        if change.kind == .write { knownObjects.insert(change.index) } else if change.length == objectSize { knownObjects.remove(change.index) }
    }

    /// As many as there is room for.
    func unpark() {
        while !parked.isEmpty, !window.isFull { parked.removeFirst().run() }
    }

    private func windowEmptied() {
        guard holds.isEmpty, let drained else { return }
        self.drained = nil
        drained()
    }

    /// Every change up to here is on all members, and those that another gateway forwarded are known to it.
    var settled: Sequence {
        // A watermark makes the replicas forget what former owners left, all of which is rolled forward first.
        if case .rollingForward = mode { return .zero }
        let active = window.active.first?.sequence ?? nextSequence
        let confirmed = unconfirmed.lazy.map(\.sequence).min() ?? nextSequence
        return Sequence(rawValue: min(active, confirmed).rawValue - 1)
    }

    /// After 50 ms of silence the replicas learn the watermark by a message of its own.
    func tellSettledLater() {
        guard !settledNoticePending, !settledTargets.isEmpty || allAreToBeTold || node.replica.hasNotes(of: birth) else { return }
        settledNoticePending = true
        node.clock.schedule(after: 50_000_000) { [weak self] in
            guard let self else { return }
            settledNoticePending = false
            tellSettled()
        }
    }

    /// They learn it now, if there is news.
    func tellSettled() {
        if case .rollingForward = mode { return }
        let repliesSeen = forwarded.repliesSeen
        guard let term, settled > lastToldSettled || repliesSeen != lastToldReplies || allAreToBeTold else { return }
        if allAreToBeTold { settledTargets.formUnion(node.storingNodes.subtracting([node.identity])) }
        allAreToBeTold = false
        (lastToldSettled, lastToldReplies) = (settled, repliesSeen)
        let notice = ReplicaSettled(volume: birth, term: term, settled: settled, repliesSeen: repliesSeen)
        node.replica.settled(notice)
        for target in settledTargets.sorted() {
            node.network.send(.replicaSettled, body: notice.wire, payload: nil, to: target) { _ in }
        }
        if !window.isEmpty { tellSettledLater() }
    }

    func resetForTerm() {
        nextSequence = Sequence(rawValue: 1)
        lastToldSettled = .zero
        lastToldReplies = []
        settledTargets = []
        unflushed = nil
        knownObjects = []
        unconfirmed = []
        delayedTrims.endWatches()
    }

    // MARK: The passage of time

    /// The membership changed: looks at every change under way again.
    func membershipChanged() {
        takeover?.membershipChanged()
        for change in window.active { drive(change) }
        unpark()
        guard term != nil else { return }
        allAreToBeTold = true
        tellSettledLater()
    }

    /// Fails what has waited too long, and names members that keep a change waiting.
    func tick(now: UInt64) {
        nameAwaited(now: now)
        let limit = node.options.inputOutputTimeout
        for change in window.active where now > change.startedAt {
            let age = now - change.startedAt
            if limit > 0, age > limit, change.completion != nil {
                tell(change, SheepError(.unavailable, "volume \(volume.name): not enough copies answer; see 'dog cluster info'"))
            }
            for member in change.outstanding where change.age(at: member.disk, now: now) > node.memberLatencies.bound(of: member.disk) {
                node.membership.slow(member.disk)
            }
        }
        for flush in flushes { flush.tick(now: now) }
        guard limit > 0 else { return }
        failWaiters(now: now, limit: limit)
        guard !waiting.isEmpty else { return }
        let expired = waiting.filter { now > $0.receivedAt && now - $0.receivedAt > limit }
        guard !expired.isEmpty else { return }
        waiting.removeAll { request in expired.contains { $0 === request } }
        for request in expired {
            request.fail(SheepError(.unavailable, "volume \(volume.name) could not be opened in time; see 'dog cluster info'"))
        }
    }

    /// What waits behind a change that cannot end must not wait for longer than that.
    private func failWaiters(now: UInt64, limit: UInt64) {
        var expired = parked.takeExpired(now: now, limit: limit)
        for change in window.active { expired += change.dependents.takeExpired(now: now, limit: limit) }
        for hold in holds.holds { expired += hold.dependents.takeExpired(now: now, limit: limit) }
        for waiter in expired {
            waiter.fail(SheepError(.unavailable, "volume \(volume.name): not enough copies answer; see 'dog cluster info'"))
        }
    }

    /// Requests that wait for members or for the volume to open.
    var waitingCount: Int {
        waiting.count + parked.count + waitingReads + waitingRetries + recalls.count + window.active.filter { $0.outstanding.isEmpty }.count
    }
}
