import Cluster
import ObjectModel
import SheepProtocol

/// Whether a change that was passed on before, and is sent again, was done; its first owner may be gone, and with it what it knew.
private enum ForwardedMemory {
    case done
    case notDone
    /// Not yet: the members changed, or one does not answer.
    case unknown
}

extension VolumeSession {
    /// False: the request was passed on before, to this owner or a former one, and nobody knows yet whether it was done. This asks the members
    /// in sync, and answers the request or submits it once more.
    ///
    /// It is asked when the volume is open: what a new owner rolls forward is on all members then.
    func mayBegin(_ request: VolumeRequest) -> Bool {
        guard let origin = request.origin, request.wasForwarded || request.repeatedKnowing != nil, !request.isKnownUndone else { return true }
        let group = PlacementGroup(family: volume.family, index: UInt32(request.offset / UInt64(objectSize)))
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
        recalls += 1
        recall(origin, of: group, in: set, durable: durable) { [weak self] memory in
            guard let self else { return request.fail(SheepError(.shuttingDown, "the volume was closed")) }
            recalls -= 1
            switch memory {
            case .done: forwarded.finished(origin)
            case .notDone: request.isKnownUndone = true
            case .unknown: return askLater(request)
            }
            submit(request)
        }
        return false
    }

    private func askLater(_ request: VolumeRequest) {
        submitLater(request, after: SheepError(.unavailable, "volume \(volume.name): nobody can say yet whether a change that was passed on before was done"))
    }

    private func recall(
        _ origin: ChangeOrigin, of group: PlacementGroup, in set: ReplicaSet, durable: Bool, answer: @escaping (ForwardedMemory) -> Void
    ) {
        let term = term!
        var remaining = set.inSync.count
        var memory = ForwardedMemory.notDone
        let heard = { [weak self] (result: Result<Bool, SheepError>) in
            switch result {
            case .success(true) where memory != .unknown: memory = .done
            case .success: break
            case .failure: memory = .unknown
            }
            remaining -= 1
            guard remaining == 0 else { return }
            let isStill = self.map { $0.term == term && $0.node.replicaSet(of: group, copies: $0.volume.copies).version == set.version } ?? false
            answer(isStill ? memory : .unknown)
        }
        for member in set.inSync {
            if member.node == node.identity {
                node.replica.recallLocally(origin, of: birth, durable: durable, answer: heard)
                continue
            }
            let request = ReplicaRecall(
                context: context(to: member.node, version: set.version, term: term), origin: origin, durable: durable)
            node.network.send(.replicaRecall, body: request.wire, payload: nil, to: member.node) { result in
                heard(result.flatMap { reply in
                    do throws(WireError) { return .success(try ReplicaRecall.Answer(wire: reply.body).isDone) } catch {
                        return .failure(SheepError(.unknown, "the member's answer cannot be read: \(error.text)"))
                    }
                })
            }
        }
    }
}
