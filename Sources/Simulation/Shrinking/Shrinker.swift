/// Reduces a failing run: leaves out faults, orders and clients, and shortens it, as long as it still fails.
///
/// A part that is left out does not change what the others are, but it moves what is random in between (delays, what clients
/// ask for). So each smaller run is tried with several variations of that, and one that fails is enough.
package struct Shrinker {
    private static let variations: UInt64 = 3
    private let seed: UInt64
    private let profile: Profile
    private let prepare: (SimulatedCluster) -> Void
    private let progress: (String) -> Void
    /// What is still worth a run when the cause is found but for a few bystanders.
    private let largestRuns: Int
    private var best = Restriction()
    private var runs = 0
    private var happenings: Happenings
    private var failedAt: UInt64

    /// Nil: the seed does not fail. `prepare` is done to each cluster before it runs.
    package init?(
        seed: UInt64, profile: Profile, largestRuns: Int = 400, prepare: @escaping (SimulatedCluster) -> Void = { _ in },
        progress: @escaping (String) -> Void
    ) {
        (self.seed, self.profile, self.largestRuns) = (seed, profile, largestRuns)
        (self.prepare, self.progress) = (prepare, progress)
        let cluster = SimulatedCluster(seed: seed, profile: profile)
        prepare(cluster)
        cluster.run()
        guard !cluster.world.failures.isEmpty else { return nil }
        (happenings, failedAt) = (cluster.happenings, cluster.world.failedAt)
        progress("\(summary) fail: \(cluster.world.failures[0])")
    }

    private var summary: String {
        "\(happenings.faults.count) faults, \(Set(happenings.orders.map(\.number)).count) orders, \(happenings.clients.count) clients"
    }

    /// The smallest run found.
    package mutating func shrink() -> Restriction {
        shorten()
        var size = Int.max
        while runs < largestRuns {
            reduce(\.faults, to: { $0.faults.map(\.number) })
            reduce(\.orders, to: { Set($0.orders.map(\.number)).sorted() })
            reduce(\.clients, to: { $0.clients.map(\.number) })
            shorten()
            let left = happenings.faults.count + happenings.orders.count + happenings.clients.count
            if left >= size { break }
            size = left
        }
        progress("\(summary) are left after \(runs) runs")
        return best
    }

    /// True when the smaller run fails too; it is the best one then.
    private mutating func keeps(_ candidate: Restriction) -> Bool {
        for step in 0..<Self.variations {
            runs += 1
            var candidate = candidate
            candidate.variation = (best.variation + step) % Self.variations
            let cluster = SimulatedCluster(seed: seed, profile: profile, restriction: candidate)
            prepare(cluster)
            cluster.run()
            guard !cluster.world.failures.isEmpty else { continue }
            (best, happenings, failedAt) = (candidate, cluster.happenings, cluster.world.failedAt)
            return true
        }
        return false
    }

    /// What happens after the failure is not its cause.
    private mutating func shorten() {
        let present = best.duration ?? profile.duration
        let worked = failedAt - min(failedAt, happenings.workBegan)
        let lasts = [happenings.faults.last?.time, happenings.orders.last?.time].compactMap(\.self).max() ?? happenings.workBegan
        for duration in [lasts - happenings.workBegan + 1_000_000, worked + 1_000_000, present / 2] where duration < present {
            var candidate = best
            candidate.duration = duration
            if keeps(candidate) { return progress("\(duration / 1_000_000) ms are enough: \(summary)") }
        }
    }

    /// Leaves out halves of what there is of one kind, then quarters, down to single ones.
    private mutating func reduce(_ part: WritableKeyPath<Restriction, Set<Int>>, to present: (Happenings) -> [Int]) {
        var size = present(happenings).count
        while size > 0, runs < largestRuns {
            var start = 0
            // From the end: the last ones are the least likely causes.
            while start < present(happenings).count, runs < largestRuns {
                let numbers = Array(present(happenings).reversed())
                var candidate = best
                candidate[keyPath: part].formUnion(numbers[start..<min(start + size, numbers.count)])
                if keeps(candidate), present(happenings).count < numbers.count {
                    progress("still fails: \(summary)")
                } else {
                    start += size
                }
            }
            size = size == 1 ? 0 : (size + 1) / 2
        }
    }
}
