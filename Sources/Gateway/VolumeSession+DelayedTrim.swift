// Invariants
// 1. A trim is entered in the turn in which it is asked for, and leaves the table in the turn in which it gets its number as a change: whatever
//    comes for its object in between ends it, whatever comes later is ordered after it.
// 2. It runs only under the term that was the volume's here when it was asked for, or was granted here as the very next one: every change
//    in between came by this session.
import Cluster
import NIOCore
package import ObjectModel
import SheepProtocol

/// Trims that wait for their time, one an object. They are hints: each may be forgotten at any moment.
package struct DelayedTrims {
    /// 256 GiB of objects of 4 MiB, in some 4 MiB of memory. What is asked for beyond it is not done.
    package static let most = 65_536
    /// Of the 1,024 changes of the window, so that clients' changes find room.
    static let mostUnderWay = 256
    /// Between looks at what is due, at least. Nanoseconds.
    static let interval: UInt64 = 500_000_000

    package struct Trim {
        /// Bytes within the object, in whole blocks.
        var range: Range<Int>
        /// Nanoseconds of CLOCK_BOOTTIME.
        var due: UInt64
        var term: Term

        package init(range: Range<Int>, due: UInt64, term: Term) { (self.range, self.due, self.term) = (range, due, term) }
    }

    private var trims: [UInt32: Trim] = [:]
    /// A timer runs.
    var isScheduled = false
    /// Changes that are not done.
    var underWay = 0

    package init() {}

    package var isEmpty: Bool { trims.isEmpty }
    package var count: Int { trims.count }
    /// Of an empty table: never.
    package var nextDue: UInt64 { trims.values.lazy.map(\.due).min() ?? .max }

    /// Takes the place of one that waits for the same object.
    package mutating func insert(_ trim: Trim, at index: UInt32) {
        guard trims.count < Self.most || trims[index] != nil else { return }
        trims[index] = trim
    }

    mutating func take(_ index: UInt32) -> Trim? { trims.removeValue(forKey: index) }
    package mutating func removeAll() { trims = [:] }

    /// Indices, ascending.
    package func due(at now: UInt64) -> [UInt32] { trims.filter { $0.value.due <= now }.keys.sorted() }

    /// Something comes for these bytes of the volume.
    package mutating func end(_ bytes: Range<UInt64>, objectSize: Int) {
        guard !trims.isEmpty, let last = bytes.last else { return }
        let (first, end) = (bytes.lowerBound / UInt64(objectSize), last / UInt64(objectSize) + 1)
        if end - first > UInt64(trims.count) { trims = trims.filter { !(first..<end).contains(UInt64($0.key)) } } else {
            for index in first..<end { trims[UInt32(index)] = nil }
        }
    }
}

extension VolumeSession {
    /// See ``VolumeDevice/trimUnlessChanged(at:length:afterNanoseconds:)``.
    func trimUnlessChanged(at offset: UInt64, length: UInt64, after delay: UInt64) {
        let now = usedHere()
        let (within, size) = (Int(offset % UInt64(objectSize)), objectSize)
        let range = (within + blockSize - 1) / blockSize * blockSize..<min(within + Int(length), size) / blockSize * blockSize
        let index = UInt32(offset / UInt64(size))
        // A change that is under way may be answered later than this.
        guard let term = presentOrNextTerm, !range.isEmpty, isFree(index) else { return }
        delayedTrims.insert(.init(range: range, due: now + delay, term: term), at: index)
        // Whoever is asked becomes the owner if nobody is.
        if case .idle = mode { open() }
        scheduleTrims()
    }

    /// The term in which this sheep is the owner, or will be if it is the next; nil: another one is. Should another have been the owner
    /// in between, the term that this sheep gets is a later one.
    private var presentOrNextTerm: Term? {
        switch mode {
        case .owned(let term), .draining(let term), .rollingForward(let term): return term
        case .forwarding, .deleted: return nil
        case .idle, .opening: break
        }
        let state = node.control.state
        guard let lease = state.owner(of: birth) else { return state.volume(birth)?.term.next }
        return lease.owner == node.identity && lease.boot == node.boot ? lease.term : nil
    }

    /// Ends the trims that wait for these bytes: of every change that a client or another gateway asks for, before it waits for anything,
    /// and of what a former owner left.
    func changeComes(at offset: UInt64, length: UInt64) {
        if delayedTrims.isEmpty { return }
        delayedTrims.end(offset..<offset + length, objectSize: objectSize)
    }

    private func scheduleTrims() {
        guard !delayedTrims.isScheduled, !delayedTrims.isEmpty else { return }
        delayedTrims.isScheduled = true
        let now = node.clock.now()
        node.clock.schedule(after: max(delayedTrims.nextDue, now + DelayedTrims.interval) - now) { [weak self] in
            guard let self else { return }
            delayedTrims.isScheduled = false
            trimWhatIsDue()
        }
    }

    /// What there is no room for waits for the next look.
    private func trimWhatIsDue() {
        for index in delayedTrims.due(at: node.clock.now()) {
            if delayedTrims.underWay >= DelayedTrims.mostUnderWay || window.isFull { break }
            trim(index)
        }
        scheduleTrims()
    }

    /// At once or not at all: a change of its object that is under way, or waits, has ended it.
    private func trim(_ index: UInt32) {
        guard let trim = delayedTrims.take(index), case .owned(trim.term) = mode, isFree(index) else { return }
        delayedTrims.underWay += 1
        startChange(
            .trim, index: index, offset: trim.range.lowerBound, length: trim.range.count, data: ByteBuffer(), durable: false,
            from: ChangeSender()
        ) { [weak self] _ in self?.delayedTrims.underWay -= 1 }
    }

    /// Nothing that is under way touches the object.
    private func isFree(_ index: UInt32) -> Bool {
        holds.conflict(index: index, offset: 0, length: objectSize, coversObject: true) == nil
            && window.conflict(index: index, offset: 0, length: objectSize, coversObject: true) == nil
    }
}
