import Cluster
import Gateway
import LocalEngine
import ObjectModel
import ObjectStore
import SheepProtocol

/// Sheep, their log and network, clients and faults, from the format to the quiet end.
package final class SimulatedCluster {
    package let world: World
    let profile: Profile
    package let switchboard: Switchboard
    let log: any ControlLog
    /// Those that are to run when all is quiet.
    var sheep: [SimulatedSheep] = []
    /// Sheep whose stores are lost: nobody comes back under these identities.
    var lostIdentities: [NodeID] = []
    private var sheepMade = 0
    var volumes: [VolumeModel] = []
    private(set) var clients: [BlockClient] = []
    private var clientsMade = 0
    private var administrator: Administrator!
    private var trouble: DiskTrouble!
    private(set) var nodeOperator: NodeOperator!
    private let seed: UInt64
    private let restriction: Restriction
    /// What was injected, ordered and begun, by number.
    package private(set) var happenings = Happenings()
    package var counters = Counters()
    var clientsAreActive = true
    private(set) var faultsAreActive = true
    private var faultsEndedAt: UInt64?
    private var stamps: UInt64 = 0
    /// One seed in sixteen has the ring that a real cluster has, and takes that much longer.
    private var hasFullRing: Bool { seed % 16 == 0 }

    package init(seed: UInt64, profile: Profile, restriction: Restriction = Restriction()) {
        world = World(seed: seed ^ (restriction.variation << 48))
        (self.seed, self.profile, self.restriction) = (seed, profile, restriction)
        switchboard = Switchboard(world: world)
        // On a slow network much more is under way when something goes wrong.
        switchboard.delay = 20_000...world.pick([200_000, 3_000_000, 15_000_000])!
        log = switch profile.controlLog {
        case .shared: SimulatedLog(seed: world.random.next(), tuning: profile.log)
        case .voted: VotingGroup(switchboard: switchboard)
        }
        for _ in 1...profile.nodes { addSheep() }
        for _ in 0..<profile.gateways { addSheep(isGateway: true) }
        log.found(by: sheep.map(\.identity))
        administrator = Administrator(cluster: self)
        nodeOperator = NodeOperator(cluster: self)
        trouble = DiskTrouble(cluster: self)
    }

    /// One more sheep that nobody knows yet, in a zone of its own if none is given; it does not run yet.
    @discardableResult
    func addSheep(zone: UInt32? = nil, address: NodeAddress? = nil, isGateway: Bool = false) -> SimulatedSheep {
        sheepMade += 1
        var options = NodeOptions(address: address ?? NodeAddress(host: "10.0.0.\(sheepMade)", port: 7000))
        options.zone = zone ?? UInt32(sheepMade)
        options.virtualNodes = isGateway ? 0 : hasFullRing ? nil : profile.virtualNodes
        (options.downOut, options.alwaysDurable) = (profile.downOut, profile.alwaysDurable)
        options.scrubPeriod = profile.scrubPeriod
        options.leaseUnused = profile.leaseUnused
        let clock = profile.clocksDrift ? MachineClock(rate: world.draw(950_000...1_050_000)) : MachineClock()
        let one = SimulatedSheep(number: sheepMade, world: world, log: log, switchboard: switchboard, options: options, clock: clock)
        sheep.append(one)
        return one
    }

    func nextStamp() -> UInt64 {
        stamps += 1
        return stamps
    }

    func addClient(_ name: String, of volume: VolumeModel) {
        clientsMade += 1
        guard !restriction.clients.contains(clientsMade) else { return }
        happenings.clients.append((clientsMade, name))
        clients.append(BlockClient(name: name, volume: volume, cluster: self))
    }

    /// Runs `body` with randomness of its own, so that the fault or order of this number is the same whatever else happens.
    func numbered(_ stream: UInt64, _ number: Int, _ body: () -> Void) {
        let common = world.random
        world.random = SeededGenerator(seed: (seed &* 0x9E37_79B9_7F4A_7C15) ^ (stream << 32) ^ UInt64(number))
        body()
        world.random = common
    }

    /// The administrator's order of this number is given.
    func mayOrder(_ number: Int) -> Bool { !restriction.orders.contains(number) }
    /// The one without a number makes the first volume, and always does.
    func noteOrder(_ number: Int, _ text: String) { if number > 0 { happenings.orders.append((number, world.now, text)) } }

    // MARK: A whole run

    /// Everything, in order; what went wrong is in ``World/failures``.
    package func run() {
        defer { forget() }
        format()
        guard world.failures.isEmpty else { return }
        administrator.begin()
        injectLater()
        happenings.workBegan = world.now
        _ = world.run(until: world.now + (restriction.duration ?? profile.duration))
        if !restriction.faults.contains(Self.lastFault) { endInWrites() }
        endFaults()
        _ = world.run(until: world.now + 3_000_000_000)
        clientsAreActive = false
        waitUntilQuiet()
        if world.failures.isEmpty { QuietChecks(cluster: self).run() }
        counters.events = world.events
        counters.nanoseconds = world.now
    }

    /// The run is over. Events, clients and sheep refer to the cluster, which refers to them.
    func forget() {
        world.end()
        clientsAreActive = false
        for one in sheep { one.forget() }
        // Whoever waits for a sheep hears that it is gone.
        _ = world.run(until: world.now + 20_000_000)
        for volume in volumes { volume.forget() }
        switchboard.forget()
        world.forgetEvents()
        (sheep, clients, volumes) = ([], [], [])
        (administrator, nodeOperator, trouble) = (nil, nil, nil)
    }

    func format() {
        for sheep in sheep { world.schedule(after: world.draw(0...100_000_000)) { sheep.start() } }
        let joined = world.run(until: world.now + 10_000_000_000) {
            sheep.allSatisfy { one in
                guard let state = one.serving?.control.state else { return false }
                return sheep.allSatisfy { state.nodes[$0.identity]?.isUp ?? false }
            }
        }
        guard joined else { return world.fail("the sheep did not find each other") }
        var answer: Result<AdministrationReply, SheepError>?
        let order = ClusterFormat(copies: profile.copies, objectShift: profile.objectShift, flags: 0, force: false)
        GatewayUse(sheep[0], world: world)!.administer(.clusterFormat(order)) { answer = $0 }
        _ = world.run(until: world.now + 10_000_000_000) { answer != nil }
        guard case .success = answer else { return world.fail("the format failed: \(String(describing: answer))") }
        _ = world.run(until: world.now + 1_000_000_000)
    }

    // MARK: Faults

    private func injectLater(_ number: Int = 1) {
        var delay: UInt64 = 0
        numbered(1, number) { delay = world.draw(100_000_000...profile.faultTime) }
        world.schedule(after: delay) { [self] in
            guard faultsAreActive else { return }
            if !restriction.faults.contains(number) { numbered(2, number) { inject(number) } }
            injectLater(number + 1)
        }
    }

    private func inject(_ number: Int) {
        var ticket = world.below(profile.weights.reduce(0) { $0 + $1.weight })
        let kind = profile.weights.first {
            ticket -= $0.weight
            return ticket < 0
        }!.kind
        let victim = world.pick(sheep)!
        guard trouble.permits(kind, victim) else { return }
        counters.faults[kind, default: 0] += 1
        world.log("FAULT", "\(number): \(kind) \(victim.name)")
        happenings.faults.append((number, world.now, "\(kind) \(victim.name)"))
        switch kind {
        case .kill:
            victim.kill()
            startLater(victim)
        case .killInCall: killInCall(victim)
        case .killAll:
            for one in sheep {
                let inCall = world.chance(0.5)
                world.schedule(after: world.draw(0...3_000_000)) { [self] in
                    if inCall { return killInCall(one) }
                    one.kill()
                    startLater(one)
                }
            }
        case .stop:
            victim.stop()
            startLater(victim)
        case .reset: switchboard.reset(from: victim.identity, to: world.pick(sheep)!.identity)
        case .partition, .cutLink, .oneWay, .slowLink, .brittleLink, .lostReply: troubleNetwork(kind, victim)
        case .clockJump: jumpClock(of: victim)
        case .powerCut: cutPower([victim])
        case .powerCutAll: cutPower(sheep)
        case .bitRot, .loseFiles, .lostWrites, .misdirectedWrites, .readErrors, .diskFails, .diskFull, .allFull, .slowDisk, .slowReads,
            .garble:
            trouble.begin(kind, victim)
        // The longest are longer than the silence after which a sheep is called down without proof.
        case .pause:
            victim.pause(for: world.draw(10_000_000...(world.chance(0.4) ? 14_000_000_000 : 2_000_000_000)), bySignal: world.chance(0.5))
        case .join, .remove, .removeDead, .longDeath, .wipe, .release, .handOver: changeMembers(kind, victim)
        }
    }

    /// It dies in one of its next calls to its disk; if it makes none, in half a second.
    private func killInCall(_ victim: SimulatedSheep) {
        guard victim.isRunning, let process = victim.process else { return startLater(victim) }
        let delay = world.draw(1_000_000...6_000_000_000)
        victim.killInCall(after: world.below(world.chance(0.5) ? 4 : 40)) { [self] in startLater(victim, after: delay) }
        world.schedule(after: 500_000_000, in: process) { [self] in
            victim.kill()
            startLater(victim, after: delay)
        }
    }

    func startLater(_ victim: SimulatedSheep, after delay: UInt64? = nil) {
        world.schedule(after: delay ?? world.draw(1_000_000...6_000_000_000)) { [self] in
            // One that is still stopping starts when it has ended.
            if victim.isRunning, victim.process?.isStopping ?? false { return startLater(victim) }
            if sheep.contains(where: { $0 === victim }) { victim.start() }
        }
    }

    private func cutPower(_ victims: [SimulatedSheep]) {
        let survivors = storing.filter { one in
            !victims.contains { $0 === one }
                && sheep.compactMap(\.node).allSatisfy { $0.control.state.isInSync(one.diskIdentity) }
                && one.serving != nil
        }
        for volume in volumes where storing.count - survivors.count >= Int(volume.copies) { volume.lostPower() }
        if victims.count == sheep.count { log.powerFailed() }
        for victim in victims {
            victim.cutPower()
            startLater(victim)
        }
    }

    /// The number of the fault with which the others end.
    private static let lastFault = 0

    /// In every other run an owner dies in the middle of writes, and nobody writes after that: what a takeover leaves different
    /// on two members stays so until all is compared.
    private func endInWrites() {
        var (happens, cutsPower, after) = (false, false, UInt64(0))
        var volume: VolumeModel?
        numbered(2, Self.lastFault) {
            happens = world.chance(0.5)
            cutsPower = world.chance(0.5) && profile.weights.contains { $0.kind == .powerCut }
            after = world.draw(0...2 * switchboard.delay.upperBound)
            volume = world.pick(volumes.filter { !$0.isGone })
        }
        guard happens, let volume, let state = latestState, let birth = state.volume(named: volume.name)?.birth,
            let owner = state.owner(of: birth)?.owner, let victim = sheep.first(where: { $0.identity == owner }), victim.isRunning,
            trouble.permits(.kill, victim)
        else { return }
        for client in clients where client.volume === volume { client.writeMuch() }
        _ = world.run(until: world.now + after)
        clientsAreActive = false
        guard victim.isRunning else { return }
        counters.faults[cutsPower ? .powerCut : .kill, default: 0] += 1
        happenings.faults.append((Self.lastFault, world.now, "the last: \(victim.name), the owner of \(volume.name)"))
        world.log("FAULT", "the last: \(victim.name), the owner of \(volume.name)")
        if cutsPower { cutPower([victim]) } else { victim.kill() }
    }

    private func endFaults() {
        faultsAreActive = false
        faultsEndedAt = world.now
        switchboard.healAll()
        world.log("FAULT", "no more faults")
        for one in sheep where !one.isRunning { one.start() }
        for node in lostIdentities { nodeOperator.remove(node, givesUp: true) }
    }

    /// Once faults have stopped for long, nothing may fail.
    func requestFailed(_ client: BlockClient, _ error: SheepError) {
        guard let faultsEndedAt, world.now > faultsEndedAt + 45_000_000_000 else { return }
        world.fail("\(client.name) of \(client.volume.name): \(error), long after the last fault")
    }

    // MARK: The quiet end

    private func waitUntilQuiet() {
        let limit = world.now + 90_000_000_000
        while !isQuiet {
            guard world.failures.isEmpty else { return }
            guard world.now < limit else { return world.fail("no progress after the faults: \(unrest)") }
            _ = world.run(until: world.now + 20_000_000)
            for client in clients { client.leaveWhenIdle() }
        }
        // Leases and intents come to rest, garbage is collected.
        _ = world.run(until: world.now + 10_000_000_000)
    }

    private var isQuiet: Bool {
        clients.allSatisfy(\.isIdle) && administrator.isIdle && nodeOperator.isIdle && trouble.isOver && sheep.allSatisfy { isComplete($0) }
    }

    func isComplete(_ one: SimulatedSheep) -> Bool {
        guard let node = one.serving else { return false }
        return isComplete(node.control.state) && node.recovery.isIdle
    }

    /// Everybody is in sync where placed, and nothing is on its way to another place.
    private func isComplete(_ state: ControlState) -> Bool {
        storing.allSatisfy { state.isInSync($0.diskIdentity) } && !state.closedGroups.hasAny && !state.pendingPlacement
            && state.disks.values.allSatisfy { !$0.isHolding } && state.nodes.values.allSatisfy { $0.isUp || $0.isRemoved }
    }

    /// Those with disks.
    var storing: [SimulatedSheep] { sheep.filter { !$0.options.isGateway } }

    private var unrest: String {
        let busy = clients.filter { !$0.isIdle }.map { "\($0.name) waits since \(World.seconds($0.oldestCall ?? 0))" }
        let incomplete = sheep.compactMap { one -> String? in
            guard let node = one.serving else { return "\(one.name) does not serve" }
            let state = node.control.state
            if isComplete(one) { return nil }
            let out = storing.filter { !state.isInSync($0.diskIdentity) }.map(\.name)
            let holding = state.disks.values.filter(\.isHolding).map(\.node.high).sorted()
            let down = state.nodes.values.filter { !$0.isUp && !$0.isRemoved }.map(\.id.high).sorted()
            return "\(one.name) at entry \(state.appliedIndex): out of sync \(out), recovery \(node.recovery.isIdle ? "idle" : "\(node.recovery.progress)"), closed \(state.closedGroups.hasAny), placement pending \(state.pendingPlacement), holding \(holding), down \(down)"
        }
        return (busy + (administrator.isIdle ? [] : ["the administrator waits"]) + (trouble.isOver ? [] : ["a disk is not cured"]) + incomplete).joined(separator: "; ")
    }
}
