import Cluster
import ObjectModel

extension VolumeSession {
    /// Names the sheep whose answers requests of this volume have waited for too long.
    func nameAwaited(now: UInt64) {
        let isLate = { (start: UInt64) in now > start && now - start > NodeTiming.awaited }
        for change in window.active where isLate(change.startedAt) {
            for sent in change.outstanding {
                if let owner = node.control.state.disks[sent.disk]?.node { node.membership.reach.awaits(owner) }
            }
        }
        for flush in flushes where isLate(flush.startedAt) {
            for target in flush.remaining { node.membership.reach.awaits(target) }
        }
        for recall in recalls where isLate(recall.since) { node.membership.reach.awaits(recall.member) }
        switch mode {
        case .forwarding(let owner):
            if let oldest = forwarder.oldest, isLate(oldest) { node.membership.reach.awaits(owner) }
        case .opening, .rollingForward:
            // Whatever a former owner left is asked of all.
            let isOwner = node.control.state.leases[birth]?.owner == node.identity
            guard waiting.contains(where: { isLate($0.receivedAt) }) || isOwner && isLate(lastUse) else { return }
            for target in node.storingNodes { node.membership.reach.awaits(target) }
        case .idle, .owned, .draining, .deleted: break
        }
    }
}
