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
        // Not every run reads what was lost before it is written again.
        let finds = (UInt64(1)...10).first { seed in
            var swallowed = 0
            let found = failures(seed: seed) { cluster in
                var writes = 0
                cluster.switchboard.swallows = { operation, _ in
                    guard operation == .replicaWrite else { return false }
                    writes += 1
                    if writes % 20 == 0 { swallowed += 1 }
                    return writes % 20 == 0
                }
            }
            #expect(swallowed > 0)
            return !found.isEmpty
        }
        #expect(finds != nil)
    }
}
