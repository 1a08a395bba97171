// Invariants
// 1. An answered write is on its way to the cluster: its bytes were handed on before its answer.
// 2. While it is under way nothing begins that overlaps it, and what waits for that begins in the order in which it came.
// 3. The failure of an answered write is told to every handle that was open then, by its next fsync, and once: what one of them
//    heard says nothing to another. When none was, the next that opens is told. A close neither waits nor tells: a process that
//    another one forked closes what it does not know.
package import ObjectModel

/// Writes to one volume that were answered before the cluster confirmed them, as a disk's own cache does.
package struct WritesBehind {
    private struct Waiting {
        var range: Range<UInt64>
        var isAnswered: Bool
        var body: () -> Void
    }

    /// More is not answered early: so much may be lost where this process and its sheep end together.
    package static let mostWrites = 32
    package static let mostBytes: UInt64 = 4 << 20

    private var underWay: [UInt64: Range<UInt64>] = [:]
    private var bytes: UInt64 = 0
    private var waiting: [Waiting] = []
    /// Wait for all writes up to a number, and hold nothing up.
    private var drains: [(through: UInt64, body: () -> Void)] = []
    private var lastNumber: UInt64 = 0
    /// The latest of them, and their number.
    private var failure: (error: SheepError, count: Int)?
    /// The number that each open handle was told of.
    private var told: [UInt64: Int] = [:]
    /// That anybody was told of.
    private var toldCount = 0

    package init() {}

    /// Every write that was answered has ended.
    package var isEmpty: Bool { underWay.isEmpty }

    package mutating func opened(_ handle: UInt64) { told[handle] = toldCount }

    package mutating func closed(_ handle: UInt64) { told[handle] = nil }

    /// What answered writes failed with and this handle was not told.
    package mutating func takeFailure(for handle: UInt64) -> SheepError? {
        guard let failure, told[handle, default: 0] < failure.count else { return nil }
        told[handle] = failure.count
        toldCount = failure.count
        return failure.error
    }

    private func overlaps(_ range: Range<UInt64>) -> Bool { underWay.values.contains { $0.overlaps(range) } }

    private func mayBegin(_ range: Range<UInt64>, isAnswered: Bool) -> Bool {
        if underWay.isEmpty { return true }
        if isAnswered, underWay.count >= Self.mostWrites || bytes + UInt64(range.count) > Self.mostBytes { return false }
        return !overlaps(range)
    }

    /// True: what touches the range may begin now. Else `body` is kept until it may.
    package mutating func mayTouch(_ range: Range<UInt64>, orLater body: @escaping () -> Void) -> Bool {
        admit(range, isAnswered: false, body)
    }

    /// The same for a write that is to be answered early; when it begins it is ``began(_:)``.
    package mutating func mayWrite(_ range: Range<UInt64>, orLater body: @escaping () -> Void) -> Bool {
        admit(range, isAnswered: true, body)
    }

    private mutating func admit(_ range: Range<UInt64>, isAnswered: Bool, _ body: @escaping () -> Void) -> Bool {
        if waiting.isEmpty, mayBegin(range, isAnswered: isAnswered) { return true }
        waiting.append(Waiting(range: range, isAnswered: isAnswered, body: body))
        return false
    }

    /// True: every write that was answered has ended. Else `body` is kept until those answered so far have.
    package mutating func hasDrained(orLater body: @escaping () -> Void) -> Bool {
        if underWay.isEmpty { return true }
        drains.append((lastNumber, body))
        return false
    }

    /// Returns its number, for ``ended(_:_:)``.
    package mutating func began(_ range: Range<UInt64>) -> UInt64 {
        lastNumber += 1
        underWay[lastNumber] = range
        bytes += UInt64(range.count)
        return lastNumber
    }

    package mutating func ended(_ number: UInt64, _ error: SheepError?) {
        guard let range = underWay.removeValue(forKey: number) else { return }
        bytes -= UInt64(range.count)
        if let error { failure = (error, (failure?.count ?? 0) + 1) }
    }

    /// One of those that wait and may begin now; to be asked again until there is none.
    package mutating func next() -> (() -> Void)? {
        let oldest = underWay.keys.min() ?? .max
        if let first = drains.first, first.through < oldest { return drains.removeFirst().body }
        guard let first = waiting.first, mayBegin(first.range, isAnswered: first.isAnswered) else { return nil }
        return waiting.removeFirst().body
    }
}
