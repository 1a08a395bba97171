import Cluster
import ObjectModel
import SheepProtocol

/// Whether a change that was passed on before, and is sent again, was done; its first owner may be gone, and with it what it knew.
enum ForwardedMemory {
    case done
    case notDone
    /// Not yet: the group has no member in sync, one does not answer, or the gateway is behind.
    case unknown
}

extension VolumeSession {
    static var notKnown: SheepError { SheepError(.busy, "nobody can say yet whether a change that was passed on before was done") }

    /// This gateway is the owner itself by now, and passed the request on to a former one. True: it is to be begun; else this sees to it.
    func isUndone(_ request: VolumeRequest) -> Bool {
        guard request.wasForwarded, !request.isKnownUndone, let origin = request.origin else { return true }
        recall(origin, at: request.offset, of: node.control.appliedIndex) { [weak self] memory in
            guard let self else { return request.fail(SheepError(.shuttingDown, "the volume was closed")) }
            switch memory {
            case .done:
                forwarded.finished(origin)
                submit(request)
            case .notDone:
                request.isKnownUndone = true
                submit(request)
            case .unknown: submitLater(request, after: Self.notKnown)
            }
        }
        return false
    }

    /// Asks all members in sync of a change's group. `known` is the last entry that its gateway acted upon: with the group's last
    /// change it knows whether the power of those that may have done it was lost since, and would not send it then.
    func recall(_ origin: ChangeOrigin, at offset: UInt64, of known: LogIndex, answer: @escaping (ForwardedMemory) -> Void) {
        let group = PlacementGroup(family: volume.family, index: UInt32(offset / UInt64(objectSize)))
        let set = node.replicaSet(of: group, copies: volume.copies)
        guard let term, !set.inSync.isEmpty, set.version <= known else { return answer(.unknown) }
        var remaining = set.inSync.count
        var memory = ForwardedMemory.notDone
        let heard = { [weak self] (isDone: Bool?) in
            switch isDone {
            case true: memory = .done
            case nil where memory != .done: memory = .unknown
            default: break
            }
            remaining -= 1
            guard remaining == 0 else { return }
            guard let self, self.term == term, node.replicaSet(of: group, copies: volume.copies).version == set.version else {
                return answer(.unknown)
            }
            answer(memory)
        }
        for member in set.inSync {
            if member.node == node.identity {
                heard(node.replica.recallLocally(origin, of: birth))
                continue
            }
            let request = ReplicaRecall(context: context(to: member.node, version: set.version, term: term), origin: origin)
            node.network.send(.replicaRecall, body: request.wire, payload: nil, to: member.node) { result in
                heard((try? result.get()).flatMap { try? ReplicaRecall.Answer(wire: $0.body).isDone })
            }
        }
    }
}
