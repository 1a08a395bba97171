import Cluster
import Gateway
import ObjectModel
import SheepProtocol

/// Sheep that come, go, and come back late, empty or not at all.
extension SimulatedCluster {
    private static var secondNanoseconds: UInt64 { 1_000_000_000 }
    /// With fewer zones than this nobody is removed: three copies go on to have three places.
    private static var fewestMembers: Int { 3 }

    func changeMembers(_ kind: FaultKind, _ victim: SimulatedSheep) {
        switch kind {
        case .join:
            guard members.count < profile.largestNodes else { return }
            // Now and then two share a zone.
            let zone = world.chance(0.2) ? world.pick(storing)?.options.zone : nil
            startLater(addSheep(zone: zone), after: world.draw(1_000_000...500_000_000))
        case .remove:
            guard !victim.options.isGateway, mayLose(victim) else { return }
            nodeOperator.remove(victim.identity)
            // Some are stopped too early, and are members again when they come back.
            if world.chance(0.4) {
                world.schedule(after: world.draw(1_000_000...6_000_000_000)) { [self] in
                    guard faultsAreActive else { return }
                    world.log("FAULT", "\(victim.name), which was removed, dies")
                    victim.kill()
                    startLater(victim)
                }
            }
        case .removeDead:
            guard !victim.options.isGateway, mayLose(victim) else { return }
            victim.kill()
            startLater(victim, after: world.draw(1 * Self.secondNanoseconds...9 * Self.secondNanoseconds))
            world.schedule(after: world.draw(100_000_000...2_000_000_000)) { [self] in nodeOperator.remove(victim.identity) }
        case .longDeath:
            victim.kill()
            let least = profile.downOut + Self.secondNanoseconds
            startLater(victim, after: world.draw(least...least + 6 * Self.secondNanoseconds))
        case .wipe:
            guard !victim.options.isGateway, mayLose(victim) else { return }
            victim.kill()
            loseStore(of: victim, until: world.now + 6 * Self.secondNanoseconds)
        case .release:
            guard let node = victim.serving else { return }
            node.releaseAll { [world] in world.log(victim.name, "has given its leases back") }
        case .handOver:
            guard let volume = world.pick(volumes.filter { !$0.isGone }), let use = GatewayUse(world.pick(sheep)!, world: world) else { return }
            use.administer(.volumeHandOver(VolumeHandOver(name: volume.name, owner: victim.identity))) { [world] result in
                use.close()
                world.log(victim.name, "is to be the owner of \(volume.name): \(result)")
            }
        default: preconditionFailure("\(kind) is no fault of members")
        }
    }

    /// The state of the sheep that knows most.
    var latestState: ControlState? {
        sheep.compactMap { $0.serving?.control.state }.max { $0.appliedIndex < $1.appliedIndex }
    }

    /// Sheep with storage that are, or will be, members.
    private var members: [SimulatedSheep] {
        guard let state = latestState else { return storing }
        return storing.filter { state.nodes[$0.identity].map { !$0.isRemoved } ?? true }
    }

    /// Without it there are members enough, in zones enough.
    private func mayLose(_ victim: SimulatedSheep) -> Bool {
        let others = members.filter { $0 !== victim }
        return Set(others.map(\.options.zone)).count >= Self.fewestMembers
    }

    /// Takes the store away as soon as nobody needs it: the log calls the sheep down, and every group has an in-sync member.
    /// From then on its copies are out of date, so no other loss can make them the last ones.
    private func loseStore(of victim: SimulatedSheep, until end: UInt64) {
        world.schedule(after: 50_000_000) { [self] in
            guard faultsAreActive, !victim.isRunning, !lostIdentities.contains(victim.identity) else { return }
            guard let state = latestState, state.nodes[victim.identity]?.isUp == false, !state.closedGroups.hasAny else {
                if world.now < end { return loseStore(of: victim, until: end) }
                return victim.start()
            }
            sheep.removeAll { $0 === victim }
            lostIdentities.append(victim.identity)
            let heir = addSheep(zone: victim.options.zone, address: victim.options.address)
            world.log("FAULT", "\(victim.name) lost its store and comes back as \(heir.name)")
            startLater(heir)
            // The operator notices, sooner or later; or the cluster takes it out by itself.
            world.schedule(after: world.draw(100_000_000...8_000_000_000)) { [self] in
                nodeOperator.remove(victim.identity, givesUp: true)
            }
        }
    }
}
