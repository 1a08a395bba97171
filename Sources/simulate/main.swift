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
    @Option(help: "What goes wrong: \(profileNames.joined(separator: ", ")); or all.") var profile = "smoke"
    @Option(help: "Seeds run at once (default: one for each processor).") var jobs: Int?
    @Flag(help: "Tell everything that happens, one seed after the other.") var trace = false
    @Flag(help: "Stop at the first seed that fails.") var stopAtFailure = false
    @Flag(help: "Reduce the first seed that fails to what it takes, and tell that.") var shrink = false

    private static let profileNames = Profile.all.map(\.name) + [logProfile]

    /// Traces of two worlds would mix.
    var jobsUsed: Int { trace ? 1 : jobs ?? sysconf(Int32(_SC_NPROCESSORS_ONLN)) }

    func validate() throws {
        guard profile == "all" || Self.profileNames.contains(profile) else {
            throw ValidationError("there is no profile \(profile); there are \(Self.profileNames.joined(separator: ", "))")
        }
        guard jobs ?? 1 >= 1 else { throw ValidationError("--jobs is 1 or more") }
        _ = try bounds()
    }

    func run() throws {
        let seeds = try bounds()
        var succeeded = true
        for chosen in Profile.all where profile == chosen.name || profile == "all" {
            succeeded = run(chosen, seeds) && succeeded
        }
        if profile == Self.logProfile || profile == "all" { succeeded = runLog(seeds) && succeeded }
        if !succeeded { throw ExitCode(1) }
    }

    private func bounds() throws -> ClosedRange<UInt64> {
        let bounds = seeds.split(separator: "-").compactMap { UInt64($0) }
        guard let first = bounds.first, let last = bounds.last, first <= last, last < .max, bounds.count <= 2 else {
            throw ValidationError("seeds are given as A or A-B")
        }
        return first...last
    }

    func report(_ profile: String, run: UInt64, failed: [UInt64], nanoseconds: UInt64, events: UInt64) {
        print("\(run) seeds of profile \(profile), \(failed.count) failed: \(failed.map(String.init).joined(separator: " "))")
        let hundredths = nanoseconds / 36_000_000_000
        print("simulated hours \(hundredths / 100).\(hundredths % 100 < 10 ? "0" : "")\(hundredths % 100), events \(events)")
    }

    func report(_ faults: [(kind: String, count: Int)]) {
        print("faults injected:")
        for (kind, count) in faults { print("  \(kind)\(String(repeating: " ", count: max(1, 20 - kind.count)))\(count)") }
        fflush(nil)
    }
}

// Swift seeds its hashing anew in each process, and the order of a dictionary must not tell runs of one seed apart.
if getenv("SWIFT_DETERMINISTIC_HASHING") == nil {
    setenv("SWIFT_DETERMINISTIC_HASHING", "1", 1)
    var arguments: [UnsafeMutablePointer<CChar>?] = CommandLine.arguments.map { strdup($0) } + [nil]
    execv("/proc/self/exe", &arguments)
}
Simulate.main()
