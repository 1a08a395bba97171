import Simulation
import Testing

/// Replay a seed that fails here with `simulate --seeds N --profile NAME --trace`.
@Suite struct SmokeTests {
    @Test("three nodes with kills, stops and broken links: nothing acknowledged is lost, 200 seeds", arguments: 0..<8)
    func smoke(part: UInt64) { run(.smoke, seeds: part * 25 + 1...part * 25 + 25) }

    @Test("also when all die at once, or stand still for seconds", arguments: 0..<2)
    func kills(part: UInt64) { run(.kills, seeds: part * 10 + 1...part * 10 + 10) }

    @Test("power cuts take what was not flushed, and nothing else", arguments: 0..<2)
    func power(part: UInt64) { run(.power, seeds: part * 15 + 1...part * 15 + 15) }

    @Test("one disk after the other rots, loses writes, fails or fills up: it is repaired from the others", arguments: 0..<2)
    func disks(part: UInt64) { run(.disks, seeds: part * 10 + 1...part * 10 + 10) }

    @Test("links that are cut, one way too, slow or broken, while sheep die and stand still", arguments: 0..<2)
    func network(part: UInt64) { run(.network, seeds: part * 10 + 1...part * 10 + 10) }

    @Test("clocks that run 5 % off and jump", arguments: 0..<2)
    func clocks(part: UInt64) { run(.clocks, seeds: part * 10 + 1...part * 10 + 10) }

    @Test("sheep join, are removed, are dead for long, lose their stores: every object ends where it belongs", arguments: 0..<2)
    func members(part: UInt64) { run(.members, seeds: part * 10 + 1...part * 10 + 10) }

    @Test("with durability=always no power cut takes anything acknowledged, while leases move", arguments: 0..<2)
    func durable(part: UInt64) { run(.durable, seeds: part * 10 + 1...part * 10 + 10) }

    private func run(_ profile: Profile, seeds: ClosedRange<UInt64>) {
        for seed in seeds {
            let cluster = SimulatedCluster(seed: seed, profile: profile)
            cluster.run()
            #expect(cluster.world.failures.isEmpty, "\(profile.name) seed \(seed): \(cluster.world.failures.prefix(3))")
        }
    }
}
