// Invariants
// 1. The delegate is told everything in the decider's order, by an event of the node's loop: never from within one of its own calls.
// 2. A look counts for the node lease from its beginning, and only once the delegate was told of all that it saw.
// 3. An entry is told only when this machine's disk says that it may have been: what a run never acted upon is known after its end.
// 4. A proof of death does not exist: a node that is not heard may run.
package import Cluster
package import ObjectModel
import Viewstamped

/// The engine of one run of a sheep over the viewstamped log: ticks, looks and the view of the group go by the node's own clock, and
/// stand still with it.
///
/// Who is up plays no part in who decides, so a sheep without a store is a witness: with two others it makes a majority of either.
package final class VotingEngine: ClusterEngine {
    /// Of the decider, ten a second. Presences are sent as often; every second tick begins a look.
    private static let tick: UInt64 = 100_000_000
    /// A look that is not answered by then was lost; another one is begun.
    private static let lookPatience: UInt64 = 150_000_000
    /// How long the disk takes to make a record durable.
    private static let sync: ClosedRange<UInt64> = 100_000...5_000_000
    /// Entries between two snapshots. The log is cut at the last but one, so who lags a little is given entries, not a snapshot.
    private static let entriesBetweenSnapshots: UInt64 = 64

    private struct Look {
        let started: UInt64
        /// Some delegate had been told of it when the look began.
        let known: LogIndex
    }

    package weak var delegate: (any ClusterEngineDelegate)?
    let process: SheepProcess
    private let machine: VotingGroup.Machine
    private let group: VotingGroup
    private var world: World { group.world }
    private var decider: ViewstampedLog
    private var watch: GroupWatch

    private var isRunning = false
    private var isStopped = false
    private var isCaughtUp = false
    private var ticks: UInt64 = 0
    private var diskFreeAt: UInt64 = 0
    /// What the delegate is to be told, oldest first.
    private var untold: [Action] = []
    private var isTelling = false
    /// The last entry that the delegate was told of.
    private var delivered = LogIndex.zero
    /// The first presence told since then. Who answers it, or a later one, runs although the log may call another run of it up.
    private var firstPresence: UInt64?
    /// The state that the log is to be cut at when the next snapshot is made.
    private var snapshot: (index: LogIndex, payload: [UInt8])?

    private var lookNumber: UInt64 = 0
    /// Under way, by number.
    private var looks: [UInt64: Look] = [:]
    /// Somebody asked for a look while one was under way, which may have begun too early for him.
    private var isLookWanted = false
    private var lookStarted: UInt64 = 0

    init(process: SheepProcess, machine: VotingGroup.Machine, group: VotingGroup) {
        (self.process, self.machine, self.group) = (process, machine, group)
        decider = ViewstampedLog(node: process.node, boot: process.boot, stored: machine.store.durable)
        machine.reachedBefore = machine.reachedBefore ?? machine.reached
        watch = GroupWatch(node: process.node, now: process.now())
    }

    package var node: NodeID { process.node }
    package var reachedBefore: LogIndex? { machine.reachedBefore }
    package func joined() { machine.reachedBefore = nil }
    package var lastLookStarted: UInt64 { isStopped ? 0 : lookStarted }

    package func start() {
        precondition(!isRunning && !isStopped)
        isRunning = true
        group.enter(self)
        perform(decider.started())
        ticked()
    }

    package func stop() {
        guard !isStopped else { return }
        (isRunning, isStopped) = (false, true)
        group.leave(self)
    }

    /// Runs `work` on this node's loop, unless the engine has ended by then.
    func hear(after delay: UInt64, _ work: @escaping (VotingEngine) -> Void) {
        process.schedule(afterNanoseconds: delay) { [weak self] in
            if let self, isRunning { work(self) }
        }
    }

    // MARK: Time and the group

    private func ticked() {
        hear(after: Self.tick) { $0.ticked() }
        ticks += 1
        tellPresence()
        groupMayHaveChanged()
        perform(decider.ticked())
        if ticks % 2 == 1 { look() }
    }

    private func tellPresence() {
        let presence = Presence(
            number: group.nextNumber(), sender: node, boot: process.boot, hears: watch.hears(now: process.now()), reports: machine.reports)
        firstPresence = firstPresence ?? presence.number
        for other in group.nodes where other != node { group.send(.presence(presence), from: node, to: other) }
    }

    private func groupMayHaveChanged() {
        let (former, members) = (decider.groupMembers, watch.members(now: process.now()))
        guard members != former else { return }
        world.log("log at \(node.high)", "sees \(members.map(\.high)); \(decider.standing)")
        perform(decider.groupChanged(to: members))
        for gone in former where !members.contains(gone) && isRunning { delegate?.suspects(gone) }
    }

    func received(_ message: VotingGroup.Message) {
        switch message {
        case .log(let envelope): perform(decider.received(envelope))
        case .presence(let presence):
            watch.heard(presence, now: process.now())
            machine.reports.merge(presence.reports)
            groupMayHaveChanged()
        }
    }

    // MARK: The decider's orders

    private func perform(_ actions: [Action]) {
        for action in actions {
            switch action {
            case .persist(let record, let number): persist(record, number)
            case .send(let envelope):
                let receivers = envelope.receiver.map { [$0] } ?? decider.groupMembers
                for receiver in receivers where receiver != node { group.send(.log(envelope), from: node, to: receiver) }
            case .committed, .restored, .lookEnded, .failed: untold.append(action)
            case .proposalRefused: preconditionFailure("only changes of the voters are refused, and none is proposed here")
            case .foreignLog(let log, let other): world.fail("a foreign log: \(node) met \(log) of \(other)")
            }
        }
        if !untold.isEmpty, !isTelling {
            isTelling = true
            tellWhenNoted()
        }
    }

    private func persist(_ record: StoreRecord, _ number: UInt64) {
        machine.store.put(record, number: number)
        whenDiskIsDone { engine in
            engine.machine.store.sync(upTo: number)
            engine.hear(after: 0) { $0.perform($0.decider.persisted(number)) }
        }
    }

    /// One disk: what is written later is durable later.
    private func whenDiskIsDone(_ action: @escaping (VotingEngine) -> Void) {
        diskFreeAt = max(diskFreeAt, world.now) + world.draw(Self.sync)
        world.schedule(after: diskFreeAt - world.now) { [self] in
            if process.isAlive { action(self) }
        }
    }

    // MARK: What the delegate is told

    private func tellWhenNoted() {
        let end = untold.lazy.compactMap(\.index).max() ?? .zero
        guard end > machine.reached else { return hear(after: 0) { $0.tell() } }
        whenDiskIsDone { engine in
            engine.machine.reached = max(engine.machine.reached, end)
            engine.hear(after: 0) { $0.tell() }
        }
    }

    private func tell() {
        while isRunning, let first = untold.first, first.index ?? .zero <= machine.reached { tell(untold.removeFirst()) }
        guard isRunning else { return }
        cutLog()
        if untold.isEmpty { isTelling = false } else { tellWhenNoted() }
    }

    private func tell(_ action: Action) {
        switch action {
        case .committed(let index, let entry):
            precondition(index == delivered.next)
            told(of: index)
            delegate?.committed(index: index, payload: entry.controlPayload)
        case .restored(let snapshot):
            // Before the first entry there is no state.
            guard snapshot.index > .zero else { return }
            told(of: snapshot.index)
            delegate?.restored(index: snapshot.index, snapshot: snapshot.payload)
        case .lookEnded(let number): lookEnded(number)
        case .failed(let reason):
            isRunning = false
            delegate?.engineFailed(reason)
        case .persist, .send, .proposalRefused, .foreignLog: preconditionFailure("nothing to tell the delegate")
        }
    }

    private func told(of index: LogIndex) {
        precondition(index >= delivered)
        (delivered, firstPresence) = (index, nil)
        group.told(of: index)
    }

    private func cutLog() {
        let base = max(snapshot?.index ?? .zero, decider.stored.base.index)
        guard delivered.rawValue >= base.rawValue + Self.entriesBetweenSnapshots, let delegate else { return }
        if let snapshot { perform(decider.snapshotTaken(at: snapshot.index, payload: snapshot.payload)) }
        snapshot = (delivered, delegate.snapshot())
    }

    // MARK: Entries and looks

    package func append(_ payload: [UInt8], at index: LogIndex) {
        precondition(!payload.isEmpty && payload.count <= maximumControlPayload)
        precondition(index <= delivered.next, "an entry can only follow what was delivered")
        guard isRunning, index == delivered.next else { return }
        perform(decider.proposed(.payload(payload), at: index))
    }

    package func look() {
        guard isRunning else { return }
        let now = process.now()
        if let last = looks[lookNumber], now < last.started + Self.lookPatience { return isLookWanted = true }
        isLookWanted = false
        lookNumber += 1
        looks[lookNumber] = Look(started: now, known: group.known)
        perform(decider.lookBegan(lookNumber))
    }

    private func lookEnded(_ number: UInt64) {
        guard let look = looks[number] else { return world.fail("\(node) ended look \(number), which did not begin") }
        if delivered < look.known {
            world.fail("a stale look: \(node) saw \(delivered), \(look.known) was committed when its look began")
        }
        looks = looks.filter { $0.key > number }
        lookStarted = max(lookStarted, look.started)
        if !isCaughtUp {
            isCaughtUp = true
            delegate?.caughtUp()
        }
        if isLookWanted { self.look() }
    }

    // MARK: Other nodes

    package func proveDead(_ node: NodeID, completion: @escaping (Bool) -> Void) {
        process.schedule(afterNanoseconds: 0) { completion(false) }
    }

    /// All who vote, heard or not: who is left out would pass for dead.
    package func aliveNodes(completion: @escaping ([NodeID]) -> Void) {
        process.schedule(afterNanoseconds: 0) { [self] in completion(isRunning ? group.nodes : []) }
    }

    package func sight(of run: BootID, of node: NodeID) -> RunSight {
        watch.sight(of: run, of: node, answering: firstPresence ?? .max, now: process.now())
    }

    package func isStopped(_ node: NodeID) -> Bool { false }

    package func show(_ report: [UInt8]) {
        if isRunning { machine.reports.show(report, of: node, number: group.nextNumber()) }
    }

    package func shown() -> [NodeID: [UInt8]] { isRunning ? machine.reports.shown(toAllBut: node) : [:] }
}

extension Action {
    /// Of the last entry that it tells of.
    fileprivate var index: LogIndex? {
        switch self {
        case .committed(let index, _): index
        case .restored(let snapshot): snapshot.index
        case .persist, .send, .proposalRefused, .lookEnded, .foreignLog, .failed: nil
        }
    }
}

extension LogEntry {
    /// What the control state sees: an entry of the log's own is an index that changes nothing.
    fileprivate var controlPayload: [UInt8] {
        switch self {
        case .payload(let payload): payload
        case .voters: []
        }
    }
}
