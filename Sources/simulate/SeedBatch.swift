import Dispatch
import Glibc
import Synchronization

/// The seeds of one profile, run on several threads, each seed's world in one thread alone.
struct SeedBatch<Counters: Sendable> {
    struct Outcome {
        var failures: [String]
        var counters: Counters
    }

    /// What came of the seeds that were run.
    struct Summary: Sendable {
        var run: UInt64 = 0
        /// Ascending.
        var failed: [UInt64] = []
        var total: Counters
        fileprivate var next: UInt64
        fileprivate var isOver = false
    }

    let seeds: ClosedRange<UInt64>
    let jobs: Int
    let stopAtFailure: Bool
    let add: @Sendable (inout Counters, Counters) -> Void

    /// Runs each seed once; what failed is printed as it is found.
    func run(from zero: Counters, _ one: @escaping @Sendable (UInt64) -> Outcome) -> Summary {
        let summary = Mutex(Summary(total: zero, next: seeds.lowerBound))
        DispatchQueue.concurrentPerform(iterations: jobs) { _ in
            while let seed = summary.withLock({ take(from: &$0) }) {
                let outcome = one(seed)
                summary.withLock { note(outcome, of: seed, in: &$0) }
            }
        }
        return summary.withLock {
            $0.failed.sort()
            return $0
        }
    }

    private func take(from summary: inout Summary) -> UInt64? {
        guard !summary.isOver, summary.next <= seeds.upperBound else { return nil }
        defer { summary.next += 1 }
        return summary.next
    }

    private func note(_ outcome: Outcome, of seed: UInt64, in summary: inout Summary) {
        summary.run += 1
        add(&summary.total, outcome.counters)
        guard !outcome.failures.isEmpty else { return }
        summary.failed.append(seed)
        for failure in outcome.failures { print("seed \(seed): \(failure)") }
        fflush(nil)
        if stopAtFailure { summary.isOver = true }
    }
}
