import Cluster
import Gateway
import NIOCore
import ObjectModel
import ObjectStore
import SheepProtocol

/// A run that a test leads step by step: nothing goes wrong but what it orders, and its client asks what it is told to ask.
///
/// Sheep are named by their numbers: from 1 on those with storage, then those without. Times are nanoseconds.
package final class DirectedCluster {
    /// Of the client. One that waits is repeated by nobody.
    package final class Request {
        fileprivate var outcome: Result<Void, SheepError>?
        /// Of a write.
        fileprivate var stamp: UInt64?
        /// Of an order: the sheep that answered has in its log what was made.
        package fileprivate(set) var isKnownThere = false

        package var isAnswered: Bool { outcome != nil }
        package var hasSucceeded: Bool { if case .success = outcome { true } else { false } }
        /// Why it failed.
        package var failure: String? { if case .failure(let error) = outcome { error.message } else { nil } }
    }

    private let cluster: SimulatedCluster
    private var world: World { cluster.world }
    private let volume: VolumeModel
    /// Of the volume, once it is made.
    private var (family, birth) = (Family(rawValue: 0), Birth(rawValue: 0))
    /// The volume as it is open at a sheep, for the client and for a second one that shares the device.
    private var devices: [Int: (use: GatewayUse, device: VolumeDevice<SimulatedEnvironment>)] = [:]
    private var seconds: [Int: VolumeDevice<SimulatedEnvironment>] = [:]
    /// On a sheep's machine, for the client there.
    private var readers: [Int: ShortCircuitUse] = [:]

    /// A formatted cluster with one empty volume, of as many copies as the profile says.
    package init(seed: UInt64, profile: Profile) {
        cluster = SimulatedCluster(seed: seed, profile: profile)
        cluster.format()
        let objectSize = UInt64(1) << UInt64(profile.objectShift)
        volume = VolumeModel(world: cluster.world, name: "vol0", size: 4 * objectSize, copies: profile.copies, objectSize: objectSize)
        makeVolume()
    }

    private func makeVolume() {
        var answer: Result<AdministrationReply, SheepError>?
        let create = VolumeCreate(name: volume.name, size: volume.size, copies: volume.copies)
        GatewayUse(sheep(1), world: world)?.administer(.volumeCreate(create)) { answer = $0 }
        _ = run(atMost: 10_000_000_000) { answer != nil }
        guard case .success = answer else { return world.fail("no volume was made: \(String(describing: answer))") }
        cluster.volumes.append(volume)
        guard let record = cluster.latestState?.volume(named: volume.name) else { return world.fail("the volume is not there") }
        (family, birth) = (record.family, record.birth)
    }

    /// What the checkers found so far.
    package var failures: [String] { world.failures }

    /// To be called last.
    package func end() {
        (devices, seconds, readers) = ([:], [:], [:])
        cluster.forget()
    }

    private func sheep(_ number: Int) -> SimulatedSheep { cluster.sheep[number - 1] }

    // MARK: Orders

    package func kill(_ number: Int) { sheep(number).kill() }
    /// It dies when it next changes something on its disk, after so many such calls.
    package func killInCall(_ number: Int, after calls: Int) { sheep(number).killInCall(after: calls) {} }
    /// The machine forgets what was not synced. The checkers expect that another one has it, but of the last copy.
    package func cutPower(_ number: Int, isLastCopy: Bool = false) {
        if isLastCopy { volume.lostPower() }
        sheep(number).cutPower()
    }
    /// In order: what it has is durable.
    package func stop(_ number: Int) { sheep(number).stop() }
    /// Whatever its disk does after a moment takes so many times as long.
    package func slowDisk(_ number: Int, by factor: UInt64) { sheep(number).disk.slowness = factor }
    /// Every read of its copies waits for its disk, and for so many times as long; what else the disk does takes its time.
    package func slowReads(_ number: Int, by factor: UInt64) {
        sheep(number).disk.faults.readMisses = 1
        sheep(number).disk.readSlowness = factor
    }
    /// Each call that writes to an object on its disk fails with this chance; one write is up to two such calls.
    package func failWrites(_ number: Int, chance: Double) {
        sheep(number).disk.faults.writeFails = chance
        sheep(number).disk.faults.prefix = chance > 0 ? "objects" : ""
    }
    /// It has room for so many blocks more, of 4 KiB.
    package func fillDisk(_ number: Int, leaving blocks: Int) { sheep(number).disk.fillUp(leaving: blocks) }
    package func emptyDisk(_ number: Int) { sheep(number).disk.capacity = .max / blockSize }
    package func start(_ number: Int) { sheep(number).start() }
    /// By a signal, which the others can see, or for another reason.
    package func pause(_ number: Int, for duration: UInt64, bySignal: Bool = false) { sheep(number).pause(for: duration, bySignal: bySignal) }
    /// Nothing passes from one to the other until the links are healed.
    package func cut(from sender: Int, to receiver: Int) { cluster.switchboard.cut([way(sender, receiver)], for: .max / 2) }
    /// What is sent takes so long until the links are healed.
    package func slowLink(from sender: Int, to receiver: Int, by delay: UInt64) {
        cluster.switchboard.slow([way(sender, receiver)], delay...delay, for: .max / 2)
    }
    package func healLinks() { cluster.switchboard.healAll() }
    private func way(_ sender: Int, _ receiver: Int) -> Switchboard.Way {
        Switchboard.Way(from: sheep(sender).identity, to: sheep(receiver).identity)
    }

    /// The client's connection to a sheep breaks: it hears nothing of what it asked for there.
    package func disconnect(_ number: Int) {
        guard let open = devices.removeValue(forKey: number), !open.use.isBroken else { return }
        world.schedule(after: 0, in: open.use.process) { open.device.abandon() }
        open.use.close()
    }

    /// That of the second client, as long as the first one's lasts.
    package func disconnectSecond(_ number: Int) {
        guard let second = seconds.removeValue(forKey: number), let open = devices[number] else { return }
        world.schedule(after: 0, in: open.use.process) { second.abandon() }
    }

    package func run(for duration: UInt64) { _ = world.run(until: world.now + duration) }

    /// Whether the condition came to hold within this time.
    package func run(atMost duration: UInt64, until condition: () -> Bool) -> Bool {
        world.run(until: world.now + duration, or: condition)
    }

    // MARK: The client

    /// Writes something new to these sectors; `asSecond`: as a second client of the same device, which must be open there already.
    package func write(_ sectors: Range<UInt64>, through number: Int, asSecond: Bool = false) -> Request {
        let request = begin()
        open(number) { [self] use, device in
            var device = device
            if asSecond {
                if seconds[number] == nil { seconds[number] = device.forAnotherClient() }
                device = seconds[number]!
            }
            let stamp = cluster.nextStamp()
            request.stamp = stamp
            let write = volume.called(sectors, stamp: stamp)
            var data = ByteBuffer()
            for sector in sectors { data.writeBytes(SectorContents.bytes(stamp, sector: sector)) }
            use.call({ done in
                device.write(data, at: sectors.lowerBound * UInt64(sectorSize), durable: false) { done($0.map { .failure($0) } ?? .success(())) }
            }) { [self] (result: Result<Void, SheepError>) in
                request.outcome = result
                volume.ended(write, sectors, acknowledged: request.hasSucceeded, durable: false)
            }
        }
        return request
    }

    /// Makes durable what was answered before.
    package func flush(through number: Int) -> Request {
        let request = begin()
        open(number) { use, device in
            use.call({ done in device.flush { done($0.map { .failure($0) } ?? .success(())) } }) { (result: Result<Void, SheepError>) in
                request.outcome = result
            }
        }
        return request
    }

    /// Takes all of an object away.
    package func trim(object: UInt64, through number: Int) -> Request {
        let request = begin()
        open(number) { [self] use, device in
            let size = volume.objectSize
            let sectors = object * size / UInt64(sectorSize)..<(object + 1) * size / UInt64(sectorSize)
            let trim = volume.called(sectors, stamp: 0)
            use.call({ done in
                device.zero(at: object * size, length: size, mayDeallocate: true, durable: false) {
                    done($0.map { .failure($0) } ?? .success(()))
                }
            }) { [self] (result: Result<Void, SheepError>) in
                request.outcome = result
                volume.ended(trim, sectors, acknowledged: request.hasSucceeded, durable: false)
            }
        }
        return request
    }

    /// Takes all of an object away after the delay, unless anything comes in between. Without `mayHappen` the checkers do not expect it.
    package func trimLater(object: UInt64, through number: Int, after delay: UInt64, mayHappen: Bool) -> Request {
        let request = begin()
        open(number) { [self] use, device in
            let size = volume.objectSize
            let sectors = object * size / UInt64(sectorSize)..<(object + 1) * size / UInt64(sectorSize)
            if mayHappen { _ = volume.called(sectors, stamp: 0) }
            use.call({ done in
                device.trimUnlessChanged(at: object * size, length: size, afterNanoseconds: delay) { done(.success(())) }
            }) { (result: Result<Void, SheepError>) in request.outcome = result }
        }
        return request
    }

    /// Takes a snapshot of the volume, which goes on.
    package func snapshot(_ tag: String, through number: Int) -> Request {
        administer(.volumeSnapshot(VolumeSnapshot(name: volume.name, tag: tag)), through: number)
    }

    package func deleteSnapshot(_ tag: String, through number: Int) -> Request {
        administer(.volumeDelete(VolumeDelete(volume: VolumeReference(name: volume.name, selector: .tag(tag)))), through: number)
    }

    /// A sheep becomes the owner of the volume.
    package func handOver(to number: Int, through other: Int) -> Request {
        administer(.volumeHandOver(VolumeHandOver(name: volume.name, owner: sheep(number).identity)), through: other)
    }

    private func administer(_ order: AdministrationRequest, through number: Int) -> Request {
        let request = begin()
        guard let use = GatewayUse(sheep(number), world: world) else {
            request.outcome = .failure(SheepError(.unavailable, "the gateway does not run"))
            return request
        }
        use.administer(order) { [self] result in
            use.close()
            request.outcome = result.map { _ in }
            if case .success(.created(let made)) = result { request.isKnownThere = sheep(number).node?.control.state.volume(made.birth) != nil }
            if let record = cluster.latestState?.volume(named: volume.name) { birth = record.birth }
        }
        return request
    }

    /// Reads these sectors; what is not what was written there last is a failure of the run.
    package func read(_ sectors: Range<UInt64>, through number: Int) -> Request {
        let request = begin()
        open(number) { [self] use, device in
            let (called, offset) = (world.now, sectors.lowerBound * UInt64(sectorSize))
            use.read(device, at: offset, length: sectors.count * sectorSize) { [self] result in
                if case .success(let bytes) = result { volume.read(bytes, at: offset, calledAt: called, by: "the client at sheep\(number)") }
                request.outcome = result.map { _ in }
            }
        }
        return request
    }

    /// Asks a sheep for the volume's first object, to be read on its machine without it; fails when it would not answer at once itself.
    package func grant(at number: Int) -> Request {
        let request = begin()
        open(number) { [self] use, device in
            let reader = ShortCircuitUse(use, objectSize: Int(volume.objectSize))
            readers[number] = reader
            use.call({ done in done(.success(device.readGrant(index: 0))) }) { (result: Result<ReadGrant?, SheepError>) in
                guard case .success(let grant?) = result, let reader else {
                    request.outcome = .failure(SheepError(.busy, "nothing is granted"))
                    return
                }
                reader.granted(grant, index: 0)
                request.outcome = .success(())
            }
        }
        return request
    }

    /// What was granted may be read there; if so it is read, and what is not what was written there last is a failure of the run.
    package func readsGranted(_ sectors: Range<UInt64>, at number: Int) -> Bool {
        run(for: 1)
        let offset = sectors.lowerBound * UInt64(sectorSize)
        guard let reader = readers[number], let found = reader.read(at: offset, length: sectors.count * sectorSize), reader.vouches(for: found) else {
            return false
        }
        volume.read(found.bytes, at: offset, calledAt: world.now, by: "the client on sheep\(number)'s machine")
        return true
    }

    /// Later than what was answered before: the checkers take what happens at one moment for concurrent.
    private func begin() -> Request {
        run(for: 1)
        return Request()
    }

    /// Again and again until the sheep has opened the volume.
    private func open(_ number: Int, then action: @escaping (GatewayUse, VolumeDevice<SimulatedEnvironment>) -> Void) {
        if let open = devices[number], !open.use.isBroken { return action(open.use, open.device) }
        let again = { [self] in world.schedule(after: 100_000_000) { [self] in open(number, then: action) } }
        guard let use = GatewayUse(sheep(number), world: world) else { return again() }
        use.open(volume.name) { [self] result in
            guard case .success(let device) = result else {
                use.close()
                return again()
            }
            devices[number] = (use, device)
            action(use, device)
        }
    }

    // MARK: What there is

    /// The sheep runs, and knows what its former run left of changes that were passed on.
    package func knowsItsNotes(_ number: Int) -> Bool { sheep(number).node?.replica.hasDecidedNotes ?? false }

    /// It has noted as done some change of the volume that was passed on.
    package func hasNotes(_ number: Int) -> Bool { sheep(number).node?.replica.hasNotes(of: birth) ?? false }

    /// It has noted that a write was passed on, and left in part by a process that died in the middle of it.
    package func hasNotesInPart(_ number: Int) -> Bool { sheep(number).node?.replica.hasNotesInPart(of: birth) ?? false }

    /// The first object's own copy at a sheep shows all of a write.
    package func holds(_ request: Request, _ sectors: Range<UInt64>, at number: Int) -> Bool {
        guard let store = sheep(number).store, let stamp = request.stamp else { return false }
        let name = ObjectName(family: family, index: 0, birth: birth)
        let bytes = UnsafeMutableRawBufferPointer.allocate(byteCount: sectors.count * sectorSize, alignment: 8)
        var shows: Bool?
        store.read(name, at: Int(sectors.lowerBound) * sectorSize, into: bytes) { error in
            shows = error == nil && bytes.elementsEqual(sectors.flatMap { SectorContents.bytes(stamp, sector: $0) })
            bytes.deallocate()
        }
        return run(atMost: 1_000_000_000) { shows != nil } && shows!
    }

    /// Some copy of an object is at a sheep, of the volume itself and not of a snapshot.
    package func hasObject(_ index: UInt32, at number: Int) -> Bool {
        sheep(number).store?.hasObject(ObjectName(family: family, index: index, birth: birth)) ?? false
    }

    /// Copies that have all of the volume, as the sheep that knows most has it, and how few of them a write needs.
    package var copies: (inSync: Int, minimum: Int) { replicas.map { ($0.inSync.count, $0.minimum) } ?? (0, 0) }

    /// Copies that are being made.
    package var syncingCopies: Int { replicas?.syncing.count ?? 0 }

    private var replicas: ReplicaSet? {
        cluster.latestState?.replicas(of: PlacementGroup(rawValue: 0), copies: volume.copies)
    }

    /// The sheep that orders the volume's writes, as the one that knows most has it.
    package var owner: Int? {
        guard let state = cluster.latestState, let owner = state.owner(of: birth)?.owner else { return nil }
        return cluster.sheep.firstIndex { $0.identity == owner }.map { $0 + 1 }
    }

    /// It runs.
    package func isRunning(_ number: Int) -> Bool { sheep(number).isRunning }

    /// It stands still.
    package func isPaused(_ number: Int) -> Bool { (sheep(number).process?.pausedUntil ?? 0) > world.now }

    /// All sheep serve, and every copy is in sync.
    package var isComplete: Bool { cluster.sheep.allSatisfy { cluster.isComplete($0) } }

    /// The checks of a quiet cluster: every sector through every sheep, all copies equal, all control states equal.
    package func checkQuiet() {
        for open in devices.values {
            world.schedule(after: 0, in: open.use.process) { open.device.close() }
            open.use.close()
        }
        (devices, seconds) = ([:], [:])
        run(for: 10_000_000_000)
        QuietChecks(cluster: cluster).run()
    }
}
