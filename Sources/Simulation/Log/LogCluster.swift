import ObjectModel
import Viewstamped

/// The profile `log`: nodes with the control log's decider alone, everything that may go wrong around them, and the checks.
package final class LogCluster {
    package let world: World
    package let planted: PlantedLogFault?
    private(set) var machines: [LogMachine] = []
    private(set) var network: LogNetwork!
    private(set) var checker: LogChecker!
    package var counters = LogCounters()

    // Drawn once a run, so that runs differ in kind.
    let snapshotAfter: Int
    let thinkTime: UInt64
    private let duration: UInt64
    private let faultTime: UInt64
    private let crashRate: Double
    /// A tick of the nodes' clocks, which differ by a twentieth; how late the group service is at most; how long a node is down.
    let tick: UInt64
    private let membershipDelay: UInt64
    private let downTime: UInt64
    private let wrongMembershipRate: Double
    /// Machines by their place in memberships.
    private var order: [Int] = []

    private var faultsAreActive = true
    private var faultsEndedAt: UInt64 = 0
    private var nextRequest: UInt64 = 1
    /// Requests whose proposer died: another proposes them.
    private var orphans: [UInt64] = []
    private var wantedChange: VoterChange?
    /// Nodes whose stores are lost.
    private var lost: Set<NodeID> = []
    private var nextIdentity: UInt64 = 1
    /// Those that stay away at the end.
    private var absent: Set<Int> = []

    package init(seed: UInt64, planted: PlantedLogFault? = nil) {
        world = World(seed: seed)
        self.planted = planted
        let world = world
        snapshotAfter = world.pick([2, 5, 20, 1000])!
        thinkTime = world.pick([10_000_000, 40_000_000, 150_000_000, 600_000_000])!
        duration = world.draw(3_000_000_000...12_000_000_000)
        faultTime = world.pick([80_000_000, 200_000_000, 600_000_000, 1_500_000_000])!
        tick = world.pick([15_000_000, 40_000_000, 100_000_000])!
        membershipDelay = world.pick([10_000_000, 60_000_000, 300_000_000])!
        downTime = world.pick([50_000_000, 300_000_000, 1_500_000_000])!
        crashRate = world.pick([0, 0.001, 0.004])!
        wrongMembershipRate = world.pick([0, 0.1, 0.3])!
        let founders = world.pick([1, 2, 3, 3, 3, 4, 5])!
        let others = world.below(3)
        let log = LogID(high: seed, low: 1)
        let identities = (0..<founders + others).map { _ in newIdentity() }
        let voters = Array(identities.prefix(founders))
        checker = LogChecker(world: world, voters: voters.sorted())
        network = LogNetwork(cluster: self)
        for (address, identity) in identities.enumerated() {
            let stored = address < founders ? StoredLog(founding: log, voters: voters) : StoredLog()
            place(LogStore(identity: identity, log: stored, planted: planted), at: address)
        }
        order = machines.indices.shuffled(using: &world.random)
        network.lossRate = world.pick([0, 0.02, 0.15])!
        network.repeatRate = world.pick([0, 0.02, 0.1])!
        network.lateRate = world.pick([0, 0.02, 0.1])!
    }

    private func newIdentity() -> NodeID {
        defer { nextIdentity += 1 }
        // Their order is not that of the addresses.
        return NodeID(high: world.random.next(), low: nextIdentity)
    }

    private func place(_ store: LogStore, at address: Int) {
        if address < machines.count { machines[address].store = store } else { machines.append(LogMachine(address: address, store: store)) }
        network.addresses[store.identity] = address
        checker.stores[store.identity] = store
    }

    func count(_ kind: LogFaultKind) { counters.faults[kind, default: 0] += 1 }

    // MARK: A whole run

    package func run() {
        for machine in machines { start(machine, after: world.draw(0...300_000_000)) }
        injectLater()
        administerLater()
        _ = world.run(until: world.now + duration)
        guard world.failures.isEmpty else { return finish() }
        endFaults()
        waitForProgress()
        finish()
    }

    private func finish() {
        counters.entries = checker.end
        counters.voterChanges = checker.entries.count { if case .voters = $0 { true } else { false } }
        counters.views = checker.viewsOpened.count
        counters.events = world.events
        counters.nanoseconds = world.now
        world.forgetEvents()
    }

    // MARK: Processes

    private func start(_ machine: LogMachine, after delay: UInt64) {
        world.schedule(after: delay) { [self] in
            guard machine.running == nil, !absent.contains(machine.address) else { return }
            let process = LogProcess(machine: machine, store: machine.store, cluster: self)
            machine.process = process
            process.start()
            announce()
        }
    }

    func crashesNow() -> Bool { faultsAreActive && world.chance(crashRate) }

    func crash(_ machine: LogMachine, wiping: Bool = false) {
        guard let process = machine.running else { return }
        world.log(process.name, wiping ? "loses its store" : "crashes")
        process.end()
        machine.store.crash { world.below($0 + 1) }
        if let request = process.wanted?.request, !checker.singleRequests.contains(request) { orphans.append(request) }
        if wiping {
            let isOldVoter = planted == .wipedVoterCounted
            if !isOldVoter { lost.insert(machine.store.identity) }
            let identity = isOldVoter ? machine.store.identity : newIdentity()
            place(LogStore(identity: identity, log: StoredLog(), planted: planted), at: machine.address)
        }
        announce()
        if faultsAreActive { start(machine, after: world.draw(1_000_000...downTime)) }
    }

    // MARK: The group service

    /// Everybody who runs is told, some time, who is there.
    private func announce() {
        for machine in machines { announceLater(to: machine, after: world.draw(1_000_000...membershipDelay)) }
    }

    private func announceLater(to machine: LogMachine, after delay: UInt64) {
        guard let process = machine.running else { return }
        process.later(delay) { [self] in
            var members = membership(of: machine)
            if faultsAreActive, world.chance(wrongMembershipRate) {
                count(.wrongMembership)
                if world.chance(0.5), let dead = machines.filter({ $0.running == nil }).first { members.append(dead.store.identity) }
                if world.chance(0.5), let victim = world.pick(members), victim != process.store.identity {
                    members.removeAll { $0 == victim }
                }
                announceLater(to: machine, after: world.draw(50_000_000...800_000_000))
            }
            if planted == .majorityOfThePresent {
                members += process.decider.stored.voters.settled.filter { !members.contains($0) }
            }
            process.run { $0.groupChanged(to: members) }
        }
    }

    private func membership(of machine: LogMachine) -> [NodeID] {
        order.map { machines[$0] }.filter { other in
            other.running != nil && network.passes(machine.address, other.address) && network.passes(other.address, machine.address)
        }.map(\.store.identity)
    }

    func reaches(_ process: LogProcess, _ node: NodeID) -> Bool { membership(of: process.machine).contains(node) }

    // MARK: Requests and voters

    func nextEntry(for process: LogProcess) -> LogEntry? {
        guard process.decider.stored.log != nil else { return nil }
        if let change = wantedChange {
            wantedChange = nil
            return .voters(change)
        }
        if !orphans.isEmpty {
            count(.repeatedRequest)
            return LogEntry(request: orphans.removeFirst())
        }
        let request = nextRequest
        nextRequest += 1
        if world.chance(0.2) { orphans.append(request) } else if world.chance(0.5) { checker.singleRequests.insert(request) }
        return LogEntry(request: request)
    }

    private func administerLater() {
        world.schedule(after: world.draw(200_000_000...2_000_000_000)) { [self] in
            guard faultsAreActive else { return }
            wantedChange = nextChange()
            administerLater()
        }
    }

    /// Changes after which a majority of the voters has stores still; lost voters first.
    private func nextChange() -> VoterChange? {
        let voters = checker.voters
        if let gone = voters.first(where: { lost.contains($0) }), world.chance(0.7) { return .remove(gone) }
        let others = machines.map(\.store.identity).filter { !voters.contains($0) }
        if let new = world.pick(others), world.chance(0.5) { return .add(new) }
        guard let removed = world.pick(voters) else { return nil }
        let rest = voters.filter { $0 != removed }
        return hasStores(rest) ? .remove(removed) : nil
    }

    private func hasStores(_ voters: [NodeID], without node: NodeID? = nil) -> Bool {
        voters.count { !lost.contains($0) && $0 != node } > voters.count / 2
    }

    // MARK: Faults

    private func injectLater() {
        world.schedule(after: world.draw(10_000_000...faultTime)) { [self] in
            guard faultsAreActive else { return }
            inject()
            injectLater()
        }
    }

    private func inject() {
        let victim = world.pick(machines)!
        let other = world.pick(machines)!
        let kind = world.pick([.crash, .crash, .crash, .crashAll, .wipe, .oneWayCut, .cut, .partition, .partition, .heal, .heal, .diskStall, .pause, .leaderCrash, .leaderCut, .leaderCut] as [LogFaultKind])!
        let leader = world.pick(machines.filter { $0.running?.decider.isLeading ?? false }) ?? victim
        if kind == .wipe, !mayLose(victim.store.identity) { return }
        count(kind)
        world.log("FAULT", "\(kind) node\(victim.address) node\(other.address)")
        switch kind {
        case .crash: crash(victim)
        case .crashAll: for machine in machines { crash(machine) }
        case .wipe: crash(victim, wiping: true)
        case .oneWayCut: cut([(victim.address, other.address)])
        case .cut: cut([(victim.address, other.address), (other.address, victim.address)])
        case .partition:
            let side = Set(machines.indices.filter { _ in world.chance(0.5) })
            let pairs = machines.indices.flatMap { from in machines.indices.map { (from, $0) } }
            let isOneWay = world.chance(0.3)
            cut(pairs.filter { side.contains($0) && !side.contains($1) || !isOneWay && side.contains($1) && !side.contains($0) })
        case .leaderCrash: crash(leader)
        case .leaderCut:
            let (outward, inward) = world.pick([(true, false), (false, true), (true, true), (true, true)])!
            let rest = machines.indices.filter { $0 != leader.address && world.chance(0.8) }
            cut((outward ? rest.map { (leader.address, $0) } : []) + (inward ? rest.map { ($0, leader.address) } : []))
        case .heal:
            network.healAll()
            announce()
        case .diskStall: stall(world.chance(0.5) ? victim : leader)
        case .pause: victim.running?.pausedUntil = world.now + world.draw(10_000_000...2_000_000_000)
        case .crashBetweenOrders, .wrongMembership, .lostMessage, .repeatedMessage, .lateMessage, .repeatedRequest: break
        }
    }

    /// The disk confirms nothing, and as often as not the process ends before it does.
    private func stall(_ machine: LogMachine) {
        guard let process = machine.running else { return }
        let duration = world.draw(10_000_000...1_000_000_000)
        process.stallDisk(for: duration)
        if world.chance(0.5) {
            process.later(world.draw(1...duration)) { [self] in if faultsAreActive { crash(machine) } }
        }
    }

    private func cut(_ directions: [(Int, Int)]) {
        for (from, to) in directions { network.cut(from, to) }
        announce()
        world.schedule(after: world.draw(50_000_000...2_000_000_000)) { [self] in
            for (from, to) in directions { network.mend(from, to) }
            announce()
        }
    }

    /// Whether a majority has its stores still, whatever change of the voters is under way.
    private func mayLose(_ node: NodeID) -> Bool {
        guard machines.contains(where: { $0.running != nil && $0.store.identity == node }) else { return false }
        if planted == .wipedVoterCounted { return true }
        let known = [checker.voters] + machines.flatMap { machine -> [[NodeID]] in
            let voters = (machine.running?.decider.stored ?? machine.store.durable).voters
            return [voters.settled] + (voters.proposed.map { [$0] } ?? [])
        }
        let isChanging = wantedChange != nil || machines.contains { if case .voters = $0.running?.wanted { true } else { false } }
        return !isChanging && known.allSatisfy { $0.isEmpty || hasStores($0, without: node) }
    }

    // MARK: The quiet end

    /// All is well again; in every second run but for a minority, which stays away.
    private func endFaults() {
        faultsAreActive = false
        wantedChange = nil
        faultsEndedAt = world.now
        (network.lossRate, network.repeatRate, network.lateRate) = (0, 0, 0)
        network.healAll()
        world.log("FAULT", "no more faults")
        if world.chance(0.5) { chooseAbsent() }
        for machine in machines {
            machine.running?.pausedUntil = 0
            if absent.contains(machine.address) {
                crash(machine)
            } else if machine.running == nil {
                start(machine, after: world.draw(0...100_000_000))
            }
        }
        announce()
    }

    private func chooseAbsent() {
        for machine in machines.shuffled(using: &world.random) {
            absent.insert(machine.address)
            if !hasMajority { absent.remove(machine.address) }
        }
    }

    /// Whether the voters that are there at the end are enough, by whatever any of the logs says.
    private var hasMajority: Bool {
        let present = Set(machines.filter { !absent.contains($0.address) }.map(\.store.identity))
        let logs = machines.map { $0.running?.decider.stored ?? $0.store.durable }.filter { $0.log != nil }
        // Changes that are still wanted may come to be; two of them, seldom enough, to be counted as one.
        for case .voters(let change) in machines.compactMap({ $0.running?.wanted }) {
            guard Voters(settled: LogChecker.voters(checker.voters, after: change)).isMajority({ present.contains($0) }) else { return false }
        }
        return Voters(settled: checker.voters).isMajority { present.contains($0) }
            && logs.allSatisfy { $0.last.rawValue < UInt64(checker.end) || $0.voters.isMajority { present.contains($0) } }
    }

    private func waitForProgress() {
        guard hasMajority else {
            counters.withoutMajority += 1
            _ = world.run(until: world.now + 3_000_000_000)
            return
        }
        let known = checker.end
        let limit: UInt64 = 20_000_000_000
        let done = world.run(until: world.now + limit) {
            guard checker.end >= known + 5, world.failures.isEmpty else { return !world.failures.isEmpty }
            return machines.allSatisfy { machine in
                absent.contains(machine.address) || Int(machine.running?.decider.delivered.rawValue ?? 0) >= known + 5
            }
        }
        counters.slowestEnd = world.now - faultsEndedAt
        guard !done else { return }
        let states = machines.map { machine in
            guard let log = machine.running?.decider else { return "node\(machine.address) is away" }
            return "node\(machine.address) delivered \(log.delivered) of \(log.stored.last), \(log.standing)"
        }
        world.fail("no progress in 20 s after the faults: \(checker.end - known) entries; \(states.joined(separator: "; "))")
    }
}
