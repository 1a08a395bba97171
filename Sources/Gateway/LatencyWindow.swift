package import SheepProtocol

/// How long requests of clients took at this sheep lately, and how long they take while no copy is missing.
///
/// A histogram of powers of two in four parts each, so a percentile is right to 19 %. It covers the last second, in quarters
/// of which the oldest goes with each ``close(isCalm:)``.
package struct LatencyWindow {
    private static let quarters = 4
    private static let buckets = 4 * 40
    /// Fewer requests than this in a second say nothing about their 99th percentile.
    package static let fewest: UInt32 = 20
    /// What is thought normal until it was seen, in microseconds.
    package static let presumedCalm: UInt32 = 5_000

    private var counts = [[UInt32]](repeating: [UInt32](repeating: 0, count: buckets), count: quarters)
    private var current = 0
    private var calm: UInt32?

    package init() {}

    /// Notes one request, in nanoseconds.
    package mutating func record(_ nanoseconds: UInt64) { counts[current][Self.bucket(of: nanoseconds)] += 1 }

    /// Ends a quarter and tells what the last four of them show. `isCalm`: nobody recovers, so this is how it should be.
    package mutating func close(isCalm: Bool) -> ClientLoad {
        let total = counts.reduce(UInt32(0)) { sum, quarter in quarter.reduce(sum, +) }
        var load = ClientLoad(requests: total, tail: 0, calmTail: calm ?? Self.presumedCalm)
        if total >= Self.fewest {
            load.tail = percentile99(of: total)
            if isCalm {
                load.calmTail = normal(after: load.tail)
                calm = load.calmTail
            }
        }
        current = (current + 1) % Self.quarters
        counts[current] = [UInt32](repeating: 0, count: Self.buckets)
        return load
    }

    /// Seconds, not single quarters, say what is normal; and what went better than that quickly counts, for another client may ask
    /// for less at a time than the one before.
    private func normal(after tail: UInt32) -> UInt32 {
        guard let calm else { return tail }
        return tail < calm ? calm - (calm - tail) / 4 : calm + (tail - calm) / 8
    }

    /// The upper border of the bucket in which the 99th percentile lies, in microseconds.
    private func percentile99(of total: UInt32) -> UInt32 {
        var beyond = total / 100
        for bucket in (0..<Self.buckets).reversed() {
            let here = counts.reduce(UInt32(0)) { $0 + $1[bucket] }
            if here > beyond { return UInt32(clamping: max(1, Self.upperBorder(of: bucket) / 1_000)) }
            beyond -= here
        }
        return 1
    }

    private static func bucket(of nanoseconds: UInt64) -> Int {
        let value = max(nanoseconds, 4)
        let exponent = 63 - value.leadingZeroBitCount
        let part = Int(value >> UInt64(exponent - 2)) & 3
        return min(buckets - 1, (exponent - 2) * 4 + part)
    }

    private static func upperBorder(of bucket: Int) -> UInt64 { UInt64(4 + bucket % 4 + 1) << UInt64(bucket / 4) }
}

extension ClientLoad {
    /// The one whose requests take longer than they should, by more; one of too few requests counts only where the other has no more.
    package func orWorse(_ other: ClientLoad) -> ClientLoad {
        guard requests >= LatencyWindow.fewest, other.requests >= LatencyWindow.fewest else { return other.requests > requests ? other : self }
        return UInt64(other.tail) * UInt64(calmTail) > UInt64(tail) * UInt64(other.calmTail) ? other : self
    }
}
