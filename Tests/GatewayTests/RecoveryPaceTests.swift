import Gateway
import ObjectModel
import SheepProtocol
import Testing

@Suite struct RecoveryPaceTests {
    private static let second: UInt64 = 1_000_000_000
    private let gateway = NodeID(high: 1, low: 1)

    @Test("while no client changes anything there is no limit")
    func alone() {
        var pace = RecoveryPace()
        pace.noted(ClientLoad(requests: 3, tail: 0, calmTail: 100), at: gateway, now: Self.second)
        pace.adapt(now: Self.second)
        #expect(pace.rate == nil)
        #expect(pace.reserve(1 << 30, now: Self.second) == 0 && pace.reserve(1 << 30, now: Self.second) == 0)
    }

    @Test("it begins gently until every sheep has told of its clients, or time is up")
    func unheard() {
        var pace = RecoveryPace()
        let other = NodeID(high: 1, low: 2)
        let idle = ClientLoad(requests: 0, tail: 0, calmTail: 100)
        pace.began(among: [gateway, other], now: Self.second)
        pace.noted(idle, at: gateway, now: Self.second)
        pace.adapt(now: Self.second)
        #expect(pace.rate == RecoveryPace.slowest, "one of two")
        pace.noted(idle, at: other, now: Self.second)
        pace.adapt(now: Self.second)
        #expect(pace.rate == nil)
        pace.began(among: [gateway, other, NodeID(high: 1, low: 3)], now: Self.second)
        pace.adapt(now: 2 * Self.second - 1)
        #expect(pace.rate == RecoveryPace.slowest)
        pace.adapt(now: 2 * Self.second)
        #expect(pace.rate == nil, "the third may hang")
    }

    @Test("the rate halves while clients suffer, to a floor, and grows when they do not")
    func follows() {
        var pace = RecoveryPace()
        var now = Self.second
        func tell(tail: UInt32) {
            now += Self.second / 4
            pace.noted(ClientLoad(requests: 500, tail: tail, calmTail: 1_000), at: gateway, now: now)
            pace.adapt(now: now)
        }
        tell(tail: 1_000)
        #expect(pace.rate == RecoveryPace.slowest, "it begins gently")
        for _ in 0..<20 { tell(tail: 50_000) }
        #expect(pace.rate == RecoveryPace.slowest)
        tell(tail: 2_000)
        #expect(pace.rate == RecoveryPace.slowest, "not slower than allowed, and not as ever")
        tell(tail: 1_250)
        #expect(pace.rate == RecoveryPace.slowest + RecoveryPace.slowest / 4)
        for _ in 0..<3 { tell(tail: 10) }
        #expect(pace.rate == RecoveryPace.slowest + RecoveryPace.slowest / 4, "what is told goes back a second: it says nothing yet of the higher rate")
        for _ in 0..<100 { tell(tail: 10) }
        #expect(pace.rate == RecoveryPace.fastest)
        for _ in 0..<4 { tell(tail: 50_000) }
        #expect(pace.rate == RecoveryPace.fastest / 2, "what is told goes back a second: it says nothing yet of the lower rate")
        tell(tail: 50_000)
        #expect(pace.rate == RecoveryPace.fastest / 4)
        pace.adapt(now: now + 10 * Self.second)
        #expect(pace.rate == nil, "a gateway that is heard of no more counts no more")
    }

    @Test("what is fetched is spread evenly over time")
    func spread() {
        var pace = RecoveryPace()
        pace.noted(ClientLoad(requests: 500, tail: 1, calmTail: 1), at: gateway, now: 0)
        pace.adapt(now: 0)
        let piece = Int(RecoveryPace.slowest) / 100
        let waits = (0..<3).map { _ in pace.reserve(piece, now: 0) }
        #expect(waits[0] == 0 && waits[1].distance(to: Self.second / 100).magnitude < 1_000 && waits[2] > waits[1])
    }

    @Test("what does not use up the rate may have more under way")
    func behind() {
        var pace = RecoveryPace()
        #expect(!pace.isBehind(now: Self.second), "without limit there is nothing to fall behind")
        pace.noted(ClientLoad(requests: 500, tail: 1, calmTail: 1), at: gateway, now: Self.second)
        pace.adapt(now: Self.second)
        _ = pace.reserve(Int(RecoveryPace.slowest) / 10, now: Self.second)
        #expect(!pace.isBehind(now: Self.second + Self.second / 10) && pace.isBehind(now: Self.second + Self.second / 5))
    }

    @Test("a few requests keep no recovery slow that they do not suffer from")
    func few() {
        var pace = RecoveryPace()
        for (at, rate) in [(Self.second, RecoveryPace.slowest), (2 * Self.second, RecoveryPace.slowest / 4 * 5)] {
            pace.noted(ClientLoad(requests: 30, tail: 1_900, calmTail: 1_000), at: gateway, now: at)
            pace.adapt(now: at)
            #expect(pace.rate == rate)
        }
    }

    @Test("an operator's limit: so many objects in each interval")
    func limited() {
        var pace = RecoveryPace()
        pace.throttle = RecoveryThrottle(objects: 2, intervalMilliseconds: 100)
        #expect(pace.begin(now: Self.second) == 0 && pace.begin(now: Self.second) == 0)
        #expect(pace.begin(now: Self.second + 30_000_000) == 70_000_000)
        #expect(pace.begin(now: Self.second + 100_000_000) == 0)
    }

    @Test("the 99th percentile covers the last four quarters, and is right to a fifth")
    func window() {
        var window = LatencyWindow()
        for number in 1...1000 { window.record(UInt64(number) * 1_000) }
        let load = window.close(isCalm: true)
        #expect(load.requests == 1000 && (990...1_250).contains(load.tail) && load.calmTail == load.tail)
        for _ in 0..<3 { #expect(window.close(isCalm: false).requests == 1000) }
        let empty = window.close(isCalm: false)
        #expect(empty.requests == 0 && empty.tail == 0 && empty.calmTail == load.tail)
    }

    @Test("of changes and reads those count that take longer, measured by what they take without recovery")
    func worse() {
        let changes = ClientLoad(requests: 500, tail: 3_000, calmTail: 1_000)
        let reads = ClientLoad(requests: 50, tail: 400, calmTail: 100)
        #expect(changes.orWorse(reads) == reads && reads.orWorse(changes) == reads)
        let fewReads = ClientLoad(requests: LatencyWindow.fewest - 1, tail: 0, calmTail: 100)
        #expect(changes.orWorse(fewReads) == changes && fewReads.orWorse(changes) == changes)
        #expect(ClientLoad.none.orWorse(fewReads) == fewReads)
    }

    @Test("what is normal follows quickly when it becomes less, and slowly when it becomes more")
    func normal() {
        var window = LatencyWindow()
        func calm(_ nanoseconds: UInt64) -> UInt32 {
            for _ in 0..<100 { window.record(nanoseconds) }
            return window.close(isCalm: true).calmTail
        }
        for _ in 0..<50 { _ = calm(10_000_000) }
        for _ in 0..<4 { _ = calm(100_000) }
        let less = (0..<12).reduce(0) { _, _ in calm(100_000) }
        #expect(less < 1_000)
        for _ in 0..<4 { _ = calm(10_000_000) }
        #expect(calm(10_000_000) < 6_000)
    }

    @Test("any time has its place: nothing, and a century")
    func extremes() {
        var window = LatencyWindow()
        for time in [0, 1, 3, 4, UInt64.max] { for _ in 0..<10 { window.record(time) } }
        #expect(window.close(isCalm: false).requests == 50)
    }
}
