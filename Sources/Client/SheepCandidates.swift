package import ObjectModel
package import SheepProtocol

/// The sheep that a client may turn to, and which comes next. A decider: no clock, no socket.
///
/// First the one that is preferred, then all that the cluster listed (those that are down last), then the one given at the start, round and round.
package struct SheepCandidates {
    private let given: SheepEndpoint
    private var listed: [SheepEndpoint] = []
    package private(set) var known: Set<NodeID> = []
    private var preferred: SheepEndpoint?
    /// Tried in this round.
    private var tried: Set<SheepEndpoint> = []

    package init(given: SheepEndpoint) { self.given = given }

    /// What a sheep says of its cluster. False, and nothing is learned, when no node of it is known: another cluster's.
    package mutating func learn(_ nodes: [NodeRecord]) -> Bool {
        let named = Set(nodes.map(\.node))
        guard known.isEmpty || named.isEmpty || !known.isDisjoint(with: named) else { return false }
        if !named.isEmpty { known = named }
        let ordered = nodes.filter { $0.state != .down } + nodes.filter { $0.state == .down }
        listed = ordered.map { .tcp(host: $0.host, port: $0.port) }
        return true
    }

    /// A new round begins, with this one.
    package mutating func prefer(_ endpoint: SheepEndpoint) { (preferred, tried) = (endpoint, []) }

    /// This one served badly: it is not tried again in this round.
    package mutating func disappointed(by endpoint: SheepEndpoint) { tried.insert(endpoint) }

    /// A new round begins.
    package mutating func restart() { tried = [] }

    /// Nil when all were tried in this round.
    package mutating func next() -> SheepEndpoint? {
        let all = [preferred].compactMap { $0 } + listed + [given]
        guard let next = all.first(where: { !tried.contains($0) }) else { return nil }
        tried.insert(next)
        return next
    }
}

/// Changes that a lost sheep had when it was lost, and may still do: until that is impossible they must not be sent through
/// another sheep, for what the client writes afterwards could be overwritten by the late first copy.
///
/// Impossible it is when the cluster has called the lost sheep down, for then the others refuse what still comes from it; when the
/// client is at the same sheep again, which does what overlaps one after the other; and after ``longest``, by which a sheep has
/// given up what it could not do.
package struct ChangeFence: Equatable {
    /// A sheep tries for 30 s unless told otherwise.
    package static let longest = Duration.seconds(40)
    /// A sheep that is still called up after this time may have come back and is tried again.
    package static let patience = Duration.seconds(2)

    package let endpoint: SheepEndpoint
    /// Nil: not known.
    package let gateway: NodeID?
    package let since: ContinuousClock.Instant

    package init(endpoint: SheepEndpoint, gateway: NodeID?, since: ContinuousClock.Instant) {
        (self.endpoint, self.gateway, self.since) = (endpoint, gateway, since)
    }

    package enum Verdict: Equatable {
        case lifted
        case holds
        /// It holds, and the lost sheep is worth another try.
        case tryAgain
    }

    /// - Parameter nodes: As listed now by the sheep at `current`.
    package func verdict(at current: SheepEndpoint, nodes: [NodeRecord], now: ContinuousClock.Instant) -> Verdict {
        if current == endpoint { return .lifted }
        if now - since >= Self.longest { return .lifted }
        guard let gateway else { return .holds }
        guard let record = nodes.first(where: { $0.node == gateway }), record.state != .down else { return .lifted }
        return now - since >= Self.patience ? .tryAgain : .holds
    }
}
