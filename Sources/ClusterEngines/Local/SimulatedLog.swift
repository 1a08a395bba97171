package import ObjectModel

/// The control log and the liveness locks of a simulated machine, shared by its ``SimulatedEngine``s.
///
/// It follows the rules of the local engine without files: entries survive the death of processes, those that no sync
/// covered may be lost with the power, a prefix is kept. Single-threaded; the same seed and calls give the same run.
package final class SimulatedLog {
    /// Bounds of the random delays in nanoseconds, and how often the log is cut.
    package struct Tuning: Sendable {
        /// How long an fdatasync takes.
        package var sync: ClosedRange<UInt64> = 100_000...5_000_000
        /// How long until others hear of a new entry.
        package var notice: ClosedRange<UInt64> = 10_000...2_000_000
        /// How long until others suspect a dead node, or get an answer to a question about it.
        package var suspicion: ClosedRange<UInt64> = 100_000...200_000_000
        /// Entries after which a snapshot replaces the log's older part.
        package var sealAfter = 64
        package init() {}
    }

    package let tuning: Tuning
    private var generator: SplitMix64
    /// The state after the latest seal; nil: there was none.
    private(set) var base: (index: LogIndex, snapshot: [UInt8])?
    /// Those of the last two segments.
    private var entries: [[UInt8]] = []
    private var firstIndex = LogIndex(rawValue: 1)
    /// The latest seal, whether or not anybody has cut the log there yet.
    private var sealed = LogIndex.zero
    /// What a sync has covered.
    package private(set) var durable = LogIndex.zero
    private var engines: [NodeID: SimulatedEngine] = [:]
    /// What each node showed last.
    var reports: [NodeID: [UInt8]] = [:]
    /// Nodes whose processes are stopped by a signal, as far as that can be seen.
    package var stopped: Set<NodeID> = []

    package init(seed: UInt64, tuning: Tuning = Tuning()) { (generator, self.tuning) = (SplitMix64(seed: seed), tuning) }

    // MARK: For the simulator

    /// A dead node's engine is stopped and its lock free, and the others come to suspect it. A living one's lock is held;
    /// an engine's ``SimulatedEngine/start()`` does that by itself.
    package func setAlive(_ node: NodeID, _ isAlive: Bool) {
        guard !isAlive, let engine = engines[node] else { return }
        engine.stop()
    }

    /// All engines stop; what no sync covered is lost but for a random prefix.
    package func powerCut() {
        for node in alive { engines[node]?.isPowered = false }
        for node in alive { engines[node]?.stop() }
        let lost = Int.random(in: 0...Int(last.rawValue - durable.rawValue), using: &generator)
        entries.removeLast(lost)
        if sealed > last { sealed = base?.index ?? .zero }
        // What is found after the cut is read from the disk.
        durable = last
    }

    /// The engine of this node reports a failure, as when its disk fails.
    package func fail(_ node: NodeID, reason: String) { engines[node]?.fail(reason) }

    package var alive: [NodeID] { engines.keys.sorted() }
    /// The last entry written, durable or not.
    package var last: LogIndex { LogIndex(rawValue: firstIndex.rawValue + UInt64(entries.count) - 1) }

    // MARK: For the engines

    func enter(_ engine: SimulatedEngine) {
        precondition(engines[engine.node] == nil, "two engines of one node: setAlive(node, false) comes before a restart")
        engines[engine.node] = engine
    }

    func leave(_ engine: SimulatedEngine) {
        guard engines[engine.node] === engine else { return }
        engines[engine.node] = nil
        for other in alive { engines[other]?.hear(after: draw(tuning.suspicion)) { $0.suspect(engine.node) } }
    }

    func draw(_ range: ClosedRange<UInt64>) -> UInt64 { .random(in: range, using: &generator) }

    /// The first entry with an index wins.
    func append(_ payload: [UInt8], at index: LogIndex) {
        guard index == last.next else { return }
        entries.append(payload)
        if payload.isEmpty { sealed = index }
        for other in alive { engines[other]?.hear(after: draw(tuning.notice)) { $0.look() } }
    }

    /// All after `index` that is there; with the snapshot before it if the entry after `index` has been cut away.
    func items(after index: LogIndex) -> [DeliveryQueue.Item] {
        var items: [DeliveryQueue.Item] = []
        var next = index.next
        // Who starts begins with the newest snapshot; who runs reads on.
        if let base, index.next < firstIndex || index == .zero {
            items.append(.restored(base.index, base.snapshot))
            next = base.index.next
        }
        for entry in entries.dropFirst(Int(next.rawValue - firstIndex.rawValue)) {
            items.append(.entry(next, entry))
            next = next.next
        }
        return items
    }

    func synced(upTo index: LogIndex) { durable = max(durable, min(index, last)) }

    var isFull: Bool { last.rawValue - sealed.rawValue >= tuning.sealAfter }

    /// Notes the state after the seal `index`, and cuts away what stands before the seal before it: the last two segments stay.
    func cut(at index: LogIndex, snapshot: [UInt8]) {
        guard index > (base?.index ?? .zero), index <= durable else { return }
        if let base { entries.removeFirst(Int(base.index.rawValue + 1 - firstIndex.rawValue)) }
        firstIndex = base?.index.next ?? firstIndex
        base = (index, snapshot)
    }
}

/// SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, 2014).
struct SplitMix64: RandomNumberGenerator {
    private var state: UInt64
    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}
