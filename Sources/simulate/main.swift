import ArgumentParser
import Glibc
import Simulation

/// Runs seeds of the simulator and says what went wrong in which.
struct Simulate: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Run the cluster in a simulated world, one run a seed.",
        discussion: """
            A seed and a profile are one run: with --trace a failing one is replayed and told line by line, with --shrink it is
            reduced to the faults, orders and clients that it takes, and what is left of it is told.
            """)

    @Option(help: "Seeds: A or A-B.") var seeds = "1-200"
    @Option(help: "What goes wrong: \((Profile.all.map(\.name) + [Self.logProfile]).joined(separator: ", ")).") var profile = "smoke"
    @Flag(help: "Tell everything that happens.") var trace = false
    @Flag(help: "Stop at the first seed that fails.") var stopAtFailure = false
    @Flag(help: "Reduce the first seed that fails to what it takes, and tell that.") var shrink = false

    func run() throws {
        let bounds = seeds.split(separator: "-").compactMap { UInt64($0) }
        guard let first = bounds.first, let last = bounds.last, first <= last, bounds.count <= 2 else {
            throw ValidationError("seeds are given as A or A-B")
        }
        if profile == Self.logProfile { return try runLog(seeds: first...last) }
        guard let chosen = Profile.all.first(where: { $0.name == profile }) else {
            throw ValidationError("there is no profile \(profile)")
        }
        var total = Counters()
        var failed: [UInt64] = []
        for seed in first...last {
            let cluster = SimulatedCluster(seed: seed, profile: chosen)
            if trace { cluster.world.trace = { print($0) } }
            cluster.run()
            total.add(cluster.counters)
            guard !cluster.world.failures.isEmpty else { continue }
            failed.append(seed)
            for failure in cluster.world.failures { print("seed \(seed): \(failure)") }
            fflush(nil)
            if shrink {
                shrink(seed, chosen)
                break
            }
            if stopAtFailure { break }
        }
        report(total, seeds: last - first + 1, failed: failed)
        if !failed.isEmpty { throw ExitCode(1) }
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

    private func report(_ total: Counters, seeds: UInt64, failed: [UInt64]) {
        print("\(seeds) seeds of profile \(profile), \(failed.count) failed: \(failed.map(String.init).joined(separator: " "))")
        let tenths = total.nanoseconds / 360_000_000_000
        print("simulated hours \(tenths / 10).\(tenths % 10), events \(total.events)")
        print("requests \(total.requests), of which failed \(total.failedRequests); orders \(total.orders)")
        print("faults injected:")
        for kind in FaultKind.allCases where total.faults[kind] != nil {
            let name = kind.rawValue + String(repeating: " ", count: max(0, 14 - kind.rawValue.count))
            print("  \(name)\(total.faults[kind]!)")
        }
    }
}

// Swift seeds its hashing anew in each process, and the order of a dictionary must not tell runs of one seed apart.
if getenv("SWIFT_DETERMINISTIC_HASHING") == nil {
    setenv("SWIFT_DETERMINISTIC_HASHING", "1", 1)
    var arguments: [UnsafeMutablePointer<CChar>?] = CommandLine.arguments.map { strdup($0) } + [nil]
    execv("/proc/self/exe", &arguments)
}
Simulate.main()
