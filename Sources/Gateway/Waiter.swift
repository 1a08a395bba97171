import ObjectModel

/// Something that waits for a change or a range of a volume: goes on when that is free, or fails when its time is over.
struct Waiter {
    /// When its request began to wait, in ns of CLOCK_BOOTTIME.
    let since: UInt64
    let run: () -> Void
    let fail: (SheepError) -> Void
}

extension Array where Element == Waiter {
    /// Takes out those that have waited for longer than `limit`.
    mutating func takeExpired(now: UInt64, limit: UInt64) -> [Waiter] {
        let expired = filter { now > $0.since && now - $0.since > limit }
        if !expired.isEmpty { removeAll { now > $0.since && now - $0.since > limit } }
        return expired
    }
}
