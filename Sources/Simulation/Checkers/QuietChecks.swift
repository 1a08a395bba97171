import Cluster
import Gateway
import Glibc
import ObjectModel
import ObjectStore
import SheepProtocol

/// What must hold when faults and clients have stopped and the cluster has come to rest.
struct QuietChecks {
    let cluster: SimulatedCluster
    private var world: World { cluster.world }

    init(cluster: SimulatedCluster) { self.cluster = cluster }

    func run() {
        checkStates()
        checkMembers()
        readEverything()
        checkSpace()
        checkReplicas()
    }

    /// The control states are equal.
    private func checkStates() {
        let states = cluster.sheep.compactMap { $0.serving?.control.state }
        guard let first = states.first, states.count == cluster.sheep.count else {
            return world.fail("not every sheep serves when all is quiet")
        }
        for state in states where state.appliedIndex == first.appliedIndex && state.digest != first.digest {
            world.fail("control states differ at entry \(first.appliedIndex)")
        }
    }

    /// Nothing is on its way any more, and the log knows nobody but those who run and those who were removed.
    private func checkMembers() {
        guard let state = cluster.latestState else { return }
        let expected = Set(cluster.sheep.map(\.identity))
        for node in state.nodes.values.sorted(by: { $0.id < $1.id }) where node.isUp != expected.contains(node.id) {
            world.fail("sheep\(node.id.high) is called \(node.isUp ? "up" : "down")")
        }
        for disk in state.disks.values.sorted(by: { $0.id < $1.id }) where disk.isHolding {
            world.fail("sheep\(disk.node.high) still holds what it is not placed for")
        }
        if state.pendingPlacement { world.fail("an epoch is due") }
    }

    // MARK: Contents

    /// Every known sector of every volume through every gateway, and every snapshot once more.
    private func readEverything() {
        for volume in cluster.volumes where !volume.isGone {
            for sheep in cluster.sheep { read(volume, through: sheep) }
            for snapshot in volume.snapshots where !snapshot.isGone {
                var isDone = false
                SnapshotReading(snapshot, of: volume, cluster: cluster) { isDone = true }.begin()
                if !world.run(until: world.now + 60_000_000_000, or: { isDone }) {
                    world.fail("snapshot \(snapshot.tag) of \(volume.name) cannot be read")
                }
            }
        }
    }

    private func read(_ volume: VolumeModel, through sheep: SimulatedSheep) {
        guard let use = GatewayUse(sheep, world: world) else { return world.fail("\(sheep.name) does not run") }
        var opened: Result<VolumeDevice<SimulatedEnvironment>, SheepError>?
        use.open(volume.name) { opened = $0 }
        _ = world.run(until: world.now + 10_000_000_000) { opened != nil }
        guard case .success(let device) = opened else {
            return world.fail("\(sheep.name) cannot open \(volume.name): \(String(describing: opened))")
        }
        for range in Ranges.joined(volume.knownSectors.filter { ($0 + 1) * UInt64(sectorSize) <= volume.size }) {
            let (called, offset) = (world.now, range.lowerBound * UInt64(sectorSize))
            var answer: Result<[UInt8], SheepError>?
            use.read(device, at: offset, length: range.count * sectorSize) { answer = $0 }
            _ = world.run(until: called + 60_000_000_000) { answer != nil }
            guard case .success(let bytes) = answer else {
                world.fail("\(volume.name) cannot be read at \(range) through \(sheep.name): \(String(describing: answer))")
                break
            }
            volume.read(bytes, at: offset, calledAt: called, by: "the last reader at \(sheep.name)")
        }
        device.close()
        use.close()
    }

    // MARK: Space

    /// No store has what nothing living shows, and every member of a group has the same names.
    private func checkSpace() {
        var holders: [ObjectName: [SimulatedSheep]] = [:]
        for sheep in cluster.sheep {
            guard let node = sheep.serving, let store = sheep.store else { continue }
            let objects = store.objects(after: nil, limit: .max)
            for object in objects where !hidesNothing(object, in: store, node) { holders[object.name, default: []].append(sheep) }
            for object in objects {
                let births = store.births(family: object.name.family, index: object.name.index).map(\.name.birth)
                if node.control.state.isGarbage(object.name, presentBirths: births) {
                    world.fail("\(sheep.name) keeps \(object.name)\(object.isHole ? " (a hole)" : ""), which nothing living shows")
                }
            }
        }
        for name in holders.keys.sorted() { checkHolders(name, holders[name]!) }
        checkUsage(Set(holders.keys))
    }

    /// A hole that is as good as no entry.
    private func hidesNothing(
        _ object: StoredObject, in store: ObjectStore<SimulatedDisk>, _ node: SheepNode<SimulatedEnvironment>
    ) -> Bool {
        guard object.isHole else { return false }
        let ancestors = node.control.state.ancestry(of: object.name.birth).dropFirst()
        return !store.births(family: object.name.family, index: object.name.index).contains { ancestors.contains($0.name.birth) }
    }

    /// What the cluster says that a volume takes is what there is of it.
    private func checkUsage(_ names: Set<ObjectName>) {
        guard let sheep = cluster.sheep.first, let use = GatewayUse(sheep, world: world) else { return }
        var answer: Result<AdministrationReply, SheepError>?
        use.administer(.volumeList(name: nil)) { answer = $0 }
        _ = world.run(until: world.now + 10_000_000_000) { answer != nil }
        use.close()
        guard case .success(.volumes(let records)) = answer else {
            return world.fail("the volumes cannot be listed: \(String(describing: answer))")
        }
        for record in records {
            let objects = names.count { name in
                name.birth == record.birth
                    && !(cluster.sheep.lazy.compactMap { $0.store?.object(name) }.first?.isHole ?? true)
            }
            let bytes = UInt64(objects) << UInt64(record.objectShift)
            if record.usage?.own != bytes {
                world.fail("\(record.name) is said to take \(String(describing: record.usage?.own)) bytes, and takes \(bytes)")
            }
        }
    }

    private func checkHolders(_ name: ObjectName, _ holders: [SimulatedSheep]) {
        guard let node = cluster.sheep.first?.serving, let volume = node.control.state.volume(name.birth) else { return }
        let set = node.control.state.replicas(of: name.group, copies: volume.copies)
        let placed = min(Int(volume.copies), node.control.state.zones)
        if set.inSync.count != placed || !set.syncing.isEmpty || !set.out.isEmpty {
            world.fail("\(name) of \(volume.name) has \(set.inSync.count) in-sync members of \(placed), \(set.syncing.count) syncing, \(set.out.count) out")
        }
        let wanted = set.inSync.map(\.node).sorted()
        let found = holders.map(\.identity).sorted()
        if wanted != found {
            let names = holders.map(\.name)
            world.fail("\(name) of \(volume.name) (\(volume.copies) copies) is on \(names), not on \(wanted.map(\.high))")
        }
    }

    // MARK: Replicas

    /// All copies of an object are equal, block by block, and agree with their checksums.
    private func checkReplicas() {
        var names: Set<ObjectName> = []
        for sheep in cluster.sheep {
            for object in sheep.store?.objects(after: nil, limit: .max) ?? [] { names.insert(object.name) }
        }
        for name in names.sorted() {
            var first: (String, [UInt8])?
            for sheep in cluster.sheep {
                guard let store = sheep.store, let object = store.object(name) else { continue }
                guard let bytes = contents(of: object, in: store, of: sheep) else { continue }
                guard let known = first else {
                    first = (sheep.name, bytes)
                    continue
                }
                if let block = differingBlock(known.1, bytes) {
                    world.fail("\(name) differs on \(known.0) and \(sheep.name) in block \(block)")
                }
            }
        }
    }

    private func differingBlock(_ a: [UInt8], _ b: [UInt8]) -> Int? {
        if a.count != b.count { return -1 }
        if memcmp(a, b, a.count) == 0 { return nil }
        return stride(from: 0, to: a.count, by: blockSize).first { a[$0..<$0 + blockSize] != b[$0..<$0 + blockSize] }
            .map { $0 / blockSize }
    }

    private func contents(
        of object: StoredObject, in store: ObjectStore<SimulatedDisk>, of sheep: SimulatedSheep
    ) -> [UInt8]? {
        if object.isHole { return [] }
        let count = object.objectShift.objectSize
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: count, alignment: blockSize)
        defer { buffer.deallocate() }
        var outcome: SheepError??
        store.read(object.name, at: 0, into: buffer) { outcome = .some($0) }
        _ = world.run(until: world.now + 10_000_000_000) { outcome != nil }
        if let error = outcome ?? SheepError(.unavailable, "no answer") {
            world.fail("\(object.name) on \(sheep.name): \(error)")
            return nil
        }
        return Array(buffer)
    }
}
