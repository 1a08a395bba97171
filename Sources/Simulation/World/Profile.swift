package import LocalEngine

/// What a run of the simulator does and how much may go wrong in it.
package struct Profile: Sendable {
    package var name: String
    package var nodes = 3
    package var copies: UInt8 = 3
    /// Volumes have so many copies at least.
    package var leastCopies: UInt8 = 1
    package var objectShift: UInt8 = 20
    /// In so long a sheep scrubs all it has; 0: never. Nanoseconds.
    package var scrubPeriod: UInt64 = 0
    /// After so long an unused lease goes back, and a used one to the gateway whose clients alone use it.
    package var leaseUnused: UInt64 = 30_000_000_000
    /// How long clients work while faults happen, in nanoseconds.
    package var duration: UInt64 = 15_000_000_000
    /// Between a client's requests at most.
    package var thinkTime: UInt64 = 60_000_000
    /// Between orders of the administrator at most.
    package var administrationTime: UInt64 = 2_500_000_000
    /// Between faults at most.
    package var faultTime: UInt64 = 4_000_000_000
    /// Sheep with storage that there are at most; above ``nodes``, fresh ones join.
    package var largestNodes = 3
    /// Sheep without storage, clients' doors only.
    package var gateways = 0
    /// Of each sheep; fewer make runs of groups that are alike longer, and so the control state's work less.
    package var virtualNodes: UInt16 = 6
    /// Down for so long, a sheep is taken out, in nanoseconds.
    package var downOut: UInt64 = 300_000_000_000
    /// Sheep run with `--durability=always`.
    package var alwaysDurable = false
    /// Of each volume, at most.
    package var clients = 2
    package var controlLog = ControlLogKind.shared
    /// How quick a shared control log is.
    package var log = SimulatedLog.Tuning()
    /// How often each fault is drawn.
    package var weights: [(kind: FaultKind, weight: Int)] = []
    package var clocksDrift = false
    /// A client whose gateway is gone repeats its writes through another, once the log calls the former run down.
    package var clientsRepeat = false

    /// Kills, restarts, clean stops.
    package static let smoke = Profile(name: "smoke", weights: [(.kill, 4), (.killInCall, 2), (.stop, 2), (.reset, 2)])
    /// Everything that ends processes, stops them for a while or cuts their links, close together.
    package static let kills = Profile(
        name: "kills", duration: 40_000_000_000, faultTime: 3_000_000_000,
        weights: [(.kill, 5), (.killInCall, 3), (.killAll, 1), (.stop, 2), (.reset, 3), (.pause, 3)])
    /// Power cuts as well.
    package static let power = Profile(
        name: "power", duration: 30_000_000_000, faultTime: 4_000_000_000,
        weights: [(.kill, 2), (.killInCall, 2), (.killAll, 1), (.stop, 1), (.powerCut, 4), (.powerCutAll, 2), (.release, 2)])

    /// One disk after the other rots, loses writes, fails or fills up; kills between and beside it.
    package static let disks = Profile(
        name: "disks", leastCopies: 3, scrubPeriod: 20_000_000_000, duration: 40_000_000_000, faultTime: 2_500_000_000,
        weights: [
            (.bitRot, 4), (.loseFiles, 2), (.lostWrites, 3), (.misdirectedWrites, 3), (.readErrors, 3), (.diskFails, 3),
            (.diskFull, 3), (.allFull, 2), (.slowDisk, 2), (.slowReads, 2), (.garble, 2), (.kill, 5), (.stop, 1), (.reset, 2),
        ])

    /// Links that are cut, in one direction or both, slow or broken again and again, while processes die and stand still.
    package static let network = Profile(
        name: "network", duration: 40_000_000_000, faultTime: 3_000_000_000,
        weights: [
            (.partition, 5), (.cutLink, 3), (.oneWay, 4), (.slowLink, 3), (.brittleLink, 2), (.lostReply, 3), (.reset, 2),
            (.kill, 3), (.killAll, 1), (.stop, 1), (.pause, 3),
        ], clientsRepeat: true)
    /// The same, on machines whose steady clocks are up to 5 % off and whose wall clocks jump by up to a year.
    package static let clocks = Profile(
        name: "clocks", duration: 30_000_000_000, faultTime: 3_000_000_000,
        weights: [
            (.clockJump, 4), (.partition, 3), (.oneWay, 2), (.slowLink, 1), (.lostReply, 1), (.kill, 3), (.stop, 1), (.pause, 5),
        ], clocksDrift: true, clientsRepeat: true)

    /// Sheep that join, are removed, are dead for longer than `--down-out`, come back empty; kills in the middle of all that.
    package static let members = Profile(
        name: "members", nodes: 4, duration: 30_000_000_000, faultTime: 2_500_000_000, largestNodes: 7, gateways: 1, downOut: 4_000_000_000, log: slowLog,
        weights: [
            (.join, 4), (.remove, 3), (.removeDead, 2), (.longDeath, 3), (.wipe, 3), (.kill, 4), (.killInCall, 2), (.stop, 2), (.reset, 1),
            (.killAll, 1), (.pause, 1),
        ])
    /// Every acknowledgement is durable, leases move between gateways under load, the power fails.
    package static let durable = Profile(
        name: "durable", duration: 25_000_000_000, thinkTime: 40_000_000, faultTime: 2_000_000_000, alwaysDurable: true,
        clients: 3,
        weights: [(.release, 8), (.kill, 2), (.killInCall, 1), (.killAll, 1), (.stop, 1), (.reset, 1), (.powerCut, 3), (.powerCutAll, 3)])

    /// Volumes' leases are handed from sheep to sheep under load, by order and after their clients, while processes die, stand still and cannot hear each other.
    package static let moves = Profile(
        name: "moves", leaseUnused: 1_500_000_000, duration: 25_000_000_000, thinkTime: 40_000_000, faultTime: 1_000_000_000, gateways: 1, clients: 3,
        weights: [
            (.handOver, 16), (.release, 2), (.kill, 3), (.killInCall, 2), (.killAll, 1), (.stop, 1), (.reset, 2), (.pause, 2), (.cutLink, 1),
            (.oneWay, 1), (.slowLink, 2), (.lostReply, 2), (.powerCut, 1),
        ], clientsRepeat: true)

    /// Two sheep with storage and one without, which keep the control log among themselves: any two of them decide. Machines and links
    /// fail at once, so that the log loses its majority and its leaders, too.
    package static let witness = Profile(
        name: "witness", nodes: 2, copies: 2, duration: 40_000_000_000, faultTime: 4_000_000_000, largestNodes: 2, gateways: 1,
        controlLog: .voted,
        weights: [
            (.kill, 4), (.killInCall, 2), (.killAll, 1), (.stop, 2), (.reset, 2), (.pause, 3), (.partition, 4), (.cutLink, 3), (.oneWay, 3), (.slowLink, 3),
            (.brittleLink, 1), (.lostReply, 1), (.powerCut, 3), (.powerCutAll, 1), (.release, 1),
        ], clocksDrift: true, clientsRepeat: true)

    /// Sheep learn of entries at very different moments.
    private static let slowLog: SimulatedLog.Tuning = {
        var tuning = SimulatedLog.Tuning()
        tuning.sync = 100_000...20_000_000
        tuning.notice = 10_000...150_000_000
        return tuning
    }()

    /// Sheep learn of each other's entries in a shared control log so long after they were made, in nanoseconds.
    package mutating func learnOfEntries(after delay: UInt64) { log.notice = delay...delay }

    package static let all = [smoke, kills, power, members, durable, disks, network, clocks, witness, moves]
}

package enum ControlLogKind: Sendable {
    /// A file that all sheep see, as with the engine `local`.
    case shared
    /// Each sheep has a copy, also one without storage, and a majority of them decides.
    case voted
}

package enum FaultKind: String, CaseIterable, Sendable {
    /// Between two calls of the disk or in one: killInCall.
    case kill, killInCall, killAll, stop, reset, pause, powerCut, powerCutAll
    case bitRot, loseFiles, lostWrites, misdirectedWrites, readErrors, diskFails, diskFull, allFull, slowDisk, slowReads, garble
    case partition, cutLink, oneWay, slowLink, brittleLink, lostReply, clockJump
    /// A fresh sheep joins; a running one, or a dead one, is removed; one is dead for longer than `--down-out`; one loses its
    /// store and comes back as another; one gives all its leases back; one becomes the owner of a volume by order.
    case join, remove, removeDead, longDeath, wipe, release, handOver
}

/// What happened in a run.
package struct Counters: Sendable {
    package var faults: [FaultKind: Int] = [:]
    package var requests = 0
    /// Of these, reads of files that a sheep vouched for.
    package var shortCircuitReads = 0
    package var failedRequests = 0
    package var orders = 0
    package var events: UInt64 = 0
    package var nanoseconds: UInt64 = 0

    package init() {}

    package mutating func add(_ other: Counters) {
        faults.merge(other.faults) { $0 + $1 }
        requests += other.requests
        shortCircuitReads += other.shortCircuitReads
        failedRequests += other.failedRequests
        orders += other.orders
        events += other.events
        nanoseconds += other.nanoseconds
    }
}
