import Simulation

/// The profile `log`: a world of its own, for the control log of the engines that have no shared file.
extension Simulate {
    static let logProfile = "log"

    /// False: a seed failed.
    func runLog(_ seeds: ClosedRange<UInt64>) -> Bool {
        if shrink { print("--shrink is not there for the profile \(Self.logProfile): --trace tells a seed that fails") }
        let batch = SeedBatch<LogCounters>(seeds: seeds, jobs: jobsUsed, stopAtFailure: stopAtFailure) { $0.add($1) }
        let summary = batch.run(from: LogCounters()) { [trace] seed in
            let cluster = LogCluster(seed: seed)
            if trace { cluster.world.trace = { print($0) } }
            cluster.run()
            return .init(failures: cluster.world.failures, counters: cluster.counters)
        }
        report(Self.logProfile, run: summary.run, failed: summary.failed, nanoseconds: summary.total.nanoseconds, events: summary.total.events)
        let total = summary.total
        print("entries \(total.entries), views \(total.views), restored from snapshots \(total.restores), looks \(total.looks)")
        print("changes of the voters \(total.voterChanges), refused \(total.refusedChanges); runs left without a majority \(total.withoutMajority)")
        print("slowest return to work after the faults: \(total.slowestEnd / 1_000_000) ms")
        report(LogFaultKind.allCases.map { ($0.rawValue, total.faults[$0] ?? 0) })
        return summary.failed.isEmpty
    }
}
