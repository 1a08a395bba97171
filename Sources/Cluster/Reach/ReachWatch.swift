// Invariants
// 1. A link is called cut only after a second of silence in which the other sheep showed by three further reports (or pings) that
//    it moves, each at another tick of this one: whoever stands still, or answers late because it stood still, is not cut off.
// 2. What this sheep could not hear while it stood still itself counts against nobody.
// 3. A report counts only while its sheep goes on showing new ones, and only for the runs that it names.
package import ObjectModel

/// One sheep's view of who reaches whom, from its own links and from what the others show.
///
/// Times are nanoseconds of the sheep's own clock.
package struct ReachWatch: Sendable {
    /// A node that is up by the control log.
    package struct Member: Hashable, Sendable {
        package var node: NodeID
        package var boot: BootID
        package var stores: Bool
        /// Its disk has missed nothing.
        package var isCurrent: Bool
        package init(node: NodeID, boot: BootID, stores: Bool, isCurrent: Bool) {
            (self.node, self.boot, self.stores, self.isCurrent) = (node, boot, stores, isCurrent)
        }
    }

    /// Between looks, at which links are probed as well.
    package static let tick: UInt64 = 250_000_000
    /// A ping was not answered by the next look: the others hear of it, and show reports from then on.
    package static let doubt: UInt64 = 400_000_000
    /// A connection that is silent so long is given up for a new one: perhaps only it is stuck.
    package static let renewal: UInt64 = 700_000_000
    package static let cut: UInt64 = 1_000_000_000
    static let movesNeeded = 3
    /// A sheep without a new report for so long may stand still.
    package static let fresh: UInt64 = 800_000_000
    /// A verdict waits so long at most for links that are in doubt.
    static let patience: UInt64 = 1_000_000_000

    private struct Link {
        var boot: BootID
        /// When the last answer came.
        var heard: UInt64
        /// Ticks since then that found the other moving.
        var moves = 0
        var hasPinged = false
    }

    private struct Shown {
        var report: ReachReport
        /// When it was first seen; nil: it was there before this sheep looked.
        var at: UInt64?
    }

    private let node: NodeID
    private var links: [NodeID: Link] = [:]
    private var shown: [NodeID: Shown] = [:]
    private var cutSince: UInt64?

    package init(node: NodeID) { self.node = node }

    // MARK: What is heard

    /// The peers to watch: a new run is taken as heard now.
    package mutating func keep(_ peers: [(node: NodeID, boot: BootID)], now: UInt64) {
        var kept: [NodeID: Link] = [:]
        for peer in peers {
            let known = links[peer.node]
            kept[peer.node] = known?.boot == peer.boot ? known : Link(boot: peer.boot, heard: now)
        }
        links = kept
    }

    /// An answer, or a new connection.
    package mutating func heard(_ peer: NodeID, now: UInt64) {
        guard links[peer] != nil else { return }
        links[peer]!.heard = max(links[peer]!.heard, now)
        links[peer]!.moves = 0
    }

    /// The peer asked for an answer: its messages arrive here, and it moves.
    package mutating func pinged(by peer: NodeID) { links[peer]?.hasPinged = true }

    /// This sheep stood still for so long: it heard nobody, and what it would have heard comes now.
    package mutating func discount(_ pause: UInt64, now: UInt64) {
        for peer in links.keys {
            links[peer]!.heard = min(now, links[peer]!.heard + pause)
            links[peer]!.moves = 0
        }
        cutSince = nil
    }

    package func silence(of peer: NodeID, now: UInt64) -> UInt64 {
        guard let link = links[peer] else { return 0 }
        return now - min(now, link.heard)
    }

    // MARK: What is shown

    /// A look at what all show, once a tick.
    package mutating func look(_ reports: [NodeID: ReachReport], now: UInt64) {
        for (peer, report) in reports where peer != node {
            if let known = shown[peer] {
                guard known.report != report else { continue }
                // A restored or rewritten place would look older: any change is a sign of life.
                shown[peer] = Shown(report: report, at: now)
                if links[peer]?.boot == report.boot { links[peer]!.hasPinged = true }
            } else {
                shown[peer] = Shown(report: report, at: nil)
            }
        }
        shown = shown.filter { reports[$0.key] != nil }
        for peer in links.keys where links[peer]!.hasPinged {
            links[peer]!.hasPinged = false
            if silence(of: peer, now: now) > Self.doubt { links[peer]!.moves += 1 }
        }
    }

    /// The sheep showed something new lately, whatever its run.
    package func isMoving(_ peer: NodeID, now: UInt64) -> Bool {
        guard let at = shown[peer]?.at else { return false }
        return now - min(now, at) <= Self.fresh
    }

    /// Its messages do not come although it moves: perhaps its connection is stuck.
    package func wantsRenewal(_ peer: NodeID, now: UInt64) -> Bool {
        guard let link = links[peer] else { return false }
        return link.moves > 0 && silence(of: peer, now: now) > Self.renewal
    }

    private func isCut(_ link: Link, now: UInt64) -> Bool {
        link.moves >= Self.movesNeeded && now - min(now, link.heard) >= Self.cut
    }

    /// What this sheep has to say of its own links; sorted.
    package func troubles(now: UInt64) -> [ReachReport.Trouble] {
        links.filter { now - min(now, $0.value.heard) > Self.doubt }.sorted { $0.key < $1.key }
            .map { ReachReport.Trouble(node: $0.key, boot: $0.value.boot, isCut: isCut($0.value, now: now)) }
    }

    /// Somebody has trouble, so all show that they move.
    package func isTroubled(now: UInt64) -> Bool {
        links.values.contains { now - min(now, $0.heard) > Self.doubt }
            || shown.keys.contains { isMoving($0, now: now) && !shown[$0]!.report.troubles.isEmpty }
    }

    // MARK: The verdict

    /// Who has to leave, if links are cut among the members and nothing is in doubt any more, this sheep among them.
    package mutating func verdict(_ members: [Member], now: UInt64) -> ReachVerdict? {
        let boots = Dictionary(uniqueKeysWithValues: members.map { ($0.node, $0.boot) })
        var cuts: Set<ReachVerdict.Cut> = []
        var isPending = false
        for member in members {
            for trouble in troubles(of: member, now: now) where boots[trouble.node] == trouble.boot {
                if trouble.isCut {
                    cuts.insert(.init(member.node, trouble.node))
                } else if trouble.node == node || isMoving(trouble.node, now: now) {
                    isPending = true
                }
            }
        }
        guard !cuts.isEmpty else {
            cutSince = nil
            return nil
        }
        let since = cutSince ?? now
        cutSince = since
        if isPending, now - min(now, since) < Self.patience { return nil }
        let candidates = members.map { ReachVerdict.Candidate(node: $0.node, stores: $0.stores, isCurrent: $0.isCurrent) }
        return ReachVerdict(of: candidates, cuts: cuts)
    }

    private func troubles(of member: Member, now: UInt64) -> [ReachReport.Trouble] {
        if member.node == node { return troubles(now: now) }
        guard let report = shown[member.node]?.report, report.boot == member.boot, isMoving(member.node, now: now) else { return [] }
        return report.troubles
    }
}
