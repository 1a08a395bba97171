import Simulation
import Testing

/// When a process may read the files of a sheep on its machine by itself, and when no longer.
@Suite struct ShortCircuitReadTests {
    private static let second = DirectedCluster.second
    private static let blocks: Range<UInt64> = 0..<16

    /// Three copies; sheep 1 owns the volume, and what was written to its first object may be read there.
    private func begin(_ seed: UInt64, gateways: Int = 0) -> DirectedCluster {
        var profile = Profile.network
        (profile.nodes, profile.largestNodes, profile.gateways) = (3, 3, gateways)
        (profile.copies, profile.leastCopies) = (3, 3)
        let run = DirectedCluster(seed: seed, profile: profile)
        run.succeed(run.write(Self.blocks, through: 1))
        run.succeed(run.grant(at: 1))
        expect(run.readsGranted(Self.blocks, at: 1), "what was granted cannot be read")
        return run
    }

    @Test("an owner that stands still vouches for nothing when its lease is over, though it knows of nobody else", arguments: RuleTests.seeds)
    func ownerStandsStill(seed: UInt64) {
        let run = begin(seed)
        run.pause(1, for: 30 * Self.second, bySignal: true)
        expect(run.readsGranted(Self.blocks, at: 1), "the lease lasts yet")
        run.succeed(run.write(Self.blocks, through: 2))
        expect(run.isPaused(1), "it went on too early for this test")
        expect(!run.readsGranted(Self.blocks, at: 1), "it vouches for what another owner has overwritten")
        run.endAsItIs()
    }

    @Test("a change ends it, through whatever gateway it comes, before it is answered; nothing is granted while one is under way", arguments: RuleTests.seeds)
    func changes(seed: UInt64) {
        let run = begin(seed)
        run.pause(3, for: Self.second / 2)
        let write = run.write(Self.blocks, through: 2)
        run.run(for: Self.second / 4)
        expect(!write.isAnswered, "the third copy was not waited for")
        expect(!run.readsGranted(Self.blocks, at: 1), "it vouches for what is being overwritten")
        let grant = run.grant(at: 1)
        run.run(for: Self.second / 100)
        expect(grant.failure != nil, "an object is granted that is being changed")
        run.succeed(write)
        run.succeed(run.grant(at: 1))
        expect(run.readsGranted(Self.blocks, at: 1), "what was granted anew cannot be read")
        run.endQuietly()
    }

    @Test("whoever hands the volume over vouches for nothing any more, and who is not the owner grants nothing", arguments: RuleTests.seeds)
    func handedOver(seed: UInt64) {
        let run = begin(seed)
        run.succeed(run.handOver(to: 2, through: 2))
        expect(!run.readsGranted(Self.blocks, at: 1), "a former owner vouches")
        let grant = run.grant(at: 1)
        expect(run.run(atMost: 5 * Self.second) { grant.isAnswered } && grant.failure != nil, "who is not the owner grants")
        run.succeed(run.write(Self.blocks, through: 2))
        run.succeed(run.grant(at: 2))
        expect(run.readsGranted(Self.blocks, at: 2), "what the new owner grants cannot be read")
        run.endQuietly()
    }

    @Test("a dead sheep vouches for nothing, nor does its next run for what it granted", arguments: RuleTests.seeds)
    func dies(seed: UInt64) {
        let run = begin(seed)
        run.kill(1)
        expect(!run.readsGranted(Self.blocks, at: 1), "a dead sheep vouches")
        run.start(1)
        expect(run.run(atMost: 60 * Self.second) { run.copies.inSync == 3 }, "it does not come back")
        expect(!run.readsGranted(Self.blocks, at: 1), "the next run vouches for what the former one granted")
        run.endQuietly()
    }

    @Test("a snapshot ends it; a gateway without storage grants nothing", arguments: RuleTests.seeds)
    func others(seed: UInt64) {
        let run = begin(seed, gateways: 1)
        run.succeed(run.snapshot("tag", through: 1))
        expect(!run.readsGranted(Self.blocks, at: 1), "a former birth is vouched for")
        let grant = run.grant(at: 4)
        expect(run.run(atMost: 5 * Self.second) { grant.isAnswered } && grant.failure != nil, "a gateway without storage grants")
        run.endQuietly()
    }
}
