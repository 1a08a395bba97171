/// One machine's clocks against the world's time.
final class MachineClock {
    /// Nanoseconds that its steady clock counts in a millisecond: 950,000 to 1,050,000.
    private let rate: UInt64
    /// How far its wall clock is ahead or behind.
    private var wallOffset: Int64 = 0

    init(rate: UInt64 = 1_000_000) { self.rate = rate }

    func time(_ world: UInt64) -> UInt64 { scale(world, by: rate, per: 1_000_000) }
    /// How long the world waits for so much of the machine's time.
    func duration(_ time: UInt64) -> UInt64 { rate == 1_000_000 ? time : scale(time, by: 1_000_000, per: rate) + 1 }

    private func scale(_ value: UInt64, by factor: UInt64, per divisor: UInt64) -> UInt64 {
        let product = value.multipliedFullWidth(by: factor)
        return divisor.dividingFullWidth(product).quotient
    }

    func wallClock(_ world: UInt64) -> UInt64 { UInt64(1_700_000_000_000_000_000 + Int64(time(world)) + wallOffset) }
    func jump(by nanoseconds: Int64) { wallOffset += nanoseconds }
}
