import Cluster
import ObjectModel
import SheepProtocol

/// A member is asked whether it did a change in a former run.
final class Recall {
    let member: NodeID
    /// In ns of CLOCK_BOOTTIME.
    let since: UInt64
    init(member: NodeID, since: UInt64) { (self.member, self.since) = (member, since) }
}

extension VolumeSession {
    /// False: the request was passed on before, to this owner or a former one, and nobody knows yet whether it was done. This asks the members
    /// in sync, and answers the request or submits it once more.
    ///
    /// It is asked when the volume is open: what a new owner rolls forward is on all members then.
    func mayBegin(_ request: VolumeRequest) -> Bool {
        guard let origin = request.origin, request.wasForwarded || request.repeatedKnowing != nil, !request.isKnownUndone else { return true }
        let group = group(at: request.offset)
        let set = node.replicaSet(of: group, copies: volume.copies)
        if let known = request.repeatedKnowing, set.version > known {
            // Its gateway must know whether the power of those that may have done it was lost, and does not send it again then.
            request.fail(SheepError(.busy, "the members of group \(group) changed since the change was passed on"))
            return false
        }
        // A first copy may be under way still, though its client was told that it takes too long.
        guard set.inSync.count >= max(1, set.minimum), !window.active.contains(where: { $0.origin == origin }) else {
            askLater(request)
            return false
        }
        var durable = false
        if case .change(_, _, _, let wanted, _) = request.work { durable = wanted }
        recall(origin, of: group, in: set, durable: durable) { [weak self] memory in
            guard let self else { return request.fail(SheepError(.shuttingDown, "the volume was closed")) }
            switch memory {
            case .done: forwarded.finished(origin)
            case .inPart: request.isInDoubt = true
            case .notDone: request.isKnownUndone = true
            case nil: return askLater(request)
            }
            submit(request)
        }
        return false
    }

    private func askLater(_ request: VolumeRequest) {
        lastUse = node.clock.now()
        submitLater(request, after: SheepError(.unavailable, "nobody can say yet whether a change that was passed on before was done; see 'dog cluster info'"))
    }

    /// What that member knows who knows most; nil: not yet, for the members changed, or one does not answer.
    private func recall(
        _ origin: ChangeOrigin, of group: PlacementGroup, in set: ReplicaSet, durable: Bool, answer: @escaping (ReplicaRecall.Memory?) -> Void
    ) {
        let term = term!
        var memories: [ReplicaRecall.Memory] = []
        var remaining = set.inSync.count
        let heard = { [weak self] (result: Result<ReplicaRecall.Memory, SheepError>) in
            if case .success(let memory) = result { memories.append(memory) }
            remaining -= 1
            guard remaining == 0 else { return }
            let isStill = self.map { $0.term == term && $0.node.replicaSet(of: group, copies: $0.volume.copies).version == set.version } ?? false
            guard isStill, memories.count == set.inSync.count else { return answer(nil) }
            answer(memories.contains(.done) ? .done : memories.contains(.inPart) ? .inPart : .notDone)
        }
        for member in set.inSync { ask(member.node, for: origin, durable: durable, answer: heard) }
    }

    /// What a member has noted of the change.
    func ask(_ member: NodeID, for origin: ChangeOrigin, durable: Bool, answer: @escaping (Result<ReplicaRecall.Memory, SheepError>) -> Void) {
        guard let term else { return answer(.failure(SheepError(.notOwner, "the lease is gone"))) }
        if member == node.identity { return node.replica.recallLocally(origin, of: birth, durable: durable, answer: answer) }
        let asked = Recall(member: member, since: node.clock.now())
        recalls.append(asked)
        let request = ReplicaRecall(
            context: context(to: member, version: node.control.state.membershipVersion, term: term), origin: origin, durable: durable)
        node.network.send(.replicaRecall, body: request.wire, payload: nil, to: member) { [weak self] result in
            self?.recalls.removeAll { $0 === asked }
            answer(result.flatMap { reply in
                do throws(WireError) { return .success(try ReplicaRecall.Memory(wire: reply.body)) } catch {
                    return .failure(SheepError(.unknown, "the member's answer cannot be read: \(error.text)"))
                }
            })
        }
    }
}
