/// What a run of the simulator does and how much may go wrong in it.
package struct Profile: Sendable {
    package var name: String
    package var nodes = 3
    package var copies: UInt8 = 3
    package var objectShift: UInt8 = 20
    /// How long clients work while faults happen, in nanoseconds.
    package var duration: UInt64 = 15_000_000_000
    /// Between a client's requests at most.
    package var thinkTime: UInt64 = 60_000_000
    /// Between orders of the administrator at most.
    package var administrationTime: UInt64 = 2_500_000_000
    /// Between faults at most.
    package var faultTime: UInt64 = 4_000_000_000
    /// How often each fault is drawn.
    package var weights: [(kind: FaultKind, weight: Int)] = []
    package var clocksDrift = false
    package var longestPause: UInt64 = 6_000_000_000

    /// Kills, restarts, clean stops.
    package static let smoke = Profile(name: "smoke", weights: [(.kill, 6), (.stop, 2), (.reset, 2)])
    /// Everything that ends processes, stops them for a while or cuts their links, close together.
    package static let kills = Profile(
        name: "kills", duration: 40_000_000_000, faultTime: 3_000_000_000,
        weights: [(.kill, 8), (.killAll, 1), (.stop, 2), (.reset, 3), (.pause, 2)])
    /// Power cuts as well.
    package static let power = Profile(
        name: "power", duration: 30_000_000_000, faultTime: 4_000_000_000,
        weights: [(.kill, 4), (.killAll, 1), (.stop, 1), (.powerCut, 4), (.powerCutAll, 2)])

    /// Links that are cut, in one direction or both, slow or broken again and again, while processes die and stand still.
    package static let network = Profile(
        name: "network", duration: 40_000_000_000, faultTime: 3_000_000_000,
        weights: [
            (.partition, 5), (.cutLink, 3), (.oneWay, 4), (.slowLink, 3), (.brittleLink, 2), (.lostReply, 3), (.reset, 2),
            (.kill, 3), (.killAll, 1), (.stop, 1), (.pause, 3),
        ], longestPause: 12_000_000_000)
    /// The same, on machines whose steady clocks are up to 5 % off and whose wall clocks jump by up to a year.
    package static let clocks = Profile(
        name: "clocks", duration: 30_000_000_000, faultTime: 3_000_000_000,
        weights: [
            (.clockJump, 4), (.partition, 3), (.oneWay, 2), (.slowLink, 1), (.lostReply, 1), (.kill, 3), (.stop, 1), (.pause, 5),
        ], clocksDrift: true, longestPause: 12_000_000_000)

    package static let all = [smoke, kills, power, network, clocks]
}

package enum FaultKind: String, CaseIterable, Sendable {
    case kill, killAll, stop, reset, pause, powerCut, powerCutAll
    case partition, cutLink, oneWay, slowLink, brittleLink, lostReply, clockJump
}

/// What happened in a run.
package struct Counters: Sendable {
    package var faults: [FaultKind: Int] = [:]
    package var requests = 0
    package var failedRequests = 0
    package var orders = 0
    package var events: UInt64 = 0
    package var nanoseconds: UInt64 = 0

    package init() {}

    package mutating func add(_ other: Counters) {
        faults.merge(other.faults) { $0 + $1 }
        requests += other.requests
        failedRequests += other.failedRequests
        orders += other.orders
        events += other.events
        nanoseconds += other.nanoseconds
    }
}
