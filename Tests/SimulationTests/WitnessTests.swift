import Simulation
import Testing

/// Two sheep with storage and one without, of which any two keep the control log: the acceptance of an engine that decides by majority.
///
/// Of two copies a write needs one: half of them, rounded up (`Membership.minimum`). So with one sheep with storage dead the other one
/// acknowledges alone, once the log calls the dead one down. Nothing proves a death to this engine, so that takes eight seconds of
/// silence, and its leases are free 1.1 s later.
@Suite struct WitnessTests {
    private static let second: UInt64 = 1_000_000_000
    /// Sheep 3 has no storage.
    private static let all = 1...3
    private static let witness = 3

    private func acknowledged(_ run: DirectedCluster, _ sectors: Range<UInt64>, through sheep: Int, within duration: UInt64) -> Bool {
        let write = run.write(sectors, through: sheep)
        return run.run(atMost: duration) { write.isAnswered } && write.hasSucceeded
    }

    private func readsBack(_ run: DirectedCluster, _ sectors: Range<UInt64>, through sheep: Int) -> Bool {
        let read = run.read(sectors, through: sheep)
        return run.run(atMost: Self.second) { read.isAnswered } && read.hasSucceeded && run.failures.isEmpty
    }

    /// A cluster at work: every sheep has written what the others read.
    private func begin(_ seed: UInt64) -> DirectedCluster {
        let run = DirectedCluster(seed: seed, profile: .witness)
        for sheep in Self.all { #expect(acknowledged(run, 0..<64, through: sheep, within: Self.second)) }
        for sheep in Self.all { #expect(readsBack(run, 0..<64, through: sheep)) }
        #expect(run.copies == (inSync: 2, minimum: 1))
        return run
    }

    private func endQuietly(_ run: DirectedCluster) {
        #expect(run.run(atMost: 60 * Self.second) { run.isComplete })
        #expect(run.copies.inSync == 2)
        run.checkQuiet()
        #expect(run.failures.isEmpty, "\(run.failures.prefix(3))")
    }

    @Test("any one of the three dies for good: the two others write and read on, and it has everything when it is back", arguments: all, [1, 2, 3])
    func oneIsLost(dead: Int, seed: UInt64) {
        let run = begin(seed)
        defer { run.end() }
        run.kill(dead)
        let living = Self.all.filter { $0 != dead }
        for sheep in living { #expect(acknowledged(run, 32..<96, through: sheep, within: 12 * Self.second), "through sheep\(sheep)") }
        #expect(run.copies == (inSync: dead == Self.witness ? 2 : 1, minimum: 1))
        for sheep in living { #expect(readsBack(run, 0..<96, through: sheep)) }
        // From here on its absence costs nothing.
        for round in 0..<60 as Range<UInt64> {
            run.run(for: Self.second)
            for sheep in living {
                #expect(acknowledged(run, round * 100..<round * 100 + 16, through: sheep, within: Self.second / 2))
                #expect(readsBack(run, round * 100..<round * 100 + 16, through: sheep))
            }
        }
        run.start(dead)
        endQuietly(run)
    }

    @Test("one of three is no majority: nothing is answered until a second one is back", arguments: [(1, 2), (1, 3), (2, 1), (2, 3)], [1, 2, 3])
    func twoAreLost(sheep: (living: Int, returning: Int), seed: UInt64) {
        let run = begin(seed)
        defer { run.end() }
        for one in Self.all where one != sheep.living { run.kill(one) }
        // What it still holds its node lease for ends with that, a second later.
        run.run(for: 2 * Self.second)
        let write = run.write(0..<64, through: sheep.living)
        let read = run.read(128..<136, through: sheep.living)
        run.run(for: 15 * Self.second)
        #expect(!write.isAnswered && !read.isAnswered)
        run.start(sheep.returning)
        #expect(run.run(atMost: 12 * Self.second) { write.isAnswered && read.isAnswered })
        #expect(write.hasSucceeded && read.hasSucceeded)
        #expect(acknowledged(run, 64..<128, through: sheep.returning, within: 12 * Self.second))
        for one in Self.all where one != sheep.living && one != sheep.returning { run.start(one) }
        endQuietly(run)
    }

    @Test("both copies are lost: the witness serves nothing, and serves again with either of them", arguments: [1, 2], [1, 2, 3])
    func bothCopiesAreLost(returning: Int, seed: UInt64) {
        let run = begin(seed)
        defer { run.end() }
        for copy in [1, 2] { run.kill(copy) }
        run.run(for: 2 * Self.second)
        let read = run.read(0..<64, through: Self.witness)
        run.run(for: 15 * Self.second)
        #expect(!read.isAnswered)
        run.start(returning)
        // The other one is silent for eight seconds: they go down as equals. For ten more it may come back, then the group opens without it.
        #expect(run.run(atMost: 22 * Self.second) { read.isAnswered })
        // A read waits for thirty seconds at most.
        #expect(readsBack(run, 0..<64, through: Self.witness))
        #expect(acknowledged(run, 0..<64, through: Self.witness, within: Self.second))
        run.start(3 - returning)
        endQuietly(run)
    }

    @Test("one loses its power, the other dies before the first is called down: what was acknowledged is there, whoever is back first", arguments: [1, 2], [1, 2, 3])
    func powerIsLostBeforeTheOtherDies(first: Int, seed: UInt64) {
        let run = begin(seed)
        defer { run.end() }
        #expect(acknowledged(run, 0..<64, through: 2, within: Self.second))
        run.cutPower(1)
        run.run(for: Self.second)
        run.kill(2)
        run.start(first)
        run.run(for: Self.second)
        run.start(3 - first)
        #expect(run.run(atMost: 30 * Self.second) { run.isComplete })
        endQuietly(run)
    }
}
