// Invariants
// 1. Between the grant of a lease and the first request stands the roll-forward: every change that some in-sync member
//    has done and another has not is done on all, under the new term.
// 2. Every sheep that may hold an unsettled record fenced the lower terms before the roll-forward read anything.
import Cluster
import Logging
import ObjectModel
import SheepProtocol

/// What only the owner of a volume may do, one at a time: it gets its term or why there is none, and says when it has ended.
typealias VolumeOrder = (Result<Term, SheepError>, _ end: @escaping () -> Void) -> Void

extension VolumeSession {
    /// Finds the owner, or becomes it. Requests wait meanwhile.
    func open() {
        guard !volume.isDeleted else { return becomeDeleted() }
        mode = .opening
        let state = node.control.state
        if let lease = state.owner(of: birth) {
            let owner = lease.owner
            if owner != node.identity {
                mode = .forwarding(owner)
                resubmitWaiting()
                return nextOrder()
            }
            if lease.boot == node.boot { return takeOver(term: lease.term) }
        }
        if node.membership.cleanNodesAreAwaited || node.isReleasing {
            node.clock.schedule(after: NodeTiming.tick) { [weak self] in self?.reopen() }
            return
        }
        // A former owner that was not proven dead may hold its node lease for a little longer.
        let wait = node.membership.fenceRemaining
        if wait > 0 {
            // It may end early, by proof.
            node.clock.schedule(after: min(wait, 2 * NodeTiming.retry)) { [weak self] in self?.reopen() }
            return
        }
        acquire()
    }

    /// Nobody asks for anything, but what a dead owner left must be settled: one member's recovery waits for it.
    func openForSettling() {
        guard case .idle = mode else { return }
        lastUse = node.clock.now()
        open()
    }

    /// Tries again, if it is still wanted.
    func reopen() {
        guard case .opening = mode else { return }
        open()
    }

    private func acquire() {
        let wanted = birth
        node.control.propose(.acquireLease(wanted, node.identity, boot: node.boot)) { [weak self] result in
            guard let self, case .opening = mode else { return }
            // A rollback by another gateway came first: the volume goes on under another birth.
            guard birth == wanted else { return open() }
            switch result {
            case .lease(let term): takeOver(term: term)
            case .done, .volume: preconditionFailure("a lease request gave \(result)")
            case .refused(let error) where error.code == .noSuchVolume: becomeDeleted()
            case .refused:
                node.clock.schedule(after: NodeTiming.retry) { [weak self] in self?.reopen() }
            }
        }
    }

    func becomeDeleted() {
        mode = .deleted
        let error = SheepError(.noSuchVolume, "volume \(volume.name) was deleted")
        let requests = waiting + forwarder.takePending()
        waiting = []
        for request in requests { request.fail(error) }
        let waiters = parked + holds.holds.flatMap(\.dependents)
        parked = []
        for hold in holds.holds { hold.dependents = [] }
        for waiter in waiters { waiter.fail(error) }
        for change in window.removeAll() {
            change.isDone = true
            let (completion, dependents) = (change.completion, change.dependents)
            (change.completion, change.dependents) = (nil, [])
            completion?(error)
            for dependent in dependents { dependent.fail(error) }
        }
        for flush in flushes where flush.outcome == nil { flush.fail(error) }
        flushesAdvanced()
        nextOrder()
    }

    // MARK: Roll-forward

    private func takeOver(term: Term) {
        resetForTerm()
        termSince = node.control.appliedIndex
        let takeover = Takeover(session: self, term: term)
        self.takeover = takeover
        takeover.start()
    }

    /// The former owner's changes are on all members: the volume is open.
    func opened(term: Term) {
        guard case .opening = mode else { return }
        mode = .owned(term)
        uses = GatewayUses(own: node.clock.now())
        node.logger.debug("volume \(volume.name): owner with term \(term)")
        tellOpened(term)
        resubmitWaiting()
        nextOrder()
    }

    /// The replicas may forget what former owners left unsettled.
    private func tellOpened(_ term: Term) {
        node.replica.settled(ReplicaSettled(volume: birth, term: term, settled: .zero))
        for target in node.storingNodes.subtracting([node.identity]).sorted() { tellOpened(term, to: target) }
    }

    /// Until it knows, what it has of former owners keeps its recovery waiting.
    private func tellOpened(_ term: Term, to target: NodeID) {
        let notice = ReplicaSettled(volume: birth, term: term, settled: .zero)
        node.network.send(.replicaSettled, body: notice.wire, payload: nil, to: target) { [weak self] result in
            guard let self, case .failure = result else { return }
            node.clock.schedule(after: NodeTiming.tick) { [weak self] in
                guard let self, self.term == term, node.storingNodes.contains(target) else { return }
                tellOpened(term, to: target)
            }
        }
    }

    // MARK: Orders

    /// Runs `order` as the volume's owner: when the volume is open here, which it is made to be, and orders before this one ended.
    func order(_ order: @escaping VolumeOrder) {
        orders.append(order)
        nextOrder()
    }

    func nextOrder() {
        guard !orderIsRunning, !orders.isEmpty else { return }
        switch mode {
        case .idle: open()
        case .opening, .rollingForward: break
        case .draining: preconditionFailure("only an order drains")
        case .owned(let term):
            orderIsRunning = true
            orders.removeFirst()(.success(term)) { [weak self] in
                self?.orderIsRunning = false
                self?.nextOrder()
            }
        case .forwarding: failOrders(SheepError(.notOwner, "volume \(volume.name) is open at another gateway: try again"))
        case .deleted: failOrders(SheepError(.noSuchVolume, "volume \(volume.name) was deleted"))
        }
    }

    private func failOrders(_ error: SheepError) {
        let failing = orders
        orders = []
        for order in failing { order(.failure(error)) {} }
    }

    /// Holds new requests and calls back when every change is on all members. Ends by ``resume()``, a new birth, or the end of the
    /// lease.
    /// Only for an order that runs.
    func drain(_ action: @escaping () -> Void) {
        guard case .owned(let term) = mode else { return }
        mode = .draining(term)
        if window.isEmpty, holds.isEmpty { return action() }
        drained = action
    }

    func resume() {
        drained = nil
        if case .draining(let term) = mode { mode = .owned(term) }
        resubmitWaiting()
    }

    /// Gives the lease back after everything is settled; keeps it when that takes longer than anybody should have to wait.
    func release(completion: @escaping () -> Void = {}) {
        guard case .owned(let term) = mode, !orderIsRunning, orders.isEmpty else { return completion() }
        order { [weak self] _, end in
            guard let self else { return completion() }
            let limit = node.clock.schedule(after: NodeTiming.draining) { [weak self] in
                self?.resume()
                completion()
                end()
            }
            drain { [weak self] in
                guard let self else { return completion() }
                limit.cancel()
                node.control.propose(.releaseLease(birth, node.identity, term)) { [weak self] _ in
                    completion()
                    self?.refresh()
                    // The lease is here still.
                    if case .draining = self?.mode { self?.resume() }
                    end()
                }
            }
        }
    }

    // MARK: The control log

    /// The volume goes on under a new birth (a snapshot or rollback was committed).
    func moved(to newBirth: Birth) {
        let old = birth
        birth = newBirth
        volume = node.control.state.volume(newBirth)!
        knownObjects = []
        delayedTrims.removeAll()
        node.replica.move(from: old, to: newBirth)
        switch mode {
        case .draining(let term):
            mode = .owned(term)
            drained = nil
            resubmitWaiting()
        case .opening, .rollingForward, .idle, .forwarding, .owned, .deleted: break
        }
    }

    /// An entry on the volume, its lease or its owner was committed.
    func refresh() {
        let state = node.control.state
        guard let current = state.volume(birth) else { return becomeDeleted() }
        volume = current
        if current.isDeleted {
            if case .deleted = mode {} else { becomeDeleted() }
            return
        }
        let lease = state.leases[birth]
        switch mode {
        case .forwarding(let owner) where lease?.owner != owner:
            mode = .idle
            let pending = forwarder.takePending()
            waiting = pending + waiting
        // Given back, or handed over.
        case .draining where lease?.owner != node.identity:
            mode = .idle
            drained = nil
        case .idle: break
        case .opening, .rollingForward, .owned, .forwarding, .draining, .deleted: return
        }
        // What was handed over to this sheep has no other owner, whether it is asked for here or not.
        if lease?.owner == node.identity, lease?.boot == node.boot { lastUse = node.clock.now() } else if waiting.isEmpty { return }
        open()
    }
}
