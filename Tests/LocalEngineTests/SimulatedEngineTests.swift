import Cluster
import LocalEngine
import ObjectModel
import Testing

/// A virtual clock with its events in order of time, then of scheduling.
final class SimulatedLoop: EngineLoop, @unchecked Sendable {
    private var events: [(due: UInt64, order: Int, work: () -> Void)] = []
    private var time: UInt64 = 1_000_000_000
    private var order = 0
    var isStopped = false

    func now() -> UInt64 { time }
    func post(_ work: @escaping @Sendable () -> Void) { schedule(afterNanoseconds: 0, work) }
    func schedule(afterNanoseconds delay: UInt64, _ work: @escaping () -> Void) {
        order += 1
        events.append((time + delay, order, work))
    }

    /// Runs the next event.
    func step() {
        let next = events.indices.min { (events[$0].due, events[$0].order) < (events[$1].due, events[$1].order) }!
        let event = events.remove(at: next)
        time = max(time, event.due)
        event.work()
    }

    /// Runs events until the condition holds; false when it does not within 60 simulated seconds.
    func run(until condition: () -> Bool) -> Bool {
        let deadline = time + 60_000_000_000
        while !condition() {
            guard time < deadline else { return false }
            step()
        }
        return true
    }

    func run(forNanoseconds duration: UInt64) {
        let end = time + duration
        schedule(afterNanoseconds: duration) {}
        while time < end { step() }
    }
}

@Suite struct SimulatedEngineTests {
    struct Sheep {
        let recorder = Recorder()
        let engine: SimulatedEngine
        init(_ number: Int, _ log: SimulatedLog, _ loop: SimulatedLoop) {
            engine = SimulatedEngine(node: node(number), log: log, loop: loop)
            recorder.attach(to: engine)
            engine.start()
        }
    }

    @Test("racing engines deliver one sequence through snapshots; a joiner is restored")
    func race() {
        let loop = SimulatedLoop()
        let log = SimulatedLog(seed: 1)
        let sheep = (0..<3).map { Sheep($0, log, loop) }
        for (number, one) in sheep.enumerated() { one.recorder.propose(payloads(of: number, count: 100)) }
        #expect(loop.run { sheep.allSatisfy { $0.recorder.payloads.count == 300 } })
        #expect(Set(sheep.map(\.recorder.history)).count == 1)
        let joiner = Sheep(7, log, loop)
        #expect(loop.run { joiner.recorder.caughtUpCount == 1 })
        #expect(joiner.recorder.restoredAt.count == 1)
        #expect(joiner.recorder.history == sheep[0].recorder.history)
    }

    @Test("a power cut loses nothing that anyone was told of")
    func powerCut() {
        for seed in 1...200 as ClosedRange<UInt64> {
            let loop = SimulatedLoop()
            var tuning = SimulatedLog.Tuning()
            tuning.sealAfter = 10
            let log = SimulatedLog(seed: seed, tuning: tuning)
            let sheep = (0..<3).map { Sheep($0, log, loop) }
            for (number, one) in sheep.enumerated() { one.recorder.propose(payloads(of: number, count: 20)) }
            loop.run(forNanoseconds: 5_000_000 * (seed % 40))
            log.powerCut()
            #expect(log.alive.isEmpty)
            let after = Sheep(4, log, loop)
            #expect(loop.run { after.recorder.caughtUpCount == 1 })
            for one in sheep {
                #expect(after.recorder.history.starts(with: one.recorder.history), "seed \(seed)")
                #expect(one.engine.lastLookStarted == 0)
                #expect(!one.recorder.outOfOrder)
            }
            after.recorder.propose([[1, 2, 3]])
            #expect(loop.run { after.recorder.proposals.isEmpty }, "seed \(seed)")
        }
    }

    @Test("a killed process's entries stay; its peers suspect it and get proof; it may return")
    func killed() {
        let loop = SimulatedLoop()
        let log = SimulatedLog(seed: 3)
        let first = Sheep(1, log, loop), second = Sheep(2, log, loop)
        #expect(loop.run { first.recorder.caughtUpCount + second.recorder.caughtUpCount == 2 })
        second.recorder.propose([[9]])
        log.setAlive(node(2), false)
        #expect(loop.run { first.recorder.payloads == [[9]] && first.recorder.suspected == [node(2)] })
        #expect(second.recorder.payloads.isEmpty)
        var dead: Bool?
        first.engine.proveDead(node(2)) { dead = $0 }
        #expect(loop.run { dead == true })
        let again = Sheep(2, log, loop)
        dead = nil
        first.engine.proveDead(node(2)) { dead = $0 }
        #expect(loop.run { dead == false && again.recorder.payloads == [[9]] })
        var alive: [NodeID] = []
        first.engine.aliveNodes { alive = $0 }
        #expect(loop.run { alive == [node(1), node(2)] })
    }

    @Test("what a node shows is seen by the others, also after its end")
    func shown() {
        let loop = SimulatedLoop()
        let log = SimulatedLog(seed: 6)
        let first = Sheep(1, log, loop), second = Sheep(2, log, loop)
        first.engine.show([1])
        first.engine.show([2])
        #expect(second.engine.shown() == [node(1): [2]])
        #expect(first.engine.shown() == [:])
        log.setAlive(node(1), false)
        first.engine.show([3])
        #expect(second.engine.shown() == [node(1): [2]])
        log.stopped.insert(node(1))
        #expect(second.engine.isStopped(node(1)))
    }

    @Test("looks renew the lease by the clock, and a failed engine's lease ends")
    func lease() {
        let loop = SimulatedLoop()
        let log = SimulatedLog(seed: 4)
        let sheep = Sheep(1, log, loop)
        loop.run(forNanoseconds: 2_000_000_000)
        #expect(loop.now() - sheep.engine.lastLookStarted < nodeLeaseDuration / 2)
        log.fail(node(1), reason: "the disk failed")
        let last = sheep.engine.lastLookStarted
        loop.run(forNanoseconds: 2_000_000_000)
        #expect(sheep.engine.lastLookStarted == last)
        #expect(sheep.recorder.failure == "the disk failed")
    }

    @Test("the same seed gives the same run")
    func deterministic() {
        let runs = (0..<2).map { _ in
            let loop = SimulatedLoop()
            let log = SimulatedLog(seed: 77)
            let sheep = (0..<4).map { Sheep($0, log, loop) }
            for (number, one) in sheep.enumerated() { one.recorder.propose(payloads(of: number, count: 50)) }
            loop.run(forNanoseconds: 123_456_789)
            log.setAlive(node(2), false)
            loop.run(forNanoseconds: 300_000_000)
            return sheep.map(\.recorder.history)
        }
        #expect(runs[0] == runs[1])
        #expect(!runs[0][0].isEmpty)
    }
}
