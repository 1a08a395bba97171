import SheepProtocol
import Simulation
import Testing

/// The checkers see what they are there for: faults that no code here has are planted, and must be found.
@Suite struct PlantedFaultTests {
    private func failures(seed: UInt64, plant: (SimulatedCluster) -> Void) -> [String] {
        let cluster = SimulatedCluster(seed: seed, profile: .smoke)
        plant(cluster)
        cluster.run()
        return cluster.world.failures
    }

    @Test("a replica's write that is acknowledged but never done is found")
    func swallowedWrite() {
        var swallowed = 0
        let found = failures(seed: 3) { cluster in
            var writes = 0
            cluster.switchboard.swallows = { operation, _ in
                guard operation == .replicaWrite else { return false }
                writes += 1
                if writes % 20 == 0 { swallowed += 1 }
                return writes % 20 == 0
            }
        }
        #expect(swallowed > 0)
        #expect(!found.isEmpty)
    }
}
