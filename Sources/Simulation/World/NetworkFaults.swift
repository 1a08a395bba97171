import ObjectModel

extension SimulatedCluster {
    /// Something is wrong with the links for a while.
    func troubleNetwork(_ kind: FaultKind, _ victim: SimulatedSheep) {
        let duration = world.draw(100_000_000...(world.chance(0.8) ? 6_000_000_000 : 20_000_000_000))
        let all = sheep.map(\.identity)
        let other = world.pick(all.filter { $0 != victim.identity })!
        let way = Switchboard.Way(from: victim.identity, to: other)
        switch kind {
        case .partition: switchboard.cut(partition(all), for: duration)
        case .cutLink: switchboard.cut([way, way.back], for: duration)
        case .oneWay: switchboard.cut(world.chance(0.6) ? [way] : oneSided(victim.identity, all), for: duration)
        case .slowLink:
            let longest = world.draw(5_000_000...3_000_000_000)
            switchboard.slow(world.chance(0.5) ? [way] : [way, way.back], 20_000...longest, for: duration)
        case .brittleLink: resetAgainAndAgain(way, until: world.now + duration)
        case .lostReply: switchboard.resetAtReply(from: way.from, to: way.to)
        default: preconditionFailure("\(kind) is no fault of links")
        }
    }

    /// Two sides that do not reach each other; now and then everybody is alone.
    private func partition(_ all: [NodeID]) -> Set<Switchboard.Way> {
        let alone = world.chance(0.15)
        var sides: [NodeID: Int] = [:]
        for (number, node) in all.enumerated() { sides[node] = alone ? number : world.below(2) }
        // One side must not be empty.
        if Set(sides.values).count == 1 { sides[world.pick(all)!] = all.count }
        return ways(all) { sides[$0.from] != sides[$0.to] }
    }

    /// Nothing that this node sends arrives, or nothing arrives there.
    private func oneSided(_ node: NodeID, _ all: [NodeID]) -> Set<Switchboard.Way> {
        let sends = world.chance(0.5)
        return ways(all) { (sends ? $0.from : $0.to) == node }
    }

    private func ways(_ all: [NodeID], where isMeant: (Switchboard.Way) -> Bool) -> Set<Switchboard.Way> {
        Set(all.flatMap { from in all.filter { $0 != from }.map { Switchboard.Way(from: from, to: $0) } }.filter(isMeant))
    }

    private func resetAgainAndAgain(_ way: Switchboard.Way, until end: UInt64) {
        guard world.now < end, faultsAreActive else { return }
        switchboard.reset(from: way.from, to: way.to)
        world.schedule(after: world.draw(1_000_000...400_000_000)) { [self] in resetAgainAndAgain(way, until: end) }
    }

    /// Forwards or back, by seconds or by up to a year.
    func jumpClock(of victim: SimulatedSheep) {
        let longest: UInt64 = world.chance(0.5) ? 10_000_000_000 : 365 * 86_400_000_000_000
        let distance = Int64(world.draw(1_000_000...longest))
        victim.clock.jump(by: world.chance(0.5) ? distance : -distance)
    }
}
