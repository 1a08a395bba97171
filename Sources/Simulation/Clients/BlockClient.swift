import Cluster
import FrontendKit
import Gateway
import NIOCore
import ObjectModel

/// Somebody who uses a volume through one gateway after another, several requests at a time.
final class BlockClient {
    private enum Kind { case write, read, trim, zero, trimObject, flush, status }

    let name: String
    let volume: VolumeModel
    private let cluster: SimulatedCluster
    private var world: World { cluster.world }
    private var use: GatewayUse?
    private var device: VolumeDevice<SimulatedEnvironment>?
    private var shortCircuit: ShortCircuitUse?
    private(set) var inFlight = 0
    private var isOpening = false
    private var shallLeave = false
    private let depth: Int
    private var calls: [Int: UInt64] = [:]
    private var nextCall = 0

    init(name: String, volume: VolumeModel, cluster: SimulatedCluster) {
        (self.name, self.volume, self.cluster) = (name, volume, cluster)
        depth = 1 + cluster.world.below(4)
        act()
    }

    var isIdle: Bool { inFlight == 0 }
    private var isAlwaysDurable: Bool { cluster.profile.alwaysDurable }
    /// When the oldest request under way was made.
    var oldestCall: UInt64? { calls.values.min() }

    private func act() {
        guard cluster.clientsAreActive, !volume.isGone else { return leaveWhenIdle() }
        world.schedule(after: world.draw(0...cluster.profile.thinkTime)) { [self] in act() }
        guard let use, let device else { return open() }
        if use.process.isStopping || shallLeave { return leaveWhenIdle() }
        if world.chance(0.002) { shallLeave = true }
        if inFlight < depth {
            // Now and then many at once, which meet.
            let burst = world.chance(0.15) ? 2 * depth : 1
            for _ in 0..<burst { request(use, device) }
            return
        }
        // Whoever reads its files does not stand still with the gateway.
        if use.process.pausedUntil > world.now, inFlight < depth + 8, world.chance(0.3) { readHere(use, device) }
        // What comes in while the gateway stands still is there when it goes on, and others have written since.
        if use.process.pausedUntil > world.now, inFlight < depth + 8, world.chance(0.03) { read(use, device, drawRange()) }
    }

    /// Several writes at once.
    func writeMuch() {
        guard let use, let device, !use.process.isStopping, !volume.isGone else { return }
        for _ in 0..<2 * depth { write(use, device, drawRange()) }
    }

    private func open() {
        guard !isOpening, let sheep = world.pick(cluster.sheep.filter(\.isRunning)),
            let use = GatewayUse(sheep, world: world)
        else { return }
        isOpening = true
        use.broken = { [self] in (self.use, device, shortCircuit) = (nil, nil, nil) }
        use.open(volume.name) { [self] result in
            isOpening = false
            switch result {
            case .success(let device) where !volume.isGone:
                (self.use, self.device) = (use, device)
                shortCircuit = ShortCircuitUse(use, objectSize: Int(volume.objectSize))
            case .success(let device):
                closeLater(device, use)
            case .failure: use.close()
            }
        }
    }

    private func closeLater(_ device: VolumeDevice<SimulatedEnvironment>, _ use: GatewayUse) {
        world.schedule(after: 0, in: use.process) { device.close() }
        use.close()
    }

    /// Ends the connection once nothing is under way.
    func leaveWhenIdle() {
        guard inFlight == 0, let use, let device else { return }
        (self.use, self.device, shortCircuit, shallLeave) = (nil, nil, nil, false)
        closeLater(device, use)
    }

    // MARK: Requests

    private func drawKind() -> Kind {
        switch world.below(100) {
        case 0..<48: .write
        case 48..<82: .read
        case 82..<87: .trim
        case 87..<90: .zero
        case 90..<92: .trimObject
        case 92..<98: .flush
        default: .status
        }
    }

    /// A few blocks of each object, so that requests meet; at both ends, so that they cross objects.
    private func drawRange() -> Range<UInt64> {
        let blocks = UInt64(volume.objectSize) / 4096
        let inObject = world.pick([0, 1, 2, 7, 8, blocks / 2, blocks - 2, blocks - 1])!
        let object = world.draw(0...(volume.size / volume.objectSize - 1))
        var first = (object * blocks + inObject) * 8
        var count = UInt64(8 * (1 + (world.chance(0.3) ? world.below(4) : 0)))
        if world.chance(0.15) {
            first += UInt64(world.below(8))
            count = UInt64(1 + world.below(12))
        }
        return first..<max(first + 1, min(first + count, volume.size / UInt64(sectorSize)))
    }

    private func request(_ use: GatewayUse, _ device: VolumeDevice<SimulatedEnvironment>) {
        let range = drawRange()
        switch drawKind() {
        case .write: write(use, device, range)
        case .read: read(use, device, range)
        case .trim: zero(use, device, range, mayDeallocate: true)
        case .zero: zero(use, device, range, mayDeallocate: world.chance(0.5))
        case .trimObject:
            let sectors = volume.objectSize / UInt64(sectorSize)
            let first = range.lowerBound / sectors * sectors
            zero(use, device, first..<min(first + sectors, volume.size / UInt64(sectorSize)), mayDeallocate: true)
        case .flush: flush(use, device)
        case .status: status(use, device, range)
        }
    }

    private func began(_ what: @autoclosure () -> String) -> Int {
        inFlight += 1
        nextCall += 1
        calls[nextCall] = world.now
        cluster.counters.requests += 1
        world.log(name, "\(volume.name) #\(nextCall) \(what())")
        return nextCall
    }

    private func ended(_ call: Int, _ error: SheepError?) {
        inFlight -= 1
        calls[call] = nil
        if let error { cluster.counters.failedRequests += 1; cluster.requestFailed(self, error) }
        world.log(name, "\(volume.name) #\(call) \(error.map { "failed: \($0)" } ?? "done")")
    }

    private func write(_ use: GatewayUse, _ device: VolumeDevice<SimulatedEnvironment>, _ range: Range<UInt64>) {
        let stamp = cluster.nextStamp()
        let durable = world.chance(0.1)
        let number = volume.called(range, stamp: stamp)
        let call = began("writes \(stamp) to \(range)\(durable ? " durably" : "")")
        var data = ByteBuffer()
        for sector in range { data.writeBytes(SectorContents.bytes(stamp, sector: sector)) }
        send(ClientWrite(call: call, stamp: stamp, number: number, range: range, data: data, durable: durable), use, device)
    }

    /// A write under way, with the same bytes however often and through whichever gateway it is sent.
    private struct ClientWrite {
        let call: Int
        let stamp: Stamp
        /// Of this sending.
        var number: Int
        let range: Range<UInt64>
        let data: ByteBuffer
        let durable: Bool
    }

    private func send(_ write: ClientWrite, _ use: GatewayUse, _ device: VolumeDevice<SimulatedEnvironment>) {
        use.call({ done in
            device.write(write.data, at: write.range.lowerBound * UInt64(sectorSize), durable: write.durable) {
                done($0.map { .failure($0) } ?? .success(()))
            }
        }) { [self] (result: Result<Void, SheepError>) in
            if case .failure = result, use.isBroken, cluster.profile.clientsRepeat { return sendAgain(write, lost: use.process) }
            finish(write.call, result) {
                volume.ended(
                    write.number, write.range, acknowledged: $0, durable: write.durable || isAlwaysDurable, by: use.connection)
            }
        }
    }

    /// Through whichever gateway the client uses next, once that one knows that the lost run is over: until then the lost one
    /// may still pass the write on, and from then on it must not. The client has no way to say that it is a repeat, so the write
    /// may happen twice, and undo what another client wrote in between: it counts as two writes of the same bytes.
    private func sendAgain(_ write: ClientWrite, lost: SheepProcess) {
        let giveUp = { [self] in
            finish(write.call, .failure(SheepError(.unavailable, "the gateway is gone, and no other was found"))) {
                volume.ended(write.number, write.range, acknowledged: $0, durable: write.durable)
            }
        }
        if volume.isGone || !cluster.clientsAreActive { return whenForgotten(lost, then: giveUp) }
        if let use, let device, !use.isBroken, knows(use.sheep, isOver: lost) {
            world.log(name, "#\(write.call) again at \(use.sheep.name)")
            volume.ended(write.number, write.range, acknowledged: false, durable: false)
            var again = write
            again.number = volume.called(write.range, stamp: write.stamp)
            return send(again, use, device)
        }
        world.schedule(after: 20_000_000) { [self] in sendAgain(write, lost: lost) }
    }

    private func knows(_ sheep: SimulatedSheep, isOver lost: SheepProcess) -> Bool {
        guard let record = sheep.serving?.control.state.nodes[lost.node] else { return false }
        return !record.isUp || record.boot != lost.boot
    }

    /// What a run that has ended left on the wires does nothing any more where it is known to be over.
    private func whenForgotten(_ lost: SheepProcess, then action: @escaping () -> Void) {
        if cluster.sheep.allSatisfy({ $0.serving == nil || knows($0, isOver: lost) }) { return action() }
        world.schedule(after: 20_000_000) { [self] in whenForgotten(lost, then: action) }
    }

    private func zero(
        _ use: GatewayUse, _ device: VolumeDevice<SimulatedEnvironment>, _ range: Range<UInt64>, mayDeallocate: Bool
    ) {
        let number = volume.called(range, stamp: 0)
        let call = began("\(mayDeallocate ? "trims" : "zeros") \(range)")
        let (offset, length) = (range.lowerBound * UInt64(sectorSize), UInt64(range.count * sectorSize))
        use.call({ done in
            device.zero(at: offset, length: length, mayDeallocate: mayDeallocate, durable: false) {
                done($0.map { .failure($0) } ?? .success(()))
            }
        }) { [self] (result: Result<Void, SheepError>) in
            let end = { [self] in
                finish(call, result) { volume.ended(number, range, acknowledged: $0, durable: isAlwaysDurable, by: use.connection) }
            }
            if case .failure = result, use.isBroken { whenForgotten(use.process, then: end) } else { end() }
        }
    }

    private func read(_ use: GatewayUse, _ device: VolumeDevice<SimulatedEnvironment>, _ range: Range<UInt64>) {
        let call = began("reads \(range)")
        let called = world.now
        let offset = range.lowerBound * UInt64(sectorSize)
        let ask = { [self] in readThere(use, device, range, call: call, calledAt: called) }
        guard let shortCircuit, world.chance(0.6) else { return ask() }
        if let found = shortCircuit.read(at: offset, length: range.count * sectorSize) {
            return take(found, shortCircuit, use, range, call: call, calledAt: called, else: ask)
        }
        let index = UInt32(offset / volume.objectSize)
        use.call({ done in done(.success(device.readGrant(index: index))) }) { [self] (result: Result<ReadGrant?, SheepError>) in
            if case .success(let grant?) = result { shortCircuit.granted(grant, index: index) }
            guard let found = shortCircuit.read(at: offset, length: range.count * sectorSize) else { return ask() }
            take(found, shortCircuit, use, range, call: call, calledAt: called, else: ask)
        }
    }

    /// Only what the gateway vouches for.
    private func readHere(_ use: GatewayUse, _ device: VolumeDevice<SimulatedEnvironment>) {
        let (range, called) = (drawRange(), world.now)
        guard let shortCircuit, let found = shortCircuit.read(at: range.lowerBound * UInt64(sectorSize), length: range.count * sectorSize) else { return }
        let call = began("reads \(range)")
        take(found, shortCircuit, use, range, call: call, calledAt: called) { [self] in readThere(use, device, range, call: call, calledAt: called) }
    }

    /// Short-circuit reads count when the sheep vouches for them after they were read; the reader itself may stand still before it asks.
    private func take(
        _ found: ShortCircuitUse.Bytes, _ shortCircuit: ShortCircuitUse, _ use: GatewayUse, _ range: Range<UInt64>, call: Int, calledAt called: UInt64,
        else ask: @escaping () -> Void
    ) {
        world.schedule(after: world.chance(0.8) ? world.draw(500...20_000) : world.draw(0...200_000_000)) { [self] in
            guard shortCircuit.vouches(for: found) else { return ask() }
            cluster.counters.shortCircuitReads += 1
            volume.read(found.bytes, at: range.lowerBound * UInt64(sectorSize), calledAt: called, by: "\(name) on \(use.sheep.name)'s machine")
            finish(call, .success(())) { _ in }
        }
    }

    private func readThere(
        _ use: GatewayUse, _ device: VolumeDevice<SimulatedEnvironment>, _ range: Range<UInt64>, call: Int, calledAt called: UInt64
    ) {
        let offset = range.lowerBound * UInt64(sectorSize)
        use.read(device, at: offset, length: range.count * sectorSize) { [self] result in
            if case .success(let bytes) = result {
                if bytes.count == range.count * sectorSize {
                    volume.read(bytes, at: offset, calledAt: called, by: "\(name) at \(use.sheep.name)")
                } else {
                    world.fail("\(name) read \(bytes.count) bytes for \(range.count * sectorSize)")
                }
            }
            finish(call, result.map { _ in }) { _ in }
        }
    }

    private func flush(_ use: GatewayUse, _ device: VolumeDevice<SimulatedEnvironment>) {
        let call = began("flushes")
        let called = world.now
        use.call({ done in
            device.flush { done($0.map { .failure($0) } ?? .success(())) }
        }) { [self] (result: Result<Void, SheepError>) in
            finish(call, result) {
                if $0 { volume.flushed(calledAt: called, by: use.connection) } else { volume.flushFailed(by: use.connection) }
            }
        }
    }

    private func status(_ use: GatewayUse, _ device: VolumeDevice<SimulatedEnvironment>, _ range: Range<UInt64>) {
        let call = began("asks what is stored of \(range)")
        use.call({ done in
            device.status(at: range.lowerBound * UInt64(sectorSize), length: UInt64(range.count * sectorSize), limit: 16) {
                done($0.map { $0.reduce(UInt64(0)) { $0 + $1.length } })
            }
        }) { [self] (result: Result<UInt64, SheepError>) in
            if case .success(let covered) = result, covered == 0 || covered > UInt64(range.count * sectorSize) {
                world.fail("\(name): status of \(range) covers \(covered) bytes")
            }
            finish(call, result.map { _ in }) { _ in }
        }
    }

    private func finish(_ call: Int, _ result: Result<Void, SheepError>, _ note: (Bool) -> Void) {
        switch result {
        case .success:
            note(true)
            ended(call, nil)
        case .failure(let error):
            note(false)
            ended(call, error)
        }
    }
}
