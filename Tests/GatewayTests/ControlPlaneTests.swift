import Cluster
import Gateway
import ObjectModel
import Testing

/// What a sheep makes of a control log and its own store's copy of one.
@Suite struct ControlPlaneTests {
    /// It delivers nothing by itself: the test does.
    private final class Engine: ClusterEngine {
        weak var delegate: (any ClusterEngineDelegate)?
        let lastLookStarted: UInt64 = 0
        let reachedBefore: LogIndex? = nil
        func start() {}
        func append(_ payload: [UInt8], at index: LogIndex) {}
        func look() {}
        func proveDead(_ node: NodeID, completion: @escaping (Bool) -> Void) { completion(false) }
        func aliveNodes(completion: @escaping ([NodeID]) -> Void) { completion([]) }
        func sight(of run: BootID, of node: NodeID) -> RunSight { .running }
        func joined() {}
        func isStopped(_ node: NodeID) -> Bool { false }
        func show(_ report: [UInt8]) {}
        func shown() -> [NodeID: [UInt8]] { [:] }
        func stop() {}
    }

    private final class Copy: ControlLogCopy {
        let last: LogIndex?
        var isBroken = false
        var begins: [UInt64] = []
        var entries: [UInt64] = []

        init(last: UInt64?) { self.last = last.map { LogIndex(rawValue: $0) } }
        func begin(after index: LogIndex, snapshot: [UInt8]) { begins.append(index.rawValue) }
        func append(_ payload: [UInt8], at index: LogIndex) { entries.append(index.rawValue) }
    }

    private final class Sheep {
        let plane = ControlPlane(engine: Engine(), node: NodeID(high: 1, low: 1), wallClock: { 0 }, randomRequest: { RequestID(high: 1, low: 1) })
        let copy: Copy
        var isStarted = false
        var failure: String?

        init(copyEndsAt last: UInt64?) {
            copy = Copy(last: last)
            plane.copy = copy
            plane.started = { [unowned self] in isStarted = true }
            plane.failed = { [unowned self] in failure = $0 }
        }

        /// Entries that are refused count like any other.
        func commit(upTo last: UInt64) {
            while plane.appliedIndex.rawValue < last {
                let index = plane.appliedIndex.next
                let entry = ControlEntry(
                    request: RequestID(high: 2, low: index.rawValue), proposer: NodeID(high: 1, low: 1), time: 0,
                    stateDigest: plane.state.digest, command: .shutdown)
                plane.committed(index: index, payload: entry.wire)
            }
        }
    }

    @Test("a log that has all that the store's copy has, and one where there is no copy yet: the sheep starts", arguments: [nil, 0, 4, 5])
    func starts(last: UInt64?) {
        let sheep = Sheep(copyEndsAt: last)
        sheep.commit(upTo: 5)
        sheep.plane.caughtUp()
        #expect(sheep.isStarted && sheep.failure == nil)
        #expect(sheep.copy.begins == [5], "the copy begins with what the log has")
        sheep.commit(upTo: 7)
        #expect(sheep.copy.entries == [6, 7])
    }

    @Test("a log that ends before the store's copy was lost or is another one: the sheep does not go on", arguments: [6, 600])
    func logIsBehind(last: UInt64) throws {
        let sheep = Sheep(copyEndsAt: last)
        sheep.commit(upTo: 5)
        sheep.plane.caughtUp()
        #expect(!sheep.isStarted && sheep.copy.begins.isEmpty)
        let failure = try #require(sheep.failure)
        #expect(failure.contains("entry 5,") && failure.contains("entry \(last):") && failure.contains("--restore-log"))
    }

    @Test("a log that was made anew from an older copy: who has more of the former one does not go on, everybody else does")
    func restored() throws {
        var state = ControlState()
        for index: UInt64 in 1...5 { state.skip(to: LogIndex(rawValue: index)) }
        state.restoreLog(skipping: LogRestorationMark.gaps.lowerBound)
        let end = state.appliedIndex.rawValue
        for (last, goesOn) in [(nil, true), (4, true), (5, true), (6, false), (900, false), (end, true)] as [(UInt64?, Bool)] {
            let sheep = Sheep(copyEndsAt: last)
            sheep.plane.restored(index: state.appliedIndex, snapshot: state.wire)
            sheep.plane.caughtUp()
            #expect(sheep.isStarted == goesOn && (sheep.failure == nil) == goesOn, "a copy that ends at \(last ?? 0)")
        }
    }

    @Test("a copy that cannot be written begins anew now and then, and not with each entry")
    func brokenCopy() {
        let sheep = Sheep(copyEndsAt: nil)
        sheep.commit(upTo: 5)
        sheep.plane.caughtUp()
        sheep.copy.isBroken = true
        sheep.commit(upTo: 130)
        #expect(sheep.copy.begins == [5, 64, 128] && sheep.copy.entries.isEmpty)
    }
}
