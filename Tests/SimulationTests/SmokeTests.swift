import Simulation
import Testing

@Suite struct SmokeTests {
    /// Found and not fixed yet: at rest one replica differs from the others in a block (126). A known bug, shown as such in
    /// every run; whoever fixes it takes it off this list.
    private static let open: Set<UInt64> = [126]

    /// Replay a seed that fails here with `simulate --seeds N --trace`; the order of a dictionary may differ in this process,
    /// so that a failure may need SWIFT_DETERMINISTIC_HASHING=1 to come again.
    @Test("three nodes with kills, stops and broken links: nothing acknowledged is lost, 200 seeds", arguments: 0..<8)
    func smoke(part: UInt64) {
        for seed in (part * 25 + 1)...(part * 25 + 25) {
            let cluster = SimulatedCluster(seed: seed, profile: .smoke)
            cluster.run()
            let check = { #expect(cluster.world.failures.isEmpty, "seed \(seed): \(cluster.world.failures.prefix(3))") }
            if Self.open.contains(seed) {
                withKnownIssue("seed \(seed) shows a bug that is not fixed yet", isIntermittent: true) { check() }
            } else {
                check()
            }
        }
    }

    @Test("a seed is one run: twice the same, event for event")
    func replay() {
        let runs = (0..<2).map { _ in
            var lines: [String] = []
            let cluster = SimulatedCluster(seed: 7, profile: .smoke)
            cluster.world.trace = { lines.append($0) }
            cluster.run()
            return lines
        }
        #expect(runs[0] == runs[1])
    }
}
