import Glibc
import Simulation

/// The profiles of whole clusters.
extension Simulate {
    /// False: a seed failed.
    func run(_ profile: Profile, _ seeds: ClosedRange<UInt64>) -> Bool {
        let batch = SeedBatch<Counters>(seeds: seeds, jobs: jobsUsed, stopAtFailure: stopAtFailure || shrink) { $0.add($1) }
        let summary = batch.run(from: Counters()) { [trace] seed in
            let cluster = SimulatedCluster(seed: seed, profile: profile)
            if trace { cluster.world.trace = { print($0) } }
            cluster.run()
            return .init(failures: cluster.world.failures, counters: cluster.counters)
        }
        if shrink, let first = summary.failed.first { shrink(first, profile) }
        report(profile.name, run: summary.run, failed: summary.failed, nanoseconds: summary.total.nanoseconds, events: summary.total.events)
        let total = summary.total
        print("requests \(total.requests), of which failed \(total.failedRequests) and short-circuit reads \(total.shortCircuitReads); orders \(total.orders)")
        report(FaultKind.allCases.compactMap { kind in total.faults[kind].map { (kind.rawValue, $0) } })
        return summary.failed.isEmpty
    }

    private func shrink(_ seed: UInt64, _ profile: Profile) {
        guard var shrinker = Shrinker(seed: seed, profile: profile, progress: { print("shrinking: \($0)"); fflush(nil) }) else { return }
        let restriction = shrinker.shrink()
        let cluster = SimulatedCluster(seed: seed, profile: profile, restriction: restriction)
        var lines: [String] = []
        cluster.world.trace = { lines.append($0) }
        cluster.run()
        print("What is left of it:")
        for fault in cluster.happenings.faults { print("  fault \(fault.number): \(fault.text)") }
        for order in cluster.happenings.orders { print("  order \(order.number): \(order.text)") }
        for client in cluster.happenings.clients { print("  \(client.name)") }
        var filter = TraceFilter(subject: cluster.world.subject)
        for line in lines { if let shown = filter.filter(line) { print(shown) } }
    }
}
