import ArgumentParser
import Glibc
import Simulation

/// The profile `log`: a world of its own, for the control log of the engines that have no shared file.
extension Simulate {
    static let logProfile = "log"

    func runLog(seeds: ClosedRange<UInt64>) throws {
        var total = LogCounters()
        var failed: [UInt64] = []
        var run: UInt64 = 0
        for seed in seeds {
            let cluster = LogCluster(seed: seed)
            if trace { cluster.world.trace = { print($0) } }
            cluster.run()
            total.add(cluster.counters)
            run += 1
            guard !cluster.world.failures.isEmpty else { continue }
            failed.append(seed)
            for failure in cluster.world.failures { print("seed \(seed): \(failure)") }
            fflush(nil)
            if stopAtFailure { break }
        }
        report(total, seeds: run, failed: failed)
        if !failed.isEmpty { throw ExitCode(1) }
    }

    private func report(_ total: LogCounters, seeds: UInt64, failed: [UInt64]) {
        print("\(seeds) seeds of profile \(profile), \(failed.count) failed: \(failed.map(String.init).joined(separator: " "))")
        let tenths = total.nanoseconds / 360_000_000_000
        print("simulated hours \(tenths / 10).\(tenths % 10), events \(total.events)")
        print("entries \(total.entries), views \(total.views), restored from snapshots \(total.restores), looks \(total.looks)")
        print("changes of the voters \(total.voterChanges), refused \(total.refusedChanges); runs left without a majority \(total.withoutMajority)")
        print("slowest return to work after the faults: \(total.slowestEnd / 1_000_000) ms")
        for kind in LogFaultKind.allCases { print("fault \(kind.rawValue): \(total.faults[kind] ?? 0)") }
    }
}
