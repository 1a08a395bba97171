import Cluster
import Gateway
package import LocalEngine
import ObjectModel
import SheepProtocol

/// Sheep, their log and network, clients and faults, from the format to the quiet end.
package final class SimulatedCluster {
    package let world: World
    let profile: Profile
    package let switchboard: Switchboard
    package let log: SimulatedLog
    private(set) var sheep: [SimulatedSheep] = []
    var volumes: [VolumeModel] = []
    private(set) var clients: [BlockClient] = []
    private var administrator: Administrator!
    package var counters = Counters()
    var clientsAreActive = true
    private(set) var faultsAreActive = true
    private var faultsEndedAt: UInt64?
    private var stamps: UInt64 = 0

    package init(seed: UInt64, profile: Profile) {
        world = World(seed: seed)
        self.profile = profile
        switchboard = Switchboard(world: world)
        log = SimulatedLog(seed: world.random.next())
        for number in 1...profile.nodes {
            var options = NodeOptions(address: NodeAddress(host: "10.0.0.\(number)", port: 7000))
            options.zone = UInt32(number)
            let clock = profile.clocksDrift ? MachineClock(rate: world.draw(950_000...1_050_000)) : MachineClock()
            sheep.append(SimulatedSheep(number: number, world: world, log: log, switchboard: switchboard, options: options, clock: clock))
        }
        administrator = Administrator(cluster: self)
    }

    func nextStamp() -> UInt64 {
        stamps += 1
        return stamps
    }

    func addClient(_ name: String, of volume: VolumeModel) {
        clients.append(BlockClient(name: name, volume: volume, cluster: self))
    }

    // MARK: A whole run

    /// Everything, in order; what went wrong is in ``World/failures``.
    package func run() {
        format()
        guard world.failures.isEmpty else { return }
        administrator.begin()
        injectLater()
        _ = world.run(until: world.now + profile.duration)
        endFaults()
        _ = world.run(until: world.now + 3_000_000_000)
        clientsAreActive = false
        waitUntilQuiet()
        if world.failures.isEmpty { QuietChecks(cluster: self).run() }
        counters.events = world.events
        counters.nanoseconds = world.now
    }

    private func format() {
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

    private func injectLater() {
        world.schedule(after: world.draw(100_000_000...profile.faultTime)) { [self] in
            guard faultsAreActive else { return }
            inject()
            injectLater()
        }
    }

    private func inject() {
        var ticket = world.below(profile.weights.reduce(0) { $0 + $1.weight })
        let kind = profile.weights.first {
            ticket -= $0.weight
            return ticket < 0
        }!.kind
        let victim = world.pick(sheep)!
        counters.faults[kind, default: 0] += 1
        world.log("FAULT", "\(kind) \(victim.name)")
        switch kind {
        case .kill:
            victim.kill()
            startLater(victim)
        case .killAll:
            for one in sheep {
                world.schedule(after: world.draw(0...3_000_000)) { [self] in
                    one.kill()
                    startLater(one)
                }
            }
        case .stop:
            victim.stop()
            startLater(victim)
        case .reset: switchboard.reset(from: victim.identity, to: world.pick(sheep)!.identity)
        case .pause: victim.pause(for: world.draw(10_000_000...profile.longestPause), bySignal: world.chance(0.5))
        case .partition, .cutLink, .oneWay, .slowLink, .brittleLink, .lostReply: troubleNetwork(kind, victim)
        case .clockJump: jumpClock(of: victim)
        case .powerCut: cutPower([victim])
        case .powerCutAll: cutPower(sheep)
        }
    }

    private func startLater(_ victim: SimulatedSheep) {
        world.schedule(after: world.draw(1_000_000...6_000_000_000)) { [self] in
            // One that is still stopping starts when it has ended.
            if victim.isRunning, victim.process?.isStopping ?? false { return startLater(victim) }
            victim.start()
        }
    }

    private func cutPower(_ victims: [SimulatedSheep]) {
        let survivors = sheep.filter { one in
            !victims.contains { $0 === one }
                && sheep.compactMap(\.node).allSatisfy { $0.control.state.isInSync(one.diskIdentity) }
                && one.serving != nil
        }
        for volume in volumes where sheep.count - survivors.count >= Int(volume.copies) { volume.lostPower() }
        if victims.count == sheep.count { log.powerCut() }
        for victim in victims {
            victim.cutPower()
            startLater(victim)
        }
    }

    private func endFaults() {
        faultsAreActive = false
        faultsEndedAt = world.now
        switchboard.healAll()
        world.log("FAULT", "no more faults")
        for one in sheep where !one.isRunning { one.start() }
    }

    /// Once faults have stopped for long, nothing may fail.
    func requestFailed(_ client: BlockClient, _ error: SheepError) {
        guard let faultsEndedAt, world.now > faultsEndedAt + 45_000_000_000 else { return }
        world.fail("\(client.name) of \(client.volume.name): \(error), long after the last fault")
    }

    // MARK: The quiet end

    private func waitUntilQuiet() {
        let limit = world.now + 90_000_000_000
        let quiet = world.run(until: limit) {
            for client in clients { client.leaveWhenIdle() }
            return clients.allSatisfy(\.isIdle) && administrator.isIdle && sheep.allSatisfy(isComplete)
        }
        guard quiet else { return world.fail("no progress after the faults: \(unrest)") }
        // Leases and intents come to rest, garbage is collected.
        _ = world.run(until: world.now + 10_000_000_000)
    }

    private func isComplete(_ one: SimulatedSheep) -> Bool {
        guard let node = one.serving else { return false }
        let state = node.control.state
        return sheep.allSatisfy { state.isInSync($0.diskIdentity) } && node.recovery.isIdle && !state.closedGroups.hasAny
    }

    private var unrest: String {
        let busy = clients.filter { !$0.isIdle }.map { "\($0.name) waits since \(World.seconds($0.oldestCall ?? 0))" }
        let incomplete = sheep.compactMap { one -> String? in
            guard let node = one.serving else { return "\(one.name) does not serve" }
            let state = node.control.state
            let out = sheep.filter { !state.isInSync($0.diskIdentity) }.map(\.name)
            if out.isEmpty, node.recovery.isIdle, !state.closedGroups.hasAny { return nil }
            return "\(one.name) at entry \(state.appliedIndex): out of sync \(out), recovery \(node.recovery.isIdle ? "idle" : "\(node.recovery.progress)"), closed \(state.closedGroups.hasAny)"
        }
        return (busy + (administrator.isIdle ? [] : ["the administrator waits"]) + incomplete).joined(separator: "; ")
    }
}
