import Simulation
import Testing

/// Replay a seed that fails here with `simulate --seeds N --profile log --trace`.
@Suite("The control log in a hostile world")
struct LogSimulationTests {
    @Test("nothing committed is lost, nothing is decided twice, and it goes on: 300 seeds", arguments: 0..<6)
    func seeds(part: UInt64) {
        for seed in part * 50 + 1...part * 50 + 50 {
            let cluster = LogCluster(seed: seed)
            cluster.run()
            #expect(cluster.world.failures.isEmpty, "log seed \(seed): \(cluster.world.failures.prefix(3))")
        }
    }

    /// More are planted in the source by Tests/Mutations.
    @Test("a fault that the world commits is seen", arguments: PlantedLogFault.allCases)
    func planted(fault: PlantedLogFault) {
        let found = (1...400 as ClosedRange<UInt64>).contains { seed in
            let cluster = LogCluster(seed: seed, planted: fault)
            cluster.run()
            return !cluster.world.failures.isEmpty
        }
        #expect(found)
    }
}
