// Invariants
// 1. A write takes effect at one moment between its call and its end; one that failed does so too, or never.
// 2. A read returns what the last effective write before its own moment, between its call and its end, wrote.
// 3. A write that was acknowledged or read took effect, until a power cut that was allowed to lose it.
// 4. A connection's flush that succeeds means that what the same connection was acknowledged before is there, whatever lost its power
//    since.

/// What was written to one sector of a volume, and so what a read may return.
struct SectorHistory {
    struct Write {
        let stamp: Stamp
        let called: UInt64
        /// When its effect was there, if there was one; `.max`: under way.
        var ended: UInt64 = .max
        /// It took effect for certain.
        var isCertain = false
        /// No power cut can lose it.
        var isDurable = false
        /// It was under way at a power cut: an acknowledgement that comes later may have been given before, and be void.
        var isDoubtful = false
        /// By which it was acknowledged, as long as that one has not been told that it may be lost.
        var connection: Int?
        let number: Int
    }

    private(set) var writes: [Write]
    private var lostPowerAt: UInt64 = 0

    init(initial: Stamp) {
        writes = [Write(stamp: initial, called: 0, ended: 0, isCertain: true, isDurable: true, number: 0)]
    }

    mutating func called(_ stamp: Stamp, number: Int, at time: UInt64) {
        writes.append(Write(stamp: stamp, called: time, number: number))
    }

    mutating func acknowledged(number: Int, at time: UInt64, isDurable: Bool, by connection: Int?) {
        change(number) {
            $0.connection = connection
            $0.ended = min($0.ended, time)
            $0.isDurable = $0.isDurable || isDurable
            $0.isCertain = $0.isCertain || $0.isDurable || !$0.isDoubtful
        }
    }

    mutating func failed(number: Int, at time: UInt64) { change(number) { $0.ended = min($0.ended, time) } }

    /// Every write acknowledged before `call` has been made durable.
    mutating func flushed(calledAt call: UInt64, by connection: Int) {
        for index in writes.indices where writes[index].ended <= call {
            guard writes[index].isCertain || writes[index].connection == connection else { continue }
            (writes[index].isCertain, writes[index].isDurable) = (true, true)
        }
        prune()
    }

    /// It knows that what it was acknowledged may be lost.
    mutating func flushFailed(by connection: Int) {
        for index in writes.indices where writes[index].connection == connection { writes[index].connection = nil }
    }

    /// The power went where copies were that no others stood for. What is under way may take effect yet.
    mutating func lostPower(at time: UInt64) {
        lostPowerAt = time
        for index in writes.indices where !writes[index].isDurable {
            writes[index].isCertain = false
            writes[index].isDoubtful = writes[index].ended == .max
        }
    }

    private mutating func change(_ number: Int, _ body: (inout Write) -> Void) {
        if let index = writes.lastIndex(where: { $0.number == number }) { body(&writes[index]) }
    }

    /// The writes that a read between `call` and `end` may have returned.
    func candidates(_ stamp: Stamp, from call: UInt64, to end: UInt64) -> [Write] {
        writes.filter { $0.stamp == stamp && $0.called <= end && lastMoment(of: $0) >= call }
    }

    /// From then on the write is certainly overwritten.
    func lastMoment(of write: Write) -> UInt64 {
        var last = UInt64.max
        for other in writes where other.isCertain && other.called > write.ended { last = min(last, other.ended) }
        return last
    }

    /// A read returned the stamp; its write has taken effect.
    mutating func observed(_ stamp: Stamp, from call: UInt64, to end: UInt64) -> Bool {
        let candidates = candidates(stamp, from: call, to: end)
        // What was read before a power cut may have gone with it, though the answer came after.
        if candidates.count == 1, let write = candidates.first, !write.isCertain, call >= lostPowerAt {
            change(write.number) {
                $0.isCertain = true
                $0.ended = min($0.ended, end)
            }
        }
        return !candidates.isEmpty
    }

    /// Drops what is overwritten durably and long ago; reads last less than two minutes.
    private mutating func prune() {
        guard writes.count > 24, let newest = writes.last(where: { $0.isDurable })?.called, newest > 120_000_000_000 else { return }
        let horizon = newest - 120_000_000_000
        writes = writes.filter { lastMoment(of: $0) >= horizon }
    }

    var text: String {
        writes.suffix(8).map {
            "\($0.stamp)[\(World.seconds($0.called))-\($0.ended == .max ? "" : World.seconds($0.ended))\($0.isCertain ? "" : "?")]"
        }.joined(separator: " ")
    }
}

/// What a sector holds: 0 for zeros, else a number that no other write used.
typealias Stamp = UInt64
