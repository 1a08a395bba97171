package import ObjectModel

/// Decides what may be delivered when, and how far the node lease reaches.
///
/// Invariants:
/// - an item is delivered only after a sync that began after the item was seen;
/// - items are delivered in the order they were seen;
/// - ``lastLookStarted`` is the start of a look of which everything that it and earlier looks saw has been delivered.
package struct DeliveryQueue {
    package enum Item: Hashable, Sendable {
        case entry(LogIndex, [UInt8])
        /// The state after this entry replaces everything before.
        case restored(LogIndex, [UInt8])
    }

    /// A look, and how many items had been seen when it ended.
    private struct Look {
        var started: UInt64
        var seen: Int
    }

    private var waiting: [Item] = []
    /// Items ever seen, and those of them delivered or dropped; the difference waits or is just being delivered.
    private var seen = 0
    private var done = 0
    private var syncInFlight = false
    /// Looks whose items are not all delivered, oldest first; at most one for each number of items seen.
    private var looks: [Look] = []

    /// In ns of CLOCK_BOOTTIME; nil before the first look whose items were delivered.
    package private(set) var lastLookStarted: UInt64?

    package init() {}

    /// Everything seen has been delivered.
    package var isIdle: Bool { seen == done }

    package mutating func saw(_ items: [Item]) {
        waiting += items
        seen += items.count
    }

    /// A snapshot of a later state was found: what waits is contained in it.
    package mutating func dropWaiting() {
        done += waiting.count
        waiting = []
        looks = []
    }

    /// A look that began at `started` has ended; what it saw was given to ``saw(_:)``.
    package mutating func looked(startedAt started: UInt64) {
        if looks.last?.seen == seen { looks.removeLast() }
        looks.append(Look(started: started, seen: seen))
        settleLooks()
    }

    /// The number to give to ``synced(_:)`` when a sync that begins now has succeeded; nil when none is needed now.
    package mutating func beginSync() -> Int? {
        guard !syncInFlight, !waiting.isEmpty else { return nil }
        syncInFlight = true
        return seen
    }

    /// The sync succeeded; returns what may be delivered. The caller calls ``delivered()`` after each.
    package mutating func synced(_ covered: Int) -> [Item] {
        precondition(syncInFlight)
        syncInFlight = false
        let firstWaiting = seen - waiting.count
        let durable = Array(waiting.prefix(max(0, covered - firstWaiting)))
        waiting.removeFirst(durable.count)
        return durable
    }

    package mutating func delivered() {
        done += 1
        precondition(done <= seen - waiting.count)
        settleLooks()
    }

    private mutating func settleLooks() {
        while let look = looks.first, look.seen <= done {
            lastLookStarted = look.started
            looks.removeFirst()
        }
    }
}
