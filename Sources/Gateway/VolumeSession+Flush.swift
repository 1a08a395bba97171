import Cluster
import ObjectModel
import SheepProtocol

extension VolumeSession {
    /// Makes durable, on every member, all that was acknowledged before; the first flush of a term goes to all nodes.
    ///
    /// A member that goes down meanwhile is not waited for: what it returns with is compared before it counts again.
    func flush(completion: @escaping (SheepError?) -> Void) {
        guard let term else {
            return submit(VolumeRequest(offset: 0, work: .flush(completion), receivedAt: node.clock.now()))
        }
        let everyone = node.storingNodes
        let targets = unflushed.map { everyone.intersection($0) } ?? everyone
        unflushed = []
        let flush = VolumeFlush(session: self, term: term, targets: targets, completion: completion)
        flushes.append(flush)
        flush.start()
    }

    /// Answers flushes in the order they came: one that found nothing to do still waits for those before it,
    /// which are making durable what it must cover.
    func flushesAdvanced() {
        while let first = flushes.first, let outcome = first.outcome {
            flushes.removeFirst()
            first.completion(outcome.error)
        }
    }
}

/// One flush on its way to all nodes that have unsynced writes of a volume.
final class VolumeFlush<Env: NodeEnvironment> {
    private let session: VolumeSession<Env>
    private let term: Term
    private var remaining: Set<NodeID>
    let completion: (SheepError?) -> Void
    private let startedAt: UInt64
    /// Set once: how it ended.
    private(set) var outcome: (error: SheepError?, Void)?

    init(session: VolumeSession<Env>, term: Term, targets: Set<NodeID>, completion: @escaping (SheepError?) -> Void) {
        (self.session, self.term, remaining, self.completion) = (session, term, targets, completion)
        startedAt = session.node.clock.now()
    }

    func start() {
        // Nothing was written since the last flush: still only a holder of the lease may say so.
        if remaining.isEmpty { return finishIfDone() }
        for target in remaining.sorted() { send(to: target) }
    }

    private func send(to target: NodeID) {
        let node = session.node
        if target == node.identity {
            return node.replica.flushLocally(session.birth) { self.answered(by: target, error: $0) }
        }
        let state = node.control.state
        let request = ReplicaFlush(
            context: session.context(to: target, version: state.membershipVersion, term: term), family: session.volume.family)
        node.network.send(.replicaFlush, body: request.wire, payload: nil, to: target) { result in
            if case .failure(let error) = result { self.answered(by: target, error: error) } else {
                self.answered(by: target, error: nil)
            }
        }
    }

    private func answered(by target: NodeID, error: SheepError?) {
        guard outcome == nil, remaining.contains(target) else { return }
        let node = session.node
        guard let error, node.storingNodes.contains(target) else {
            remaining.remove(target)
            return finishIfDone()
        }
        if error.code == .inputOutput { node.membership.diskFailed(of: target) }
        let limit = node.options.inputOutputTimeout
        if limit > 0, node.clock.now() - startedAt > limit {
            session.unflushed?.formUnion(remaining)
            return end(SheepError(.unavailable, "volume \(session.volume.name) could not be flushed on all nodes"))
        }
        node.clock.schedule(after: NodeTiming.retry) { [self] in
            if node.storingNodes.contains(target) { send(to: target) } else { answered(by: target, error: nil) }
        }
    }

    private func finishIfDone() {
        guard outcome == nil, remaining.isEmpty else { return }
        session.node.whenLeaseHeld { self.end(nil) }
    }

    private func end(_ error: SheepError?) {
        outcome = (error, ())
        session.flushesAdvanced()
    }
}
