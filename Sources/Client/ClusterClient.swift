// Invariants
// 1. Every request is answered once: with the sheep's answer, or with `shuttingDown` when the client is closed.
// 2. A change is sent through another sheep only when the one that had it can do it no longer (``ChangeFence``); until then it
//    waits, and all other changes with it, so that none overtakes it.
// 3. A handle is used on the connection that gave it and on no other.
package import Authentication
package import FrontendKit
package import Logging
package import NIOCore
package import ObjectModel
package import SheepProtocol

/// A cluster, through one of its sheep at a time; through another one when that is lost. For programs that must not see it.
///
/// Everything happens on the event loop given: calls are made there and completions come there. A request waits as long as no
/// sheep answers. Which other sheep there are is learned from the one that serves, every two seconds.
///
/// `@unchecked Sendable`: all state is touched on the event loop only.
package final class ClusterClient: BlockDeviceProvider, @unchecked Sendable {
    package typealias Device = ClusterVolume

    /// A connection that was answered on.
    private final class Link {
        let connection: SheepConnection
        var nodes: [NodeRecord]
        /// Known from the first volume that is opened.
        var gateway: NodeID?
        /// The sheep is on this machine, and this process may see its store.
        var shortCircuit: ShortCircuitReader?
        /// Memory that is shared with it, for the data of writes.
        private(set) var payloads: SharedPayloads?
        private var isOffered = false
        let since = ContinuousClock.now
        init(connection: SheepConnection, nodes: [NodeRecord]) { (self.connection, self.nodes) = (connection, nodes) }
        var endpoint: SheepEndpoint { connection.endpoint }

        func learn(_ opened: DeviceOpened, helper: ReadHelper) {
            gateway = opened.gateway
            guard !isOffered, case .unix = endpoint, let offer = opened.shortCircuit else { return }
            isOffered = true
            shortCircuit = ShortCircuitReader(offer, on: connection, helper: helper)
            if shortCircuit != nil { sharePayloads() }
        }

        private func sharePayloads() {
            connection.send(.devicePayloads, body: [], timeLimit: nil) { [weak self] result in
                guard case .success(let reply) = result, let offer = try? PayloadMemory(wire: reply.body) else { return }
                self?.payloads = SharedPayloads(offer)
            }
        }
    }

    private enum State {
        case connecting
        case connected(Link)
        /// The first is left as soon as it has answered everything; then the other one is used.
        case moving(from: Link, to: Link)
        case closed
    }

    private static let connectLimit = TimeAmount.seconds(2)
    /// The same as between sheep: a busy disk may hold a loop up that long.
    private static let silenceLimit = TimeAmount.seconds(8)
    private static let tick = TimeAmount.milliseconds(100)
    private static let ticksBetweenLooks = 20
    private static let roundInterval = TimeAmount.milliseconds(200)
    private static let moveLimit = TimeAmount.seconds(10)
    /// A connection that ended earlier was none to rely on.
    private static let shortLife = Duration.seconds(1)

    package let eventLoop: any EventLoop
    private let key: ClusterKey?
    private let logger: Logger
    private var candidates: SheepCandidates
    private var state = State.connecting
    private var lastSerial: UInt64 = 0
    /// Not sent, for there is no connection.
    private var waiting: [ClusterRequest] = []
    /// Changes that a fence holds back.
    private var held: [ClusterRequest] = []
    private var fences: [ChangeFence] = []
    private var inFlight: [ObjectIdentifier: ClusterRequest] = [:]
    private var volumes: [ObjectIdentifier: ClusterVolume] = [:]
    private var isTryingAgain = false
    private var saidUnreachable = false
    private let readHelper = ReadHelper()

    package init(eventLoop: any EventLoop, endpoint: SheepEndpoint, key: ClusterKey? = nil, logger: Logger) {
        (self.eventLoop, self.key, self.logger, candidates) = (eventLoop, key, logger, SheepCandidates(given: endpoint))
    }

    /// Connects to the sheep given, for the first time: fails when it does not answer.
    package func start(completion: @escaping (ClientError?) -> Void) {
        let endpoint = candidates.next()!
        link(to: endpoint) { [self] result in
            switch result {
            case .failure(let error): completion(error)
            case .success(let link):
                adopt(link)
                completion(nil)
            }
        }
    }

    /// Ends the connection; all that waits fails, and so does all that comes.
    package func close() {
        let link = present
        state = .closed
        link?.connection.end()
        let requests = (Array(inFlight.values) + waiting + held + volumes.values.flatMap(\.pending)).sorted { $0.serial < $1.serial }
        (inFlight, waiting, held, volumes) = ([:], [], [], [:])
        for request in requests { request.complete(.failure(Self.closedError)) }
    }

    private static let closedError = SheepError(.shuttingDown, "the client is closed")

    /// The sheep that serves, or was the last to do so.
    package private(set) var endpoint: SheepEndpoint?

    private var present: Link? {
        switch state {
        case .connected(let link), .moving(let link, _): link
        case .connecting, .closed: nil
        }
    }

    private func isPresent(_ link: Link) -> Bool { present.map { $0 === link } ?? false }

    // MARK: Requests

    func submit(
        _ operation: Operation, volume: ClusterVolume?, body: @escaping (DeviceHandle) -> [UInt8],
        completion: @escaping (Result<SheepReply, SheepError>) -> Void
    ) {
        lastSerial += 1
        send(ClusterRequest(
            operation, serial: lastSerial, volume: volume, payload: nil, body: { handle, _ in body(handle) }, completion: completion))
    }

    func submitWrite(
        _ data: ByteBuffer, volume: ClusterVolume, body: @escaping (DeviceHandle, PayloadPlace?) -> [UInt8],
        completion: @escaping (Result<SheepReply, SheepError>) -> Void
    ) {
        lastSerial += 1
        send(ClusterRequest(.deviceWrite, serial: lastSerial, volume: volume, payload: data, body: body, completion: completion))
    }

    private func send(_ request: ClusterRequest) {
        switch state {
        case .closed: return request.complete(.failure(Self.closedError))
        case .connecting, .moving: return waiting.append(request)
        case .connected(let link):
            if request.isChange, !fences.isEmpty { return held.append(request) }
            guard let volume = request.volume else { return send(request, handle: DeviceHandle(rawValue: 0), on: link) }
            guard !volume.isClosed else { return request.complete(.failure(SheepError(.shuttingDown, "volume \(volume.name) was closed"))) }
            if let handle = volume.handle { return send(request, handle: handle, on: link) }
            volume.pending.append(request)
            reopen(volume, on: link)
        }
    }

    private func send(_ request: ClusterRequest, handle: DeviceHandle, on link: Link) {
        inFlight[ObjectIdentifier(request)] = request
        let place = request.payload.flatMap { link.payloads?.put($0) }
        link.connection.send(
            request.operation, body: request.body(handle, place), payload: place == nil ? request.payload : nil, timeLimit: nil
        ) { [self] in
            if let place, $0.isAnswer { link.payloads?.done(place) }
            answered(request, $0, on: link)
        }
    }

    private func answered(_ request: ClusterRequest, _ result: Result<SheepReply, ClientError>, on link: Link) {
        // Nil: the client was closed meanwhile.
        guard inFlight.removeValue(forKey: ObjectIdentifier(request)) != nil else { return }
        switch result {
        case .success(let reply): request.complete(.success(reply))
        case .failure(.refused(let error)) where !Self.meansAnotherSheep(error.code): request.complete(.failure(error))
        case .failure(let error):
            if request.isChange { raiseFence(link) }
            lose(link, "\(error)", isRefusing: error.isRefusal)
            send(request)
        }
        if case .moving(_, let next) = state, inFlight.isEmpty { finishMove(to: next) }
    }

    /// This sheep cannot serve now, and others may.
    private static func meansAnotherSheep(_ code: SheepError.Code) -> Bool {
        code == .shuttingDown || code == .waitingForNodes
    }

    private func resubmitWaiting() {
        let requests = waiting.sorted { $0.serial < $1.serial }
        waiting = []
        for request in requests { send(request) }
    }

    /// Waits for a moment, without sleeping, when a request was sent and one answer alone is to come: who asks for one thing after
    /// the other gets it sooner. True when the answer is there, to be delivered when the event loop goes on.
    package func awaitAnswer() -> Bool {
        guard case .connected(let link) = state, inFlight.count == 1 else { return false }
        return link.connection.awaitReply()
    }

    /// Appends what the sheep would answer, when it is on this machine and vouches for what its files show; see ``ShortCircuitReader``.
    func readShortCircuit(
        _ volume: ClusterVolume, at offset: UInt64, length: Int, appendingTo buffer: inout ByteBuffer, whileWaiting mayWait: () -> Bool
    ) -> Bool {
        guard case .connected(let link) = state, let reader = link.shortCircuit, let handle = volume.handle else { return false }
        return reader.read(
            handle, shift: volume.objectShift, size: volume.information.size, at: offset, length: length, appendingTo: &buffer,
            whileWaiting: mayWait)
    }

    // MARK: Volumes

    private func reopen(_ volume: ClusterVolume, on link: Link) {
        guard !volume.isOpening else { return }
        volume.isOpening = true
        deviceOpen(DeviceOpen(name: volume.name, readOnly: false, continuing: volume.origin), on: link) { [self] result in
            guard case .connected(let now) = state, now === link else { return }
            switch result {
            case .success(let opened): volume.opened(opened)
            case .failure(let error):
                volume.isOpening = false
                let pending = volume.pending
                volume.pending = []
                for request in pending { request.complete(.failure(error)) }
                return
            }
            let pending = volume.pending
            volume.pending = []
            for request in pending { send(request) }
        }
    }

    /// Not answered when the link is lost.
    private func deviceOpen(_ open: DeviceOpen, on link: Link, completion: @escaping (Result<DeviceOpened, SheepError>) -> Void) {
        link.connection.send(.deviceOpen, body: open.wire, timeLimit: nil) { [self] result in
            switch result {
            case .success(let reply):
                guard let opened = try? DeviceOpened(wire: reply.body) else {
                    return completion(.failure(SheepError(.unknown, "the sheep's answer to an open cannot be read")))
                }
                link.learn(opened, helper: readHelper)
                completion(.success(opened))
            case .failure(.refused(let error)) where !Self.meansAnotherSheep(error.code): completion(.failure(error))
            case .failure(let error): lose(link, "\(error)", isRefusing: error.isRefusal)
            }
        }
    }

    /// Opens `NAME`, or `NAME@TAG` or `NAME@ID` (read-only).
    package func open(_ name: String, completion: @escaping (Result<ClusterVolume, SheepError>) -> Void) {
        submit(.deviceOpen, volume: nil, body: { _ in DeviceOpen(name: name, readOnly: false).wire }) { [self] result in
            completion(
                result.flatMap { reply in
                    guard let opened = try? DeviceOpened(wire: reply.body) else {
                        return .failure(SheepError(.unknown, "the sheep's answer to an open cannot be read"))
                    }
                    present?.learn(opened, helper: readHelper)
                    let volume = ClusterVolume(client: self, name: name, opened: opened)
                    volumes[ObjectIdentifier(volume)] = volume
                    return .success(volume)
                })
        }
    }

    /// What an open volume is by now: its size, and its name and identity, which a rename and a snapshot change.
    package func present(_ volume: ClusterVolume, completion: @escaping (Result<BlockDeviceInformation, SheepError>) -> Void) {
        find(volume.name) { [self] result in
            if case .success(let found) = result, found.identity == volume.information.identity {
                volume.information.size = found.size
                return completion(.success(volume.information))
            }
            // Its name is another's, or it goes on under another birth: only an open of what goes on says what that is.
            let open = DeviceOpen(name: volume.name, readOnly: false, continuing: volume.origin)
            submit(.deviceOpen, volume: nil, body: { _ in open.wire }) { [self] result in
                completion(
                    result.flatMap { reply in
                        guard let opened = try? DeviceOpened(wire: reply.body) else {
                            return .failure(SheepError(.unknown, "the sheep's answer to an open cannot be read"))
                        }
                        present?.connection.send(
                            .deviceClose, body: DeviceReference(handle: opened.handle).wire, timeLimit: nil) { _ in }
                        volume.renewed(opened)
                        return .success(volume.information)
                    })
            }
        }
    }

    func closed(_ volume: ClusterVolume) {
        volumes[ObjectIdentifier(volume)] = nil
        guard let link = present, let handle = volume.handle else { return }
        volume.handle = nil
        link.shortCircuit?.closed(handle)
        link.connection.send(.deviceClose, body: DeviceReference(handle: handle).wire, timeLimit: nil) { _ in }
    }

    package func list(completion: @escaping (Result<[BlockDeviceInformation], SheepError>) -> Void) {
        administer(.volumeList(name: nil)) { result in
            completion(
                result.flatMap { reply in
                    guard case .volumes(let records) = reply else { return .failure(Self.unexpected) }
                    return .success(records.map(\.information).sorted { $0.name < $1.name })
                })
        }
    }

    /// A volume or snapshot by its export name, without opening it.
    package func find(_ name: String, completion: @escaping (Result<BlockDeviceInformation, SheepError>) -> Void) {
        find(VolumeReference(name: name), exportName: name) { [self] result in
            guard case .failure(let error) = result, error.code == .noSuchVolume, let at = name.lastIndex(of: "@") else {
                return completion(result)
            }
            let selector = String(name[name.index(after: at)...])
            let reference = VolumeReference(
                name: String(name[..<at]), selector: UInt32(selector).map { .id($0) } ?? .tag(selector))
            find(reference, exportName: name, completion: completion)
        }
    }

    private func find(
        _ reference: VolumeReference, exportName: String, completion: @escaping (Result<BlockDeviceInformation, SheepError>) -> Void
    ) {
        guard reference.name.utf8.count <= NameLimit.bytes, !reference.name.isEmpty else {
            return completion(.failure(SheepError(.noSuchVolume, "no volume has such a name")))
        }
        administer(.volumeFind(reference)) { result in
            completion(
                result.flatMap { reply in
                    guard case .volume(let record) = reply else { return .failure(Self.unexpected) }
                    var information = record.information
                    information.name = exportName
                    return .success(information)
                })
        }
    }

    /// Makes a volume larger; one that has the size already stays as it is.
    package func resize(_ name: String, to size: UInt64, completion: @escaping (SheepError?) -> Void) {
        administer(.volumeResize(VolumeResize(name: name, size: size))) { [self] result in
            guard case .failure(let refusal) = result else { return completion(nil) }
            // The first of two copies may have done it.
            find(name) { found in
                if case .success(let information) = found, information.size == size { return completion(nil) }
                completion(refusal)
            }
        }
    }

    /// Asks the cluster, again when a sheep is lost meanwhile: for requests that may be done twice.
    package func administer(
        _ request: AdministrationRequest, completion: @escaping (Result<AdministrationReply, SheepError>) -> Void
    ) {
        submit(.administer, volume: nil, body: { _ in request.wire }) { result in
            completion(
                result.flatMap { reply in
                    (try? AdministrationReply(wire: reply.body)).map { .success($0) } ?? .failure(Self.unexpected)
                })
        }
    }

    private static let unexpected = SheepError(.unknown, "the sheep answered something else than was asked")

    // MARK: Links

    /// Connects and asks for the nodes, which shows that somebody is there and serves this cluster.
    private func link(to endpoint: SheepEndpoint, completion: @escaping (Result<Link, ClientError>) -> Void) {
        nonisolated(unsafe) let completion = completion
        SheepConnection.connecting(to: endpoint, key: key, on: eventLoop, timeLimit: Self.connectLimit).whenComplete { [self] result in
            switch result {
            case .failure(let error): completion(.failure(error as? ClientError ?? .cannotConnect(endpoint, reason: "\(error)")))
            case .success(let connection):
                // Nobody else can be asked before the first answer.
                nodes(on: connection, limit: candidates.known.isEmpty ? Self.silenceLimit : Self.connectLimit) { [self] result in
                    switch result {
                    case .success(let nodes) where candidates.learn(nodes):
                        completion(.success(Link(connection: connection, nodes: nodes)))
                    case .success:
                        connection.end()
                        completion(.failure(.refused(SheepError(.invalidArgument, "\(endpoint) is a sheep of another cluster"))))
                    case .failure(let error):
                        connection.end()
                        completion(.failure(error))
                    }
                }
            }
        }
    }

    private func nodes(
        on connection: SheepConnection, limit: TimeAmount, completion: @escaping (Result<[NodeRecord], ClientError>) -> Void
    ) {
        connection.send(.administer, body: AdministrationRequest.nodeList.wire, timeLimit: limit) { result in
            completion(
                result.flatMap { reply in
                    guard case .nodes(let nodes)? = try? AdministrationReply(wire: reply.body) else {
                        return .failure(.malformed(connection.endpoint, "no list of nodes"))
                    }
                    return .success(nodes)
                })
        }
    }

    private func adopt(_ link: Link) {
        if case .closed = state { return link.connection.end() }
        state = .connected(link)
        if endpoint != nil { logger.notice("the cluster is reached through \(link.endpoint)") }
        (endpoint, saidUnreachable) = (link.endpoint, false)
        nonisolated(unsafe) let kept = link
        link.connection.closed.whenComplete { [weak self] _ in self?.lose(kept, "the connection ended") }
        judgeFences(link)
        resubmitWaiting()
        // Those that nobody asks anything of are in use all the same: what is attached nowhere may be deleted.
        for volume in volumes.values where volume.handle == nil { reopen(volume, on: link) }
        lookLater(link)
    }

    /// Goes on elsewhere, if this is still the present link.
    private func lose(_ link: Link, _ why: String, isRefusing: Bool = false) {
        guard isPresent(link) else { return }
        logger.warning("\(link.endpoint) is lost: \(why)")
        var next: Link?
        if case .moving(_, let chosen) = state { next = chosen }
        leave(link)
        if let next { return adopt(next) }
        // It may be back at once; one that serves nothing is left alone for a round.
        if !isRefusing, ContinuousClock.now - link.since >= Self.shortLife {
            candidates.prefer(link.endpoint)
        } else {
            candidates.disappointed(by: link.endpoint)
        }
        connectNext()
    }

    private func leave(_ link: Link) {
        state = .connecting
        // What is under way on it fails, and so waits for the next.
        // Nor may it come later: what the kernel has yet is dropped.
        link.connection.abandon()
        for volume in volumes.values {
            volume.lost()
            waiting += volume.pending
            volume.pending = []
        }
    }

    private func connectNext() {
        guard case .connecting = state else { return }
        guard let endpoint = candidates.next() else {
            if !saidUnreachable { logger.error("no sheep of the cluster answers; requests wait. 'echo HOST:PORT > config/sheep_info' names another") }
            saidUnreachable = true
            candidates.restart()
            eventLoop.assumeIsolated().scheduleTask(in: Self.roundInterval) { self.connectNext() }
            return
        }
        link(to: endpoint) { [self] result in
            guard case .connecting = state else {
                if case .success(let link) = result { link.connection.end() }
                return
            }
            switch result {
            case .success(let link): adopt(link)
            case .failure(let error):
                logger.debug("\(error)")
                connectNext()
            }
        }
    }

    /// Looks after the sheep and its neighbours, as long as this is the present link; often while a fence stands.
    private func lookLater(_ link: Link, ticks: Int = 1) {
        eventLoop.assumeIsolated().scheduleTask(in: Self.tick) { [self] in
            guard isPresent(link) else { return }
            if ticks % Self.ticksBetweenLooks == 0 { link.shortCircuit?.tick() }
            guard !fences.isEmpty || ticks >= Self.ticksBetweenLooks else { return lookLater(link, ticks: ticks + 1) }
            nodes(on: link.connection, limit: Self.silenceLimit) { [self] result in
                guard isPresent(link) else { return }
                switch result {
                case .failure(let error): lose(link, "\(error)")
                case .success(let nodes):
                    link.nodes = nodes
                    _ = candidates.learn(nodes)
                    judgeFences(link)
                    lookLater(link, ticks: ticks % Self.ticksBetweenLooks + 1)
                }
            }
        }
    }

    // MARK: Fences

    private func raiseFence(_ link: Link) {
        guard !fences.contains(where: { $0.endpoint == link.endpoint }) else { return }
        fences.append(ChangeFence(endpoint: link.endpoint, gateway: link.gateway, since: .now))
    }

    private func judgeFences(_ link: Link) {
        guard !fences.isEmpty, case .connected = state else { return }
        let now = ContinuousClock.now
        let verdicts = fences.map { $0.verdict(at: link.endpoint, nodes: link.nodes, now: now) }
        if let place = verdicts.firstIndex(of: .tryAgain), !isTryingAgain {
            isTryingAgain = true
            self.link(to: fences[place].endpoint) { [self] result in
                isTryingAgain = false
                guard case .success(let back) = result else { return }
                guard isPresent(link) else { return back.connection.end() }
                leave(link)
                adopt(back)
            }
        }
        fences = zip(fences, verdicts).filter { $1 != .lifted }.map(\.0)
        guard fences.isEmpty else { return }
        let requests = held.sorted { $0.serial < $1.serial }
        held = []
        for request in requests { send(request) }
    }

    // MARK: Moving

    /// Uses another sheep from now on, once it has answered and the present one has nothing under way.
    package func move(to endpoint: SheepEndpoint, completion: @escaping (ClientError?) -> Void) {
        link(to: endpoint) { [self] result in
            switch result {
            case .failure(let error): completion(error)
            case .success(let next):
                completion(nil)
                switch state {
                case .closed: next.connection.end()
                case .connecting: adopt(next)
                case .moving: next.connection.end()
                case .connected(let link) where link.endpoint == endpoint: next.connection.end()
                case .connected(let link): beginMove(from: link, to: next)
                }
            }
        }
    }

    private func beginMove(from link: Link, to next: Link) {
        state = .moving(from: link, to: next)
        if inFlight.isEmpty { return finishMove(to: next) }
        nonisolated(unsafe) let link = link
        eventLoop.assumeIsolated().scheduleTask(in: Self.moveLimit) { [self] in
            guard case .moving(let from, _) = state, from === link else { return }
            lose(link, "it did not answer within \(Self.moveLimit.nanoseconds / 1_000_000_000) seconds")
        }
    }

    private func finishMove(to next: Link) {
        guard case .moving(let link, _) = state else { return }
        leave(link)
        adopt(next)
    }
}

extension Result where Success == SheepReply, Failure == ClientError {
    /// The sheep has done with the request, whatever it says.
    fileprivate var isAnswer: Bool {
        switch self {
        case .success, .failure(.refused): true
        case .failure: false
        }
    }
}

extension ClientError {
    fileprivate var isRefusal: Bool {
        if case .refused = self { true } else { false }
    }
}

extension VolumeRecord {
    fileprivate var information: BlockDeviceInformation {
        BlockDeviceInformation(
            name: isSnapshot ? "\(name)@\(tag.isEmpty ? String(snapshotID) : tag)" : name, description: "", size: size,
            isReadOnly: isSnapshot, identity: birth.rawValue)
    }
}
