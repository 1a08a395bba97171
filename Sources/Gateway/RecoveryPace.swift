package import ObjectModel
package import SheepProtocol

/// How fast a sheep that catches up may fetch: as fast as it can when every sheep has told that no client wants the machines, else at a rate that
/// begins low, halves when the clients' requests take more than twice as long as without recovery, and grows by a quarter a second while they take as
/// long as ever: what a client waits for on its own way to the sheep is not in what the sheep sees.
///
/// Redundancy must come back however busy the clients are, so the rate has a floor. An operator may limit the objects begun in
/// an interval as well.
package struct RecoveryPace {
    /// Bytes a second.
    package static let slowest: UInt64 = 128 << 20
    package static let fastest: UInt64 = 2 << 30
    /// Clients that are heard of no more count no more, in nanoseconds.
    private static let loadLifetime: UInt64 = 1_500_000_000

    /// How far back a sheep's ``ClientLoad`` goes, in nanoseconds.
    private static let hindsight: UInt64 = 1_000_000_000

    /// Of fewer requests in a second the 99th percentile is the longest one, which says little of the others.
    private static let many: UInt32 = 100

    package var throttle = RecoveryThrottle.none
    /// Nil: without limit, because no client asks for anything.
    package private(set) var rate: UInt64?
    private var loads: [NodeID: (load: ClientLoad, at: UInt64)] = [:]
    private var nextFetch: UInt64 = 0
    private var changedAt: UInt64 = 0
    private var begun: UInt32 = 0
    private var intervalBegan: UInt64 = 0

    /// Until these sheep were heard of, or this time, nobody knows that no client is there.
    private var (sheep, cautiousUntil): ([NodeID], UInt64) = ([], 0)
    private static let caution: UInt64 = 1_000_000_000

    package init() {}

    /// Copying begins, among sheep whose clients may suffer from it: gently, until all of them have told what their clients ask for.
    package mutating func began(among sheep: [NodeID], now: UInt64) {
        (self.sheep, cautiousUntil) = (sheep, now + Self.caution)
        if rate == nil { (rate, changedAt) = (Self.slowest, now) }
    }

    /// What a sheep sees of clients.
    package mutating func noted(_ load: ClientLoad, at sheep: NodeID, now: UInt64) { loads[sheep] = (load, now) }

    /// Four times a second: follows the clients.
    package mutating func adapt(now: UInt64) {
        loads = loads.filter { now < $0.value.at + Self.loadLifetime }
        let busy = loads.values.lazy.map(\.load).filter { $0.requests >= LatencyWindow.fewest }
        guard !busy.isEmpty else {
            if now >= cautiousUntil || sheep.allSatisfy({ loads[$0] != nil }) { rate = nil }
            return
        }
        guard let before = rate else { return (rate, changedAt) = (Self.slowest, now) }
        // What the loads show goes back a second: they say nothing yet of a rate that was changed since.
        if now < changedAt + Self.hindsight { return }
        if busy.contains(where: { UInt64($0.tail) > 2 * UInt64($0.calmTail) }) {
            if before > Self.slowest { (rate, changedAt) = (max(Self.slowest, before / 2), now) }
        } else if busy.allSatisfy({ $0.requests < Self.many || 4 * UInt64($0.tail) <= 5 * UInt64($0.calmTail) }) {
            (rate, changedAt) = (min(Self.fastest, before + before / 4), now)
        }
    }

    /// Takes the right to fetch so many bytes; returns after how many nanoseconds it may begin.
    package mutating func reserve(_ bytes: Int, now: UInt64) -> UInt64 {
        guard let rate else {
            nextFetch = now
            return 0
        }
        let begins = max(now, nextFetch)
        nextFetch = begins + UInt64(bytes) * 1_000_000_000 / rate
        return begins - now
    }

    /// What is under way does not use up what the rate allows: more at once may.
    package func isBehind(now: UInt64) -> Bool { rate != nil && now > nextFetch + Self.patience }
    private static let patience: UInt64 = 4_000_000

    /// Takes the right to begin with one more object; returns after how many nanoseconds to ask again, 0 when granted.
    package mutating func begin(now: UInt64) -> UInt64 {
        guard throttle.isLimited else { return 0 }
        let interval = UInt64(throttle.intervalMilliseconds) * 1_000_000
        if now >= intervalBegan + interval { (begun, intervalBegan) = (0, now) }
        guard begun < throttle.objects else { return intervalBegan + interval - now }
        begun += 1
        return 0
    }
}
