import Cluster
import Logging
import ObjectModel

/// When a volume was asked for last, and by whose clients. Nanoseconds of CLOCK_BOOTTIME.
struct GatewayUses {
    /// By those of this sheep, or opened by it.
    var own: UInt64 = 0
    /// By those of sheep that pass requests on.
    private var others: [NodeID: UInt64] = [:]

    init(own: UInt64 = 0) { self.own = own }

    mutating func passedOn(by gateway: NodeID, at now: UInt64) { others[gateway] = now }

    /// The gateway whose clients alone have used it since `start`, and still do: after `present`. Nil: there is none, or more.
    func only(since start: UInt64, still present: UInt64) -> NodeID? {
        guard own < start else { return nil }
        let recent = others.filter { $0.value >= start }
        return recent.count == 1 && recent.values.first! >= present ? recent.keys.first : nil
    }
}

extension VolumeSession {
    /// A client of this sheep asks for something. Returns when: now.
    func usedHere() -> UInt64 {
        let now = node.clock.now()
        (lastUse, uses.own) = (now, now)
        return now
    }

    /// A volume that the clients of one other gateway alone use goes over to it, after as long as an unused lease is kept: each of
    /// their requests is spared a way. Where nothing is held up by a change that takes long.
    func followClients(now: UInt64) {
        guard case .owned = mode, !node.isReleasing, !orderIsRunning, orders.isEmpty, flushes.isEmpty, parked.isEmpty, now > node.options.leaseUnused,
            let heir = uses.only(since: now - node.options.leaseUnused, still: now - 4 * NodeTiming.tick),
            window.active.allSatisfy({ now < $0.startedAt + NodeTiming.tick })
        else { return }
        // Should it not work, then after as long again.
        uses.own = now
        node.handOver(volume, to: heir, for: nil) { [node, name = volume.name] result in
            switch result {
            case .success: node.logger.info("volume \(name): its clients use it through \(heir), which orders its writes from now on")
            case .failure(let error): node.logger.debug("volume \(name) stays here: \(error.message)")
            }
        }
    }
}
