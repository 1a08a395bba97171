/// Counts of latencies in classes that are at most 1/32 wide of their value.
struct LatencyHistogram {
    private static let stepsPerDoubling = 32
    private var counts = [Int](repeating: 0, count: 64 * stepsPerDoubling)
    private(set) var maximum: UInt64 = 0
    private var total = 0

    mutating func record(_ nanoseconds: UInt64) {
        counts[Self.bucket(nanoseconds)] += 1
        total += 1
        maximum = max(maximum, nanoseconds)
    }

    /// The upper end of the class in which that part of all values is reached; zero when there are none.
    func nanoseconds(atPermille permille: Int) -> UInt64 {
        var wanted = (total * permille + 999) / 1000
        guard wanted > 0 else { return 0 }
        for (bucket, count) in counts.enumerated() {
            wanted -= count
            if wanted <= 0 { return min(maximum, Self.upperBound(bucket)) }
        }
        return maximum
    }

    private static func bucket(_ value: UInt64) -> Int {
        guard value >= UInt64(stepsPerDoubling) else { return Int(value) }
        let doublings = 63 - value.leadingZeroBitCount
        let step = Int(value >> UInt64(doublings - 5)) - stepsPerDoubling
        return (doublings - 4) * stepsPerDoubling + step
    }

    private static func upperBound(_ bucket: Int) -> UInt64 {
        guard bucket >= stepsPerDoubling else { return UInt64(bucket) }
        let doublings = bucket / stepsPerDoubling + 4
        let step = UInt64(bucket % stepsPerDoubling + stepsPerDoubling + 1)
        return (step << UInt64(doublings - 5)) - 1
    }
}
