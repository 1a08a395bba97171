// Invariants
// 1. Between the grant of a lease and the first request stands the roll-forward: every change that some in-sync member
//    has done and another has not is done on all, under the new term.
// 2. Every sheep that may hold an unsettled record fenced the lower terms before the roll-forward read anything.
import Cluster
import Logging
import ObjectModel
import SheepProtocol

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
                return resubmitWaiting()
            }
            if lease.boot == node.boot { return takeOver(term: lease.term) }
        }
        if node.membership.cleanNodesAreAwaited {
            node.clock.schedule(after: NodeTiming.tick) { [weak self] in self?.reopen() }
            return
        }
        // A former owner that was not proven dead may hold its node lease for a little longer.
        let wait = node.membership.fenceRemaining
        if wait > 0 {
            node.clock.schedule(after: wait) { [weak self] in self?.reopen() }
            return
        }
        acquire()
    }

    /// Tries again, if it is still wanted.
    func reopen() {
        guard case .opening = mode else { return }
        open()
    }

    private func acquire() {
        node.control.propose(.acquireLease(birth, node.identity, boot: node.boot)) { [weak self] result in
            guard let self, case .opening = mode else { return }
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
        let requests = waiting
        waiting = []
        for request in requests { request.fail(SheepError(.noSuchVolume, "volume \(volume.name) was deleted")) }
    }

    // MARK: Roll-forward

    private func takeOver(term: Term) {
        resetForTerm()
        Takeover(session: self, term: term).start()
    }

    /// The former owner's changes are on all members: the volume is open.
    func opened(term: Term) {
        guard case .opening = mode else { return }
        mode = .owned(term)
        node.logger.debug("volume \(volume.name): owner with term \(term)")
        tellOpened(term)
        resubmitWaiting()
    }

    /// The replicas may forget what former owners left unsettled.
    private func tellOpened(_ term: Term) {
        let notice = ReplicaSettled(volume: birth, term: term, settled: .zero)
        node.replica.settled(notice)
        for target in node.storingNodes.subtracting([node.identity]).sorted() {
            node.network.send(.replicaSettled, body: notice.wire, payload: nil, to: target) { _ in }
        }
    }

    // MARK: Drain and release

    /// Holds new requests and calls back when every change is on all members. Ends by ``resume()`` or a new birth.
    func drain(_ action: @escaping () -> Void) {
        guard case .owned(let term) = mode else { return action() }
        mode = .draining(term)
        if window.isEmpty, holds.isEmpty { return action() }
        drained = action
    }

    func resume() {
        drained = nil
        if case .draining(let term) = mode { mode = .owned(term) }
        resubmitWaiting()
    }

    /// Gives the lease back after everything is settled.
    func release(completion: @escaping () -> Void = {}) {
        guard case .owned(let term) = mode else { return completion() }
        drain { [weak self] in
            guard let self else { return completion() }
            node.control.propose(.releaseLease(birth, node.identity, term)) { [weak self] _ in
                completion()
                guard let self, case .draining = mode else { return }
                mode = .idle
                if !waiting.isEmpty { open() }
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
        delayedTrims = [:]
        node.replica.forget(old)
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
        if case .forwarding(let owner) = mode, state.leases[birth]?.owner != owner {
            mode = .idle
            let pending = forwarder.takePending()
            waiting = pending + waiting
            if !waiting.isEmpty { open() }
        }
    }
}
