package import Cluster
package import ObjectModel

/// The local engine's behaviour on a ``SimulatedLog``: the same delivery queue, so the same rules for syncs and the lease.
///
/// Everything happens through the node's own loop; a node that the simulator stops (it runs none of the loop's work) hears
/// and does nothing meanwhile.
package final class SimulatedEngine: ClusterEngine {
    private static let lookInterval: UInt64 = 200_000_000

    package weak var delegate: (any ClusterEngineDelegate)?
    package let node: NodeID
    private let log: SimulatedLog
    private let loop: any EngineLoop

    private var queue = DeliveryQueue()
    private var seen = LogIndex.zero
    private var delivered = LogIndex.zero
    private var isRunning = false
    private var isStopped = false
    private var isCaughtUp = false
    /// False from a power cut on: nothing hears of this node's end, for all end.
    var isPowered = true

    package init(node: NodeID, log: SimulatedLog, loop: any EngineLoop) { (self.node, self.log, self.loop) = (node, log, loop) }

    package var lastLookStarted: UInt64 { isStopped ? 0 : queue.lastLookStarted ?? 0 }

    package func start() {
        precondition(!isRunning && !isStopped)
        isRunning = true
        log.enter(self)
        hear(after: 0) { $0.tick() }
    }

    package func stop() {
        guard !isStopped else { return }
        (isRunning, isStopped) = (false, true)
        log.leave(self)
    }

    /// Runs `work` on this node's loop, unless the engine has ended by then.
    func hear(after delay: UInt64, _ work: @escaping (SimulatedEngine) -> Void) {
        guard isPowered else { return }
        loop.schedule(afterNanoseconds: delay) { [weak self] in
            if let self, isRunning { work(self) }
        }
    }

    func suspect(_ other: NodeID) {
        guard !log.alive.contains(other) else { return }
        delegate?.suspects(other)
    }

    func fail(_ reason: String) {
        guard isRunning else { return }
        isRunning = false
        delegate?.engineFailed(reason)
    }

    private func tick() {
        hear(after: Self.lookInterval) { $0.tick() }
        look()
    }

    package func look() {
        guard isRunning else { return }
        let items = log.items(after: seen)
        queue.saw(items)
        seen = max(seen, log.last)
        queue.looked(startedAt: loop.now())
        settle()
    }

    private func settle() {
        if let covered = queue.beginSync() {
            let durable = seen
            hear(after: log.draw(log.tuning.sync)) { $0.synced(covered, durable) }
        }
        if !isCaughtUp, queue.lastLookStarted != nil {
            isCaughtUp = true
            delegate?.caughtUp()
        }
    }

    private func synced(_ covered: Int, _ durable: LogIndex) {
        log.synced(upTo: durable)
        for item in queue.synced(covered) {
            deliver(item)
            guard isRunning else { return }
            queue.delivered()
        }
        look()
    }

    private func deliver(_ item: DeliveryQueue.Item) {
        switch item {
        case .entry(let index, let payload):
            precondition(index == delivered.next)
            delivered = index
            delegate?.committed(index: index, payload: payload)
            if payload.isEmpty, isRunning, let delegate { log.cut(at: index, snapshot: delegate.snapshot()) }
        case .restored(let index, let snapshot):
            precondition(index >= delivered)
            delivered = index
            delegate?.restored(index: index, snapshot: snapshot)
        }
    }

    package func append(_ payload: [UInt8], at index: LogIndex) {
        precondition(!payload.isEmpty && payload.count <= maximumControlPayload)
        precondition(index <= delivered.next, "an entry can only follow what was delivered")
        guard isRunning, index == delivered.next else { return }
        log.append(payload, at: index)
        if log.isFull { log.append([], at: log.last.next) }
        look()
    }

    package func proveDead(_ node: NodeID, completion: @escaping (Bool) -> Void) {
        loop.schedule(afterNanoseconds: log.draw(log.tuning.notice)) { [self] in
            completion(isRunning && !log.alive.contains(node))
        }
    }

    package var reachedBefore: LogIndex? { nil }
    package func joined() {}

    /// A free lock is all the proof there is, and enough.
    package func sight(of run: BootID, of node: NodeID) -> RunSight { .running }

    package func isStopped(_ node: NodeID) -> Bool { log.stopped.contains(node) }

    package func show(_ report: [UInt8]) {
        if isRunning { log.reports[node] = report }
    }

    package func shown() -> [NodeID: [UInt8]] { isRunning ? log.reports.filter { $0.key != node } : [:] }

    package func aliveNodes(completion: @escaping ([NodeID]) -> Void) {
        loop.schedule(afterNanoseconds: log.draw(log.tuning.notice)) { [self] in completion(isRunning ? log.alive : []) }
    }
}
