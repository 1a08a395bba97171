// Invariants
// 1. At the owner a trim is entered in the turn in which it is asked for, and leaves the table in the turn in which it gets its number as a
//    change: whatever comes for its object in between ends it, whatever comes later is ordered after it.
// 2. It runs only under the term that was the volume's at its owner when it was asked for, or was granted there as the very next one: every
//    change in between came by the owner's session.
// 3. Where another sheep is the owner, the gateway keeps the time, which begins when the owner watches for changes; the client is answered
//    after that. The owner trims when it is told so, if it still watches under that mark. Each of the two messages is sent once.
// 4. Before a trim runs, the log was looked at: what was acknowledged anywhere before its time, and ends trims, has ended it.
import Cluster
import NIOCore
package import ObjectModel
package import SheepProtocol

/// Trims that wait for their time, one an object. They are hints: each may be forgotten at any moment.
package struct DelayedTrims {
    /// 256 GiB of objects of 4 MiB; a full table takes some 8 MiB of memory. What is asked for beyond it is not done.
    package static let most = 65_536
    /// Of the 1,024 changes of the window, so that clients' changes find room.
    static let mostUnderWay = 256
    /// The same with those that other gateways give the word for, which keep count by themselves.
    static let mostUnderWayInAll = 512
    /// Between looks at what is due, at least. Nanoseconds.
    static let interval: UInt64 = 500_000_000
    /// Who wakes so much later than it was to has stood still, and what ends trims may wait with them. Nanoseconds.
    static let standstill: UInt64 = 1_000_000_000
    /// How long an owner watches for another gateway, in nanoseconds: longer than that takes with a full table.
    package static let watching: UInt64 = 300_000_000_000

    package enum Keeper: Hashable {
        /// This sheep, as the owner.
        case here(Term)
        /// The owner, which watches under the mark.
        case owner(NodeID, mark: ChangeOrigin)
    }

    package struct Trim {
        /// Bytes within the object, in whole blocks.
        var range: Range<Int>
        /// Nanoseconds of CLOCK_BOOTTIME.
        var due: UInt64
        var keeper: Keeper

        package init(range: Range<Int>, due: UInt64, keeper: Keeper) { (self.range, self.due, self.keeper) = (range, due, keeper) }
    }

    /// This sheep, as the owner, looks what comes for an object.
    package struct Watch {
        /// Bytes within the object, in whole blocks.
        var range: Range<Int>
        /// For whom.
        var mark: ChangeOrigin
        var term: Term
        /// Nanoseconds of CLOCK_BOOTTIME.
        var end: UInt64

        package init(range: Range<Int>, mark: ChangeOrigin, term: Term, end: UInt64) {
            (self.range, self.mark, self.term, self.end) = (range, mark, term, end)
        }
    }

    private var trims: [UInt32: Trim] = [:]
    /// The owner has been asked to watch, and has not answered.
    private var asked: [UInt32: ChangeOrigin] = [:]
    private var watches: [UInt32: Watch] = [:]
    /// None ends earlier. Nanoseconds of CLOCK_BOOTTIME.
    private var firstEnd = UInt64.max
    /// A timer or a look at the log is under way.
    var isScheduled = false
    /// Changes that are not done, here or at the owner.
    var underWay = 0

    package init() {}

    package var isEmpty: Bool { trims.isEmpty && asked.isEmpty && watches.isEmpty }
    /// Those that wait for their time.
    package var count: Int { trims.count }
    /// When none waits: never.
    package var nextDue: UInt64 { trims.values.lazy.map(\.due).min() ?? .max }

    /// Takes the place of one that waits for the same object.
    package mutating func insert(_ trim: Trim, at index: UInt32) {
        guard trims.count < Self.most || trims[index] != nil else { return }
        trims[index] = trim
    }

    mutating func take(_ index: UInt32) -> Trim? { trims.removeValue(forKey: index) }

    /// False: there is no room for one more. In the place of what waits for the same object.
    package mutating func ask(_ index: UInt32, mark: ChangeOrigin) -> Bool {
        trims[index] = nil
        guard trims.count + asked.count < Self.most else { return false }
        asked[index] = mark
        return true
    }

    /// The owner has answered. False: something came for the object since.
    package mutating func answered(_ index: UInt32, mark: ChangeOrigin) -> Bool {
        guard asked[index] == mark else { return false }
        asked[index] = nil
        return true
    }

    /// False: there is no room for one more. In the place of another watch of the object.
    package mutating func watch(_ index: UInt32, _ watch: Watch, now: UInt64) -> Bool {
        if watches.count >= Self.most, watches[index] == nil {
            guard firstEnd <= now else { return false }
            watches = watches.filter { $0.value.end > now }
            firstEnd = watches.values.lazy.map(\.end).min() ?? .max
            guard watches.count < Self.most else { return false }
        }
        firstEnd = min(firstEnd, watch.end)
        watches[index] = watch
        return true
    }

    /// Nil: something came for the object, or another watch took its place, or it lasted too long.
    package mutating func takeWatch(_ index: UInt32, mark: ChangeOrigin, now: UInt64) -> Watch? {
        guard let watch = watches[index], watch.mark == mark else { return nil }
        watches[index] = nil
        return watch.end > now ? watch : nil
    }

    /// Another term begins, under which none counts.
    mutating func endWatches() { (watches, firstEnd) = ([:], .max) }

    /// That run of a gateway is over.
    mutating func forget(gateway boot: BootID) { watches = watches.filter { $0.value.mark.boot != boot } }

    package mutating func removeAll() { (trims, asked, watches) = ([:], [:], [:]) }

    /// Indices, ascending.
    package func due(at now: UInt64) -> [UInt32] { trims.filter { $0.value.due <= now }.keys.sorted() }

    /// Something comes for these bytes of the volume.
    package mutating func end(_ bytes: Range<UInt64>, objectSize: Int) {
        guard let last = bytes.last else { return }
        let indices = bytes.lowerBound / UInt64(objectSize)...last / UInt64(objectSize)
        Self.remove(indices, from: &trims)
        Self.remove(indices, from: &asked)
        Self.remove(indices, from: &watches)
    }

    private static func remove<Value>(_ indices: ClosedRange<UInt64>, from table: inout [UInt32: Value]) {
        if table.isEmpty { return }
        if indices.count > table.count { table = table.filter { !indices.contains(UInt64($0.key)) } } else {
            for index in indices { table[UInt32(index)] = nil }
        }
    }
}

extension VolumeSession {
    /// See ``VolumeDevice/trimUnlessChanged(at:length:afterNanoseconds:completion:)``.
    func trimUnlessChanged(at offset: UInt64, length: UInt64, after delay: UInt64, client: VolumeClient, completion: @escaping () -> Void) {
        let now = usedHere()
        // A change that is under way is answered later than this.
        guard let (index, range) = wholeBlocks(at: offset, length: length), isFree(index) else { return completion() }
        if let term = presentOrNextTerm {
            keep(.init(range: range, due: now + delay, keeper: .here(term)), at: index)
            // Whoever is asked becomes the owner if nobody is.
            if case .idle = mode { open() }
            return completion()
        }
        let mark = node.nextOrigin()
        guard let owner = node.control.state.owner(of: birth)?.owner, owner != node.identity, delayedTrims.ask(index, mark: mark) else {
            return completion()
        }
        send(.watch, index, range, mark, to: owner) { [weak self] isWatched in
            if let self, delayedTrims.answered(index, mark: mark), isWatched, !client.isGone {
                keep(.init(range: range, due: node.clock.now() + delay, keeper: .owner(owner, mark: mark)), at: index)
            }
            completion()
        }
    }

    /// What of a range within one object a trim can take away. Nil: nothing.
    private func wholeBlocks(at offset: UInt64, length: UInt64) -> (index: UInt32, range: Range<Int>)? {
        let within = Int(offset % UInt64(objectSize))
        let start = (within + blockSize - 1) / blockSize * blockSize
        let end = Int(min(UInt64(within) + length, UInt64(objectSize))) / blockSize * blockSize
        return start < end ? (UInt32(offset / UInt64(objectSize)), start..<end) : nil
    }

    private func keep(_ trim: DelayedTrims.Trim, at index: UInt32) {
        delayedTrims.insert(trim, at: index)
        scheduleTrims()
    }

    private func send(
        _ kind: ForwardRequest.Kind, _ index: UInt32, _ range: Range<Int>, _ mark: ChangeOrigin, to owner: NodeID,
        completion: @escaping (_ hasSucceeded: Bool) -> Void
    ) {
        let message = ForwardRequest(
            volume: birth, kind: kind, durable: false, offset: UInt64(index) * UInt64(objectSize) + UInt64(range.lowerBound),
            length: UInt64(range.count), origin: mark, repliesSeenBelow: forwarder.repliesSeenBelow(), logIndex: node.control.appliedIndex)
        node.network.send(.forward, body: message.wire, payload: nil, to: owner) { result in
            if case .success = result { completion(true) } else { completion(false) }
        }
    }

    // MARK: As the owner, for another gateway

    /// False: changes of the object are under way, or there is no room for one more.
    func watch(at offset: UInt64, length: UInt64, mark: ChangeOrigin) -> Bool {
        guard case .owned(let term) = mode, let (index, range) = wholeBlocks(at: offset, length: length), isFree(index) else { return false }
        let now = node.clock.now()
        return delayedTrims.watch(index, .init(range: range, mark: mark, term: term, end: now + DelayedTrims.watching), now: now)
    }

    /// Completes when it is done, or will not be, for lack of room too.
    func trimWatched(at offset: UInt64, mark: ChangeOrigin, completion: @escaping () -> Void) {
        let index = UInt32(offset / UInt64(objectSize))
        guard let watch = delayedTrims.takeWatch(index, mark: mark, now: node.clock.now()),
            delayedTrims.underWay < DelayedTrims.mostUnderWayInAll
        else { return completion() }
        trim(index, watch.range, under: watch.term, completion: completion)
    }

    // MARK: Time

    /// The term in which this sheep is the owner, or will be if it is the next; nil: another one is. Should another have been the owner
    /// in between, the term that this sheep gets is a later one. A former owner that was called down may order changes until its lease ends.
    private var presentOrNextTerm: Term? {
        switch mode {
        case .owned(let term), .draining(let term), .rollingForward(let term): return term
        case .forwarding, .deleted: return nil
        case .idle, .opening: break
        }
        let state = node.control.state
        guard let lease = state.owner(of: birth) else { return node.membership.fenceRemaining > 0 ? nil : state.volume(birth)?.term.next }
        return lease.owner == node.identity && lease.boot == node.boot ? lease.term : nil
    }

    /// Ends the trims that wait for these bytes: of every change that a client or another gateway asks for, before it waits for anything,
    /// and of what a former owner left.
    func changeComes(at offset: UInt64, length: UInt64) {
        if delayedTrims.isEmpty { return }
        delayedTrims.end(offset..<offset + length, objectSize: objectSize)
    }

    private func scheduleTrims() {
        guard !delayedTrims.isScheduled, delayedTrims.count > 0 else { return }
        delayedTrims.isScheduled = true
        let now = node.clock.now()
        let wake = max(delayedTrims.nextDue, now + DelayedTrims.interval)
        node.clock.schedule(after: wake - now) { [weak self] in
            guard let self else { return }
            if node.clock.now() > wake + DelayedTrims.standstill { delayedTrims.removeAll() }
            trimWhatIsDue()
        }
    }

    /// Not when it cannot be known at present what was acknowledged elsewhere; what there is no room for waits for the next look.
    private func trimWhatIsDue() {
        let asked = node.clock.now()
        guard delayedTrims.nextDue <= asked else {
            delayedTrims.isScheduled = false
            return scheduleTrims()
        }
        node.whenCurrent { [weak self] isCurrent in
            guard let self else { return }
            delayedTrims.isScheduled = false
            for index in isCurrent ? delayedTrims.due(at: asked) : [] {
                if delayedTrims.underWay >= DelayedTrims.mostUnderWay || window.isFull { break }
                trim(index)
            }
            scheduleTrims()
        }
    }

    private func trim(_ index: UInt32) {
        guard let trim = delayedTrims.take(index) else { return }
        switch trim.keeper {
        case .here(let term): self.trim(index, trim.range, under: term) {}
        case .owner(let owner, let mark):
            delayedTrims.underWay += 1
            send(.trimWatched, index, trim.range, mark, to: owner) { [weak self] _ in self?.delayedTrims.underWay -= 1 }
        }
    }

    /// At once or not at all: a change of its object that is under way, or waits, has ended it.
    private func trim(_ index: UInt32, _ range: Range<Int>, under term: Term, completion: @escaping () -> Void) {
        guard case .owned(term) = mode, isFree(index), !window.isFull else { return completion() }
        delayedTrims.underWay += 1
        // With an unused lease what waits would go.
        lastUse = node.clock.now()
        startChange(
            .trim, index: index, offset: range.lowerBound, length: range.count, data: ByteBuffer(), durable: false, from: ChangeSender()
        ) { [weak self] _ in
            self?.delayedTrims.underWay -= 1
            completion()
        }
    }

    /// Nothing that is under way touches the object.
    private func isFree(_ index: UInt32) -> Bool {
        holds.conflict(index: index, offset: 0, length: objectSize, coversObject: true) == nil
            && window.conflict(index: index, offset: 0, length: objectSize, coversObject: true) == nil
    }
}
