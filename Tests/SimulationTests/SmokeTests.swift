import Simulation
import Testing

/// A few seeds of each profile; `make simulation` runs hundreds. Replay one that fails with
/// `simulate --seeds N --profile NAME --trace`.
@Suite struct SmokeTests {
    @Test("nothing acknowledged is lost, replicas are equal at rest, and work goes on", arguments: Profile.all.map(\.name))
    func seeds(profile: String) throws {
        let profile = try #require(Profile.all.first { $0.name == profile })
        for seed in 1...2 as ClosedRange<UInt64> {
            let cluster = SimulatedCluster(seed: seed, profile: profile)
            cluster.run()
            #expect(cluster.world.failures.isEmpty, "\(profile.name) seed \(seed): \(cluster.world.failures.prefix(3))")
        }
    }

    @Test("a seed is one run: twice the same events")
    func repeats() {
        let runs = (0..<2).map { _ in
            let cluster = SimulatedCluster(seed: 5, profile: .kills)
            var digest: UInt64 = 14_695_981_039_346_656_037
            cluster.world.trace = { for byte in $0.utf8 { digest = (digest ^ UInt64(byte)) &* 1_099_511_628_211 } }
            cluster.run()
            return [digest, cluster.counters.events, cluster.counters.nanoseconds]
        }
        #expect(runs[0] == runs[1])
    }
}
