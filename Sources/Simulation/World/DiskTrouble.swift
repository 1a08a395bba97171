import Cluster
import Gateway
import ObjectModel
import ObjectStore
import SheepProtocol

/// Disks that rot, lose writes, fail, fill up: one sick sheep at a time, and the next only when a check of the cluster has
/// read and repaired everything. So one good copy of everything in sync is always left, and nothing may be lost.
final class DiskTrouble {
    private enum State {
        case well
        case sick(FaultKind, SimulatedSheep)
        /// A check is to find nothing any more.
        case curing(SimulatedSheep)
    }

    private let cluster: SimulatedCluster
    private var world: World { cluster.world }
    private var state = State.well
    private var checks = 0
    private var isChecking = false

    init(cluster: SimulatedCluster) { self.cluster = cluster }

    static let kinds: Set<FaultKind> = [
        .bitRot, .loseFiles, .lostWrites, .misdirectedWrites, .readErrors, .diskFails, .diskFull, .allFull, .slowDisk, .slowReads, .garble,
    ]

    var isOver: Bool { if case .well = state { true } else { false } }

    /// Whether another fault may happen now to this sheep.
    func permits(_ kind: FaultKind, _ victim: SimulatedSheep) -> Bool {
        if case .well = state {
            return !Self.kinds.contains(kind) || cluster.sheep.allSatisfy { cluster.isComplete($0) }
        }
        // The sick one's own death, as long as it remembers what it lost.
        guard kind == .kill, case .sick(let sickness, let sick) = state, sick === victim else { return false }
        return [.bitRot, .loseFiles, .readErrors, .slowDisk, .slowReads].contains(sickness)
    }

    func begin(_ kind: FaultKind, _ victim: SimulatedSheep) {
        state = .sick(kind, victim)
        victim.isSick = true
        let disk = victim.disk!
        switch kind {
        case .bitRot: for _ in 0..<1 + world.below(20) { disk.rot(world.random.next()) }
        case .loseFiles: for _ in 0..<1 + world.below(3) { disk.loseAnObject(world.random.next()) }
        case .lostWrites: disk.faults.writeLost = 0.15
        case .misdirectedWrites: disk.faults.writeMisdirected = 0.15
        case .readErrors: disk.faults.readFails = 0.05
        case .diskFails: if world.chance(0.5) { disk.faults.writeFails = 0.2 } else { disk.faults.syncFails = 0.5 }
        case .diskFull: disk.fillUp(leaving: world.below(20))
        case .allFull: for one in cluster.sheep { one.isSick = true; one.disk.fillUp(leaving: world.below(20)) }
        case .slowDisk: disk.slowness = 2 + world.draw(0...60)
        // Up to ten seconds each.
        case .slowReads: (disk.readSlowness, disk.faults.readMisses) = (1_000, 0.5)
        case .garble: return garble(victim)
        default: preconditionFailure("\(kind) is no trouble of a disk")
        }
        disk.faults.prefix = kind == .diskFails ? "" : "objects/"
        world.schedule(after: world.draw(500_000_000...5_000_000_000)) { [self] in end() }
    }

    /// The sheep dies, and when it starts its metadata are garbage: it is started so that it copies everything anew.
    private func garble(_ victim: SimulatedSheep) {
        victim.kill()
        victim.disk.garble(world.random.next())
        world.schedule(after: world.draw(1_000_000...2_000_000_000)) { [self] in
            victim.startRebuilding()
            end()
        }
    }

    /// The disk is well from now on; what is wrong on it stays.
    private func end() {
        guard case .sick(let kind, let victim) = state else { return }
        world.log("FAULT", "\(kind) of \(victim.name) ends")
        for one in cluster.sheep {
            one.disk.faults = .none
            (one.disk.capacity, one.disk.slowness, one.disk.readSlowness) = (.max / 4096, 1, 1)
        }
        state = .curing(victim)
        if kind == .diskFails {
            // Somebody looks after it: the same disk again, or an empty one in its place.
            victim.kill()
            if world.chance(0.3) { victim.replaceDisk() }
        }
        if !victim.isRunning { victim.start() }
        checks = 0
        checkLater()
    }

    private func checkLater() {
        world.schedule(after: world.draw(200_000_000...1_000_000_000)) { [self] in check() }
    }

    private func check() {
        guard cluster.sheep.allSatisfy({ cluster.isComplete($0) }), let sheep = world.pick(cluster.sheep),
            let use = GatewayUse(sheep, world: world)
        else { return checkLater() }
        checks += 1
        use.administer(.clusterCheck) { [self] result in follow(result, use) }
    }

    private func follow(_ result: Result<AdministrationReply, SheepError>, _ use: GatewayUse) {
        guard case .success(.check(let progress)) = result else {
            use.close()
            return checkLater()
        }
        if !progress.findings.isEmpty { world.log("check at \(use.sheep.name)", "\(progress.findings)") }
        guard progress.isFinished else {
            return world.schedule(after: 100_000_000) { [self] in
                use.administer(.checkProgress(progress.identity)) { [self] result in follow(result, use) }
            }
        }
        use.close()
        world.log("check at \(use.sheep.name)", "\(progress.objectsDone) objects, \(progress.repaired) repaired, \(progress.lost) lost, \(progress.incomplete) incomplete")
        // What a copy that was away has was not read.
        if progress.lost == 0, progress.incomplete == 0 {
            for one in cluster.sheep { one.isSick = false }
            state = .well
        } else if checks > 40 {
            world.fail("after \(checks) checks \(progress.lost) objects are not good, \(progress.incomplete) incomplete: \(progress.findings.prefix(3))")
            state = .well
        } else {
            checkLater()
        }
    }
}
