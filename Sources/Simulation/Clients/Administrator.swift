import ObjectModel
import SheepProtocol

/// Somebody who makes, snapshots, clones, rolls back, grows and deletes volumes, one thing at a time.
final class Administrator {
    private let cluster: SimulatedCluster
    private var world: World { cluster.world }
    private(set) var isIdle = true
    private var made = 0
    private var minimumCopies = 1

    init(cluster: SimulatedCluster) { self.cluster = cluster }

    func begin() {
        minimumCopies = Int(cluster.profile.leastCopies)
        // A volume of one copy keeps stores from being lost, which the other half of the runs shall see.
        if cluster.profile.weights.contains(where: { $0.kind == .wipe }) { minimumCopies = 1 + world.below(2) }
        make("vol0", copies: cluster.profile.copies)
        waitAndAct()
    }

    private func waitAndAct(_ number: Int = 1) {
        var delay: UInt64 = 0
        cluster.numbered(3, number) { delay = world.draw(200_000_000...cluster.profile.administrationTime) }
        world.schedule(after: delay) { [self] in
            guard cluster.clientsAreActive else { return }
            if isIdle, cluster.mayOrder(number) {
                present = number
                cluster.numbered(4, number) { act() }
            }
            waitAndAct(number + 1)
        }
    }

    /// The number of the order that was drawn last.
    private var present = 0

    private var living: [VolumeModel] { cluster.volumes.filter { !$0.isGone } }

    private func act() {
        guard let volume = world.pick(living) else { return }
        switch world.below(100) {
        case 0..<15:
            if living.count < 3 { make("vol\(made)", copies: drawCopies()) }
        case 15..<50:
            if volume.snapshots.count < 4 { snapshot(volume) }
        case 50..<65:
            if living.count < 4, let snapshot = world.pick(volume.snapshots.filter { !$0.isGone }) { clone(snapshot, of: volume) }
        case 65..<75:
            if let snapshot = world.pick(volume.snapshots.filter { !$0.isGone }) { rollback(volume, to: snapshot) }
        case 75..<82: grow(volume)
        case 82..<90:
            if let snapshot = world.pick(volume.snapshots.filter { !$0.isGone }) { delete(snapshot, of: volume) }
        default:
            if living.count > 1 { delete(volume) }
        }
    }

    private func drawCopies() -> UInt8 {
        UInt8(minimumCopies + world.below(Int(cluster.profile.copies) + 1 - minimumCopies))
    }

    // MARK: Orders

    private enum Outcome {
        case done
        case refused(SheepError)
        /// The connection ended before the answer.
        case unknown
    }

    /// Gives one order through a random gateway.
    private func order(_ request: AdministrationRequest, _ what: String, completion: @escaping (Outcome) -> Void) {
        guard let sheep = world.pick(cluster.sheep.filter(\.isRunning)), let use = GatewayUse(sheep, world: world) else {
            isIdle = true
            return completion(.refused(SheepError(.unavailable, "no gateway")))
        }
        isIdle = false
        cluster.counters.orders += 1
        cluster.noteOrder(present, what)
        world.log("admin at \(sheep.name)", what)
        use.administer(request) { [self] result in
            isIdle = true
            use.close()
            world.log("admin at \(sheep.name)", "\(what): \(result)")
            switch result {
            case .success: completion(.done)
            case .failure(let error) where use.isBroken || error.code == .unavailable: completion(.unknown)
            case .failure(let error): completion(.refused(error))
            }
        }
    }

    /// Asks until somebody knows whether it is there.
    private func find(_ reference: VolumeReference, completion: @escaping (Bool) -> Void) {
        order(.volumeFind(reference), "find \(reference)") { [self] outcome in
            switch outcome {
            case .done: completion(true)
            case .refused(let error) where error.code == .noSuchVolume || error.code == .noSuchSnapshot: completion(false)
            case .refused, .unknown:
                isIdle = false
                world.schedule(after: 200_000_000) { [self] in find(reference, completion: completion) }
            }
        }
    }

    /// An order whose outcome is not known is looked up.
    private func settle(_ outcome: Outcome, _ reference: VolumeReference, completion: @escaping (Bool) -> Void) {
        switch outcome {
        case .done: completion(true)
        case .refused: completion(false)
        case .unknown:
            // What a dead gateway proposed may still win.
            isIdle = false
            world.schedule(after: 1_000_000_000) { [self] in find(reference, completion: completion) }
        }
    }

    private func make(_ name: String, copies: UInt8) {
        made += 1
        let objectSize = UInt64(1) << UInt64(cluster.profile.objectShift)
        let size = objectSize * UInt64(1 + world.below(4)) + UInt64(world.below(2) * 4096 * 3)
        let create = VolumeCreate(name: name, size: size, copies: copies)
        order(.volumeCreate(create), "create \(name), \(size) bytes, \(copies) copies") { [self] outcome in
            settle(outcome, VolumeReference(name: name)) { [self] exists in
                if exists {
                    use(VolumeModel(world: world, name: name, size: size, copies: copies, objectSize: objectSize))
                } else if made == 1 {
                    made = 0
                    world.schedule(after: 500_000_000) { [self] in make(name, copies: copies) }
                }
            }
        }
    }

    private func use(_ volume: VolumeModel) {
        cluster.volumes.append(volume)
        for number in 0..<(1 + world.below(cluster.profile.clients)) { cluster.addClient("client\(number)-\(volume.name)", of: volume) }
    }

    private func snapshot(_ volume: VolumeModel) {
        let tag = "s\(cluster.nextStamp())"
        let (called, size) = (world.now, volume.size)
        order(.volumeSnapshot(VolumeSnapshot(name: volume.name, tag: tag)), "snapshot \(volume.name) \(tag)") { [self] outcome in
            settle(outcome, VolumeReference(name: volume.name, selector: .tag(tag))) { [self] exists in
                guard exists else { return }
                let snapshot = SnapshotModel(tag: tag, called: called, ended: world.now, size: size)
                isIdle = false
                SnapshotReading(snapshot, of: volume, cluster: cluster) { [self] in
                    volume.check(snapshot)
                    volume.snapshots.append(snapshot)
                    isIdle = true
                }.begin()
            }
        }
    }

    private func clone(_ snapshot: SnapshotModel, of volume: VolumeModel) {
        made += 1
        let name = "clone\(made)"
        let source = VolumeReference(name: volume.name, selector: .tag(snapshot.tag))
        order(.volumeClone(VolumeClone(source: source, name: name)), "clone \(volume.name)@\(snapshot.tag) as \(name)") {
            [self] outcome in
            settle(outcome, VolumeReference(name: name)) { [self] exists in
                guard exists else { return }
                use(
                    VolumeModel(
                        world: world, name: name, size: snapshot.size, copies: volume.copies, objectSize: volume.objectSize,
                        initial: snapshot.contents))
            }
        }
    }

    private func rollback(_ volume: VolumeModel, to snapshot: SnapshotModel) {
        let number = volume.rollbackCalled(to: snapshot)
        let reference = VolumeReference(name: volume.name, selector: .tag(snapshot.tag))
        order(.volumeRollback(reference), "roll \(volume.name) back to \(snapshot.tag)") { [cluster] outcome in
            switch outcome {
            case .done: volume.rollbackEnded(number, acknowledged: true, durable: cluster.profile.alwaysDurable)
            case .refused: volume.rollbackEnded(number, acknowledged: false, durable: false)
            // The owner may have the order still, and carry it out when everything is well again.
            case .unknown: break
            }
        }
    }

    private func grow(_ volume: VolumeModel) {
        let size = volume.size + volume.objectSize * UInt64(1 + world.below(2))
        guard size <= 12 * volume.objectSize else { return }
        order(.volumeResize(VolumeResize(name: volume.name, size: size)), "grow \(volume.name) to \(size)") { outcome in
            if case .done = outcome { volume.size = max(volume.size, size) }
            // It may have grown; snapshots of it may be larger than known, which nobody reads.
        }
    }

    private func delete(_ snapshot: SnapshotModel, of volume: VolumeModel) {
        snapshot.isGone = true
        let reference = VolumeReference(name: volume.name, selector: .tag(snapshot.tag))
        order(.volumeDelete(VolumeDelete(volume: reference)), "delete \(volume.name)@\(snapshot.tag)") { _ in }
    }

    /// First its clients leave.
    private func delete(_ volume: VolumeModel) {
        volume.isGone = true
        isIdle = false
        let clients = cluster.clients.filter { $0.volume === volume }
        for snapshot in volume.snapshots { snapshot.isGone = true }
        waitForLeaving(clients) { [self] in
            order(.volumeDelete(VolumeDelete(volume: VolumeReference(name: volume.name))), "delete \(volume.name)") { _ in }
        }
    }

    private func waitForLeaving(_ clients: [BlockClient], then: @escaping () -> Void) {
        for client in clients { client.leaveWhenIdle() }
        if clients.allSatisfy(\.isIdle) { return then() }
        world.schedule(after: 20_000_000) { [self] in waitForLeaving(clients, then: then) }
    }
}
