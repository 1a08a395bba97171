package import ObjectModel
package import ObjectStore

/// Decides what the scrub reads next, and when: slot after slot in the order of their names, so slowly that a pass takes
/// most of the period; the first one of a disk faster, while no client wants anything.
///
/// A pass is spread by bytes, not by a deadline: after a stop it goes on at the same pace from where it was.
package struct ScrubSchedule: Sendable {
    /// The part of the period that a pass takes when nothing holds it up.
    private static let usedOfPeriod = (9, 10)
    /// After anything of a client the fast pace rests for so long, in nanoseconds.
    private static let quietNeeded: UInt64 = 500_000_000
    /// Between two slots at least and at most, so that one look at the clock is enough, in nanoseconds.
    private static let shortestPause: UInt64 = 1_000_000
    private static let longestPause: UInt64 = 6 * 3_600_000_000_000

    private let period: UInt64
    private let rate: UInt64
    /// What is kept over restarts.
    package private(set) var record: ScrubRecord
    private var nextAt: UInt64 = 0
    private var lastBusy: UInt64?
    private var isAuditing = false

    /// - Parameters:
    ///   - period: in nanoseconds; 0: nothing is ever read.
    ///   - rate: bytes a second of the first pass.
    package init(period: UInt64, rate: UInt64, record: ScrubRecord) {
        (self.period, self.rate, self.record) = (period, max(1, rate), record)
    }

    package enum Step: Hashable, Sendable {
        case wait
        /// Read the first slot behind this one; nil: the first of all.
        case audit(after: (family: Family, index: UInt32)?)

        package static func == (a: Step, b: Step) -> Bool {
            switch (a, b) {
            case (.wait, .wait): true
            case (.audit(let a), .audit(let b)): a?.family == b?.family && a?.index == b?.index
            default: false
            }
        }

        package func hash(into hasher: inout Hasher) {
            if case .audit(let after) = self { hasher.combine(after?.index) }
        }
    }

    /// What to do now. `objects` are those of the disk, for a pass that begins; `wall` is the time of day, which is only noted.
    package mutating func step(now: UInt64, isBusy: Bool, objects: UInt64, wall: UInt64) -> Step {
        if isBusy { lastBusy = now }
        guard period > 0, !isAuditing, now >= nextAt else { return .wait }
        isAuditing = true
        if record.begunAt == 0 {
            (record.begunAt, record.verified, record.total) = (max(1, wall), 0, objects)
            (record.family, record.index, record.flaws) = (Family(rawValue: 0), 0, ScrubFlaws())
            return .audit(after: nil)
        }
        return .audit(after: record.verified == 0 ? nil : (record.family, record.index))
    }

    /// Everything up to the slot was read or left to who leads it: so many objects and bytes of this disk's.
    package mutating func audited(
        family: Family, index: UInt32, objects: UInt64, bytes: UInt64, diskBytes: UInt64, flaws: ScrubFlaws = ScrubFlaws(), now: UInt64
    ) {
        isAuditing = false
        record.flaws.add(flaws)
        (record.family, record.index) = (family, index)
        record.verified += objects
        nextAt = now + pause(bytes: bytes, of: max(bytes, diskBytes), now: now)
    }

    /// There is no further slot: the pass is complete.
    package mutating func ended(now: UInt64, wall: UInt64) {
        isAuditing = false
        (record.lastEndedAt, record.lastVerified, record.lastFlaws) = (max(1, wall), record.verified, record.flaws)
        record.begunAt = 0
        // What is left of the period, and little stores are not read over and over.
        nextAt = now + max(Self.shortestPause, period / 10)
    }

    /// The slot could not be looked at now; it is tried again.
    package mutating func postponed(now: UInt64) {
        isAuditing = false
        nextAt = now + 1_000_000_000
    }

    package mutating func note(damaged: UInt64, mended: UInt64) { (record.damaged, record.mended) = (damaged, mended) }

    private func pause(bytes: UInt64, of all: UInt64, now: UInt64) -> UInt64 {
        let share = Double(bytes) / Double(max(1, all)) * Double(period) * Double(Self.usedOfPeriod.0) / Double(Self.usedOfPeriod.1)
        let fast = Double(bytes) / Double(rate) * 1e9
        let isQuiet = lastBusy.map { now > $0 + Self.quietNeeded } ?? true
        let pause = record.lastEndedAt == 0 && isQuiet ? min(fast, share) : share
        return UInt64(min(max(pause, Double(Self.shortestPause)), Double(Self.longestPause)))
    }
}
