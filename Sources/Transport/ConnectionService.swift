import FrontendKit
import Gateway
import NIOCore
import ObjectModel
import ObjectStore
import SheepProtocol

/// The newest connection of each run of a peer, which is the only one that is listened to.
///
/// A peer that takes its connection for broken sends what has no answer again by a new one. What is left in the buffers of
/// the old one, however long it stood there, must not come after that: an old write would undo younger ones.
final class PeerConnections<Env: NodeEnvironment> {
    private var newest: [Hello: ConnectionService<Env>] = [:]

    func greeted(_ connection: ConnectionService<Env>, by peer: Hello) {
        let former = newest.updateValue(connection, forKey: peer)
        if let former, former !== connection { former.supersede() }
    }

    func closed(_ connection: ConnectionService<Env>, of peer: Hello) {
        if newest[peer] === connection { newest[peer] = nil }
    }
}

/// One accepted connection: a peer's after its hello, else a tool's, with the devices that it opened.
final class ConnectionService<Env: NodeEnvironment> {
    private let node: SheepNode<Env>
    private let directory: VolumeDirectory<Env>
    private unowned let channel: FrameChannel
    /// What was proven; nil: there is no key.
    private let dialer: KeyDialer?
    private let connections: PeerConnections<Env>
    /// Of a client on this machine that may see the store.
    private let shortCircuit: ShortCircuitOffer?
    /// Made when it is asked for.
    private var payloads: SharedMemory?
    /// Bytes of it that writes which were not answered were in.
    private var sharedUnderWay = 0
    private var peer: Hello?
    /// The peer has made a newer connection: what still comes by this one was sent again by that, or was given up.
    private var isSuperseded = false
    private var devices: [DeviceHandle: VolumeDevice<Env>] = [:]
    private var opensUnderWay = 0
    private var nextHandle = DeviceHandle(rawValue: 1)
    /// Devices open at once on one connection.
    private static var largestCount: Int { 256 }

    init(
        node: SheepNode<Env>, directory: VolumeDirectory<Env>, channel: FrameChannel, connections: PeerConnections<Env>,
        dialer: KeyDialer?, shortCircuit: ShortCircuitOffer? = nil
    ) {
        (self.node, self.directory, self.channel, self.connections) = (node, directory, channel, connections)
        self.shortCircuit = shortCircuit
        self.dialer = dialer
    }

    func supersede() {
        isSuperseded = true
        channel.close()
    }

    func closed() {
        if let peer { connections.closed(self, of: peer) }
        for device in devices.values { device.close() }
        devices = [:]
    }

    func received(_ frame: Frame) {
        if isSuperseded { return }
        do throws(WireError) {
            try serve(frame)
        } catch {
            reply(to: frame, .failure(SheepError(.invalidArgument, "\(frame.header.operation): \(error.text)")))
        }
    }

    private func reply(to frame: Frame, _ result: Result<PeerReply, SheepError>) {
        channel.reply(to: frame.header, with: result.map { ($0.body, $0.payload) })
    }

    private func serve(_ frame: Frame) throws(WireError) {
        switch frame.header.operation {
        case .hello:
            let hello = try Hello(wire: frame.body)
            if let dialer, dialer != .sheep(hello) {
                return reply(to: frame, .failure(SheepError(.accessDenied, "the key was proven by another than \(hello.node)")))
            }
            if let peer { connections.closed(self, of: peer) }
            peer = hello
            connections.greeted(self, by: hello)
            reply(to: frame, .success(PeerReply(body: Hello(node: node.identity, boot: node.boot).wire)))
        case .administer where peer == nil:
            node.administer(try AdministrationRequest(wire: frame.body)) { [weak self] result in
                self?.reply(to: frame, result.map { PeerReply(body: $0.wire) })
            }
        case .authenticate, .prove:
            let text = "this sheep has no cluster key to prove: start it with --key FILE, as the others"
            reply(to: frame, .failure(SheepError(.accessDenied, text)))
        case .deviceOpen: open(try DeviceOpen(wire: frame.body), frame)
        case .deviceRead: read(try DeviceRead(wire: frame.body), frame)
        case .deviceWrite: write(try DeviceWrite(wire: frame.body), frame)
        case .deviceFlush:
            withDevice(try DeviceReference(wire: frame.body).handle, frame) { device in
                device.flush { [weak self] in self?.done(frame, $0) }
            }
        case .deviceZero: zero(try DeviceZero(wire: frame.body), frame)
        case .deviceStatus: status(try DeviceStatus(wire: frame.body), frame)
        case .deviceReadGrant: grantRead(try DeviceReadGrant(wire: frame.body), frame)
        case .devicePayloads: sharePayloads(frame)
        case .deviceClose:
            devices.removeValue(forKey: try DeviceReference(wire: frame.body).handle)?.close()
            done(frame, nil)
        case .ping, .replicaWrite, .replicaZero, .replicaRead, .replicaStatus, .replicaFlush, .replicaGather,
            .replicaSettled, .recoveryListing, .recoverySlot, .recoveryRead, .recoveryDigest, .usage, .nodeReport, .releaseLeases,
            .endProcess, .scrubSlot, .volumeUse, .volumeMapping, .forward, .replicaRecall, .administer:
            guard let peer else {
                return reply(to: frame, .failure(SheepError(.invalidArgument, "\(frame.header.operation) is for sheep only")))
            }
            node.received(frame.header.operation, body: frame.body, payload: frame.payload, from: peer.node, boot: peer.boot) {
                [weak self] result in
                self?.reply(to: frame, result)
            }
        }
    }

    private func done(_ frame: Frame, _ error: SheepError?) {
        reply(to: frame, error.map { .failure($0) } ?? .success(PeerReply()))
    }

    // MARK: Devices

    private func withDevice(_ handle: DeviceHandle, _ frame: Frame, body: (VolumeDevice<Env>) -> Void) {
        guard let device = devices[handle] else {
            return done(frame, SheepError(.invalidArgument, "device \(handle) is not open on this connection"))
        }
        body(device)
    }

    /// The range if it lies within the device.
    private func refusal(_ device: VolumeDevice<Env>, offset: UInt64, length: UInt64, longest: UInt64) -> SheepError? {
        let size = device.information.size
        guard offset <= size, length <= size - offset else {
            return SheepError(.invalidArgument, "bytes \(offset) to \(offset &+ length) are past the size of \(size)")
        }
        return length <= longest ? nil : SheepError(.invalidArgument, "\(length) bytes are over the maximum of \(longest)")
    }

    private func open(_ request: DeviceOpen, _ frame: Frame) {
        guard devices.count + opensUnderWay < Self.largestCount else {
            return done(frame, SheepError(.busy, "\(Self.largestCount) devices are open on this connection"))
        }
        opensUnderWay += 1
        directory.open(request.name, continuing: request.continuing) { [weak self] result in
            // Whoever asked has gone meanwhile: nothing may stay attached.
            guard let self else {
                if case .success(let device) = result { device.close() }
                return
            }
            opensUnderWay -= 1
            switch result {
            case .failure(let error): done(frame, error)
            case .success(let device):
                let handle = nextHandle
                nextHandle = nextHandle.next
                devices[handle] = device
                channel.usesVolumes = true
                let information = device.information
                let opened = DeviceOpened(
                    handle: handle, gateway: node.identity, name: information.name, description: information.description,
                    size: information.size, isReadOnly: information.isReadOnly || request.readOnly,
                    preferredBlockSize: information.preferredBlockSize, maximumRequest: information.maximumRequest,
                    objectShift: device.objectShift.rawValue, origin: device.origin, shortCircuit: shortCircuit)
                reply(to: frame, .success(PeerReply(body: opened.wire)))
            }
        }
    }

    private func read(_ request: DeviceRead, _ frame: Frame) {
        withDevice(request.handle, frame) { device in
            let length = UInt64(request.length)
            if let refusal = refusal(device, offset: request.offset, length: length, longest: UInt64(VolumeLimits.largestRequest)) {
                return done(frame, refusal)
            }
            guard length > 0 else { return done(frame, nil) }
            device.read(at: request.offset, length: Int(length), appendingTo: ByteBuffer()) { [weak self] result in
                self?.reply(to: frame, result.map { PeerReply(payload: $0) })
            }
        }
    }

    private func grantRead(_ request: DeviceReadGrant, _ frame: Frame) {
        withDevice(request.handle, frame) { device in
            guard shortCircuit != nil, let grant = device.readGrant(index: request.index) else {
                return done(frame, SheepError(.busy, "object \(request.index) can be read through the sheep only now"))
            }
            var checksums = ByteBuffer()
            checksums.reserveCapacity(4 * grant.checksums.count)
            for checksum in grant.checksums { checksums.writeInteger(checksum, endianness: .little) }
            reply(to: frame, .success(PeerReply(body: grant.message.wire, payload: checksums)))
        }
    }

    /// Bytes, in pages that nobody has before they are written.
    private static var payloadMemorySize: Int { 8 << 20 }

    private func sharePayloads(_ frame: Frame) {
        if payloads == nil, shortCircuit != nil { payloads = SharedMemory.make("sheep-payloads", size: Self.payloadMemorySize) }
        guard let payloads else { return done(frame, SheepError(.unavailable, "this sheep shares no memory with this client")) }
        reply(to: frame, .success(PeerReply(body: PayloadMemory(path: payloads.path, size: UInt32(payloads.bytes.count), identity: payloads.identity).wire)))
    }

    /// A copy of what is there now: the client may use the place for something else once it is answered, or break and do so before.
    ///
    /// Nil: there is no such place, or more is under way than there is room for, as when a place is named again before its answer.
    private func payload(_ place: PayloadPlace) -> ByteBuffer? {
        guard let payloads, Int(place.offset) + Int(place.length) <= payloads.bytes.count,
            sharedUnderWay + Int(place.length) <= payloads.bytes.count
        else { return nil }
        return ByteBuffer(bytes: UnsafeRawBufferPointer(payloads.bytes)[Int(place.offset)..<Int(place.offset) + Int(place.length)])
    }

    private func write(_ request: DeviceWrite, _ frame: Frame) {
        withDevice(request.handle, frame) { device in
            let length = request.place.map { UInt64($0.length) } ?? UInt64(frame.payload.readableBytes)
            if let refusal = refusal(device, offset: request.offset, length: length, longest: UInt64(VolumeLimits.largestRequest)) {
                return done(frame, refusal)
            }
            guard length > 0 else { return done(frame, nil) }
            guard let data = request.place.map(payload) ?? frame.payload else {
                return done(frame, SheepError(.invalidArgument, "the data is said to be in shared memory where there is none, or is not free"))
            }
            let shared = Int(request.place?.length ?? 0)
            sharedUnderWay += shared
            device.once(request.identity) { [weak self] in
                self?.sharedUnderWay -= shared
                self?.done(frame, $0)
            } change: {
                device.write(data, at: request.offset, durable: request.durable, completion: $0)
            }
        }
    }

    private func zero(_ request: DeviceZero, _ frame: Frame) {
        withDevice(request.handle, frame) { device in
            if let refusal = refusal(device, offset: request.offset, length: request.length, longest: .max) {
                return done(frame, refusal)
            }
            device.once(request.identity) { [weak self] in self?.done(frame, $0) } change: {
                device.zero(
                    at: request.offset, length: request.length, mayDeallocate: request.mayDeallocate, durable: request.durable,
                    completion: $0)
            }
        }
    }

    private func status(_ request: DeviceStatus, _ frame: Frame) {
        withDevice(request.handle, frame) { device in
            if let refusal = refusal(device, offset: request.offset, length: request.length, longest: .max) {
                return done(frame, refusal)
            }
            device.status(at: request.offset, length: request.length, limit: Int(request.limit)) { [weak self] result in
                self?.reply(
                    to: frame,
                    result.map { extents in
                        let answer = DeviceExtents(
                            extents: extents.map { DeviceExtent(length: $0.length, isAllocated: $0.isAllocated, isZero: $0.isZero) })
                        return PeerReply(body: answer.wire)
                    })
            }
        }
    }
}
