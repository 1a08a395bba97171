import Gateway
import ObjectModel
import ObjectStore
import Testing

@Suite("What the scrub reads next, and when")
struct ScrubScheduleTests {
    private static let day: UInt64 = 86_400_000_000_000
    private let family = Family(rawValue: 1)
    private let object: UInt64 = 4 << 20

    /// Runs a pass over `count` objects of 4 MiB; returns how long it took.
    private func pass(_ schedule: inout ScrubSchedule, from start: UInt64, count: UInt32, isBusy: Bool = false) -> UInt64 {
        var now = start
        var index: UInt32 = 0
        while true {
            guard case .audit(let after) = schedule.step(now: now, isBusy: isBusy, objects: UInt64(count), wall: now) else {
                now += 250_000_000
                continue
            }
            #expect(after?.index == (index == 0 ? nil : index - 1))
            guard index < count else {
                schedule.ended(now: now, wall: now)
                return now - start
            }
            schedule.audited(
                family: family, index: index, objects: 1, bytes: object, diskBytes: UInt64(count) * object, now: now)
            index += 1
        }
    }

    @Test("the first pass reads at its rate while nobody wants anything, the next spreads over the period")
    func paces() {
        var schedule = ScrubSchedule(period: 7 * Self.day, rate: 16 << 20, record: ScrubRecord())
        let first = pass(&schedule, from: 1, count: 400)
        #expect(first >= 100_000_000_000 && first < 300_000_000_000, "1,600 MiB at 16 MiB a second")
        #expect(schedule.record.lastVerified == 400 && schedule.record.lastEndedAt > 0 && schedule.record.begunAt == 0)
        let second = pass(&schedule, from: first + 1, count: 400)
        #expect(second > 6 * Self.day && second < 7 * Self.day + Self.day / 10)
    }

    @Test("clients slow the first pass down to the period's pace, not below it")
    func busy() {
        var schedule = ScrubSchedule(period: Self.day, rate: 16 << 20, record: ScrubRecord())
        let taken = pass(&schedule, from: 1, count: 100, isBusy: true)
        #expect(taken > Self.day * 8 / 10 && taken < Self.day)
    }

    @Test("a pass goes on after a restart where it was, with what it had counted")
    func restart() {
        var schedule = ScrubSchedule(period: Self.day, rate: 1 << 20, record: ScrubRecord())
        #expect(schedule.step(now: 1, isBusy: false, objects: 5, wall: 9) == .audit(after: nil))
        schedule.audited(family: family, index: 3, objects: 4, bytes: object, diskBytes: 5 * object, now: 2)
        var again = ScrubSchedule(period: Self.day, rate: 1 << 20, record: schedule.record)
        #expect(again.step(now: 1, isBusy: false, objects: 50, wall: 10) == .audit(after: (family, 3)))
        again.audited(family: family, index: 4, objects: 1, bytes: object, diskBytes: 5 * object, now: 2)
        #expect(again.record.verified == 5 && again.record.total == 5 && again.record.begunAt == 9)
    }

    @Test("a period of zero reads nothing")
    func off() {
        var schedule = ScrubSchedule(period: 0, rate: 1, record: ScrubRecord())
        #expect(schedule.step(now: .max, isBusy: false, objects: 5, wall: 9) == .wait)
    }

    @Test("nothing is asked for while a slot is under way; a postponed one comes again")
    func oneAtATime() {
        var schedule = ScrubSchedule(period: Self.day, rate: 1 << 30, record: ScrubRecord())
        #expect(schedule.step(now: 1, isBusy: false, objects: 5, wall: 9) == .audit(after: nil))
        #expect(schedule.step(now: Self.day, isBusy: false, objects: 5, wall: 9) == .wait)
        schedule.postponed(now: Self.day)
        #expect(schedule.step(now: Self.day + 1, isBusy: false, objects: 5, wall: 9) == .wait)
        #expect(schedule.step(now: Self.day + 1_000_000_000, isBusy: false, objects: 5, wall: 9) == .audit(after: nil))
    }
}
