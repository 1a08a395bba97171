import Cluster
import NIOCore
import ObjectModel
import SheepProtocol

/// A gateway's requests under way at another sheep, the owner of the volume.
struct Forwarder {
    private var pending: [(key: UInt64, request: VolumeRequest)] = []
    private var nextKey: UInt64 = 0
    /// Numbered changes, ascending. A request lives as long as something may still send it again.
    private var numbered: [(number: UInt64, request: WeakRequest)] = []
    private var lastNumber: UInt64 = 0

    private struct WeakRequest { weak var value: VolumeRequest? }

    /// Changes that were passed on and have no answer yet, those included that are about to be sent once more.
    var changes: [VolumeRequest] { numbered.compactMap(\.request.value) }

    /// When the oldest request that has no answer yet came.
    var oldest: UInt64? { pending.lazy.map(\.request.receivedAt).min() }

    /// The change has an origin of its own from now on; it stays the same over all tries.
    mutating func number(_ request: VolumeRequest, _ origin: ChangeOrigin) {
        (request.origin, lastNumber) = (origin, origin.request)
        numbered.append((origin.request, WeakRequest(value: request)))
    }

    mutating func insert(_ request: VolumeRequest) -> UInt64 {
        nextKey += 1
        pending.append((nextKey, request))
        return nextKey
    }

    /// Nil when the request was taken back meanwhile.
    mutating func remove(_ key: UInt64) -> VolumeRequest? {
        guard let at = pending.firstIndex(where: { $0.key == key }) else { return nil }
        return pending.remove(at: at).request
    }

    /// Below this number every change of this volume that came to this gateway has its reply, or will never be sent again.
    mutating func repliesSeenBelow() -> UInt64 {
        let gone = numbered.prefix { $0.request.value == nil }.count
        if gone > 0 { numbered.removeFirst(gone) }
        return numbered.first?.number ?? lastNumber + 1
    }

    /// Requests whose clients are gone: nothing sends them again, nor waits for their answers.
    mutating func takeGone() -> [VolumeRequest] {
        defer { pending.removeAll { $0.request.sender.isGone } }
        return pending.map(\.request).filter(\.sender.isGone)
    }

    /// What the lost owner has not answered, for another try under the same numbers.
    mutating func takePending() -> [VolumeRequest] {
        defer { pending = [] }
        return pending.map(\.request)
    }
}

/// The owner's memory of changes that other gateways forwarded: a repeat is answered, not executed.
struct ForwardedChanges {
    private var done: [BootID: Set<UInt64>] = [:]
    /// Below these nothing is asked for any more: what comes still was on its way when it was sent again.
    private var over: [BootID: UInt64] = [:]
    private var running: [ChangeOrigin: [PeerCompletion]] = [:]

    func isDone(_ origin: ChangeOrigin) -> Bool {
        origin.request < over[origin.boot, default: 0] || done[origin.boot]?.contains(origin.request) ?? false
    }

    mutating func finished(_ origin: ChangeOrigin) { done[origin.boot, default: []].insert(origin.request) }

    /// False: the same change is under way already, and its reply answers this one too.
    mutating func start(_ origin: ChangeOrigin, reply: @escaping PeerCompletion) -> Bool {
        if running[origin] != nil {
            running[origin]!.append(reply)
            return false
        }
        running[origin] = [reply]
        return true
    }

    mutating func takeReplies(_ origin: ChangeOrigin) -> [PeerCompletion] { running.removeValue(forKey: origin) ?? [] }

    /// The gateway has these replies: its repeats can no longer come. False: that was known.
    mutating func forget(_ boot: BootID, below request: UInt64) -> Bool {
        guard request > over[boot, default: 0] else { return false }
        over[boot] = request
        if let known = done[boot] { done[boot] = known.filter { $0 >= request } }
        return true
    }

    var repliesSeen: [ReplicaSettled.RepliesSeen] {
        over.sorted { $0.key.rawValue < $1.key.rawValue }.map { ReplicaSettled.RepliesSeen(boot: $0.key, below: $0.value) }
    }

    /// That run is over, and what it sent is refused as such.
    mutating func forget(_ boot: BootID) { (done[boot], over[boot]) = (nil, nil) }
}

extension VolumeSession {
    // MARK: As the gateway without the lease

    /// Passes a request on; a change that is not one change of one object is cut into such, each with its own number,
    /// so that what a new owner finds done of it answers a repeat.
    func forward(_ request: VolumeRequest, to owner: NodeID) {
        // Its own gateway sends it again by itself; a copy from here might come after that one, and after what was written since.
        if let origin = request.origin, origin.boot != node.boot {
            return request.fail(SheepError(.notOwner, "\(node.name) no longer holds the lease of volume \(volume.name)"))
        }
        guard case .change(let kind, let length, let data, let durable, let completion) = request.work else {
            return forwardWhole(request, to: owner)
        }
        let range = request.offset..<request.offset + length
        let cut = { [size = UInt64(objectSize), block = UInt64(blockSize)] in
            Self.endOfChange(kind, in: $0, objectSize: size, blockSize: block)
        }
        guard length > 0, cut(range) < range.upperBound else { return forwardWhole(request, to: owner) }
        PieceSeries(range, data: data, cut: cut, completion: completion) { [weak self] piece, data, done in
            guard let self else { return done(SheepError(.shuttingDown, "the volume was closed")) }
            let work = VolumeRequest.Work.change(kind, length: UInt64(piece.count), data: data, durable: durable, completion: done)
            submit(VolumeRequest(offset: piece.lowerBound, work: work, receivedAt: node.clock.now(), client: request.client))
        }.advance()
    }

    /// Where the first piece of a range ends that is one change of one object.
    private static func endOfChange(_ kind: ChangeKind, in range: Range<UInt64>, objectSize: UInt64, blockSize: UInt64) -> UInt64 {
        let (start, end) = (range.lowerBound, min(range.upperBound, (range.lowerBound / objectSize + 1) * objectSize))
        guard kind != .write else { return end }
        // An end block in part is a write; what is between is not.
        if start % blockSize != 0 { return min(end, (start / blockSize + 1) * blockSize) }
        let lastBlock = end / blockSize * blockSize
        return lastBlock > start ? lastBlock : end
    }

    private func forwardWhole(_ request: VolumeRequest, to owner: NodeID) {
        let message: ForwardRequest
        var payload: ByteBuffer?
        func make(_ kind: ForwardRequest.Kind, _ length: UInt64, durable: Bool = false, origin: ChangeOrigin? = nil) -> ForwardRequest {
            ForwardRequest(
                volume: birth, kind: kind, durable: durable, offset: request.offset, length: length,
                origin: origin ?? ChangeOrigin(boot: node.boot, request: 0), isRepeat: request.wasForwarded,
                repliesSeenBelow: forwarder.repliesSeenBelow(), logIndex: node.control.appliedIndex)
        }
        switch request.work {
        case .read(let length, _, _): message = make(.read, UInt64(length))
        case .change(let kind, let length, let data, let durable, _):
            if request.origin == nil { forwarder.number(request, node.nextOrigin()) }
            let forwarded: ForwardRequest.Kind = switch kind { case .write: .write; case .trim: .trim; case .zero: .zero }
            message = make(forwarded, length, durable: durable, origin: request.origin)
            payload = kind == .write ? data : nil
        case .flush: message = make(.flush, 0)
        case .status(let length, _): message = make(.status, length)
        }
        if node.network.isLinked(to: owner) { (request.wasForwarded, request.isKnownUndone) = (true, false) }
        let key = forwarder.insert(request)
        node.network.send(.forward, body: message.wire, payload: payload, to: owner) { [weak self] result in
            self?.forwardAnswered(key, result: result)
        }
    }

    private func forwardAnswered(_ key: UInt64, result: Result<PeerReply, SheepError>) {
        guard let request = forwarder.remove(key) else { return }
        switch result {
        case .success(let reply):
            complete(request, with: reply)
            if request.origin != nil { confirmLater() }
        case .failure(let error) where Self.isWorthAnotherTry(error.code):
            // The owner is gone, or is no owner any more: the control log will tell who is.
            submitLater(request, after: error)
        case .failure(let error):
            request.fail(error)
            if request.origin != nil { confirmLater() }
        }
    }

    /// Tries once more in a moment; fails with what kept it when it has waited for too long.
    func submitLater(_ request: VolumeRequest, after error: SheepError) {
        waitingRetries += 1
        node.clock.schedule(after: NodeTiming.retry) { [weak self] in
            guard let self else { return request.fail(error) }
            waitingRetries -= 1
            refresh()
            if case .forwarding(let owner) = mode, node.control.state.leases[birth]?.owner == nil || owner == node.identity {
                mode = .idle
            }
            let limit = node.options.inputOutputTimeout
            if limit > 0, node.clock.now() - request.receivedAt > limit { return request.fail(error) }
            submit(request)
        }
    }

    /// The owner learns soon that these are not asked for any more, should it not have begun them.
    func forgetGoneClients() {
        let gone = forwarder.takeGone() + waiting.filter(\.sender.isGone)
        if gone.isEmpty { return }
        waiting.removeAll(where: \.sender.isGone)
        for request in gone { request.fail(ChangeSender.gone) }
        confirmLater()
    }

    /// After 50 ms of silence the owner learns by a message of its own which replies were seen.
    private func confirmLater() {
        guard !confirmationPending else { return }
        confirmationPending = true
        node.clock.schedule(after: 50_000_000) { [weak self] in
            guard let self else { return }
            confirmationPending = false
            guard case .forwarding(let owner) = mode else { return }
            let message = ForwardRequest(
                volume: birth, kind: .confirm, durable: false, offset: 0, length: 0,
                origin: ChangeOrigin(boot: node.boot, request: 0), repliesSeenBelow: forwarder.repliesSeenBelow(),
                logIndex: node.control.appliedIndex)
            node.network.send(.forward, body: message.wire, payload: nil, to: owner) { [weak self] result in
                // Until it has this, the owner keeps the changes as unsettled.
                if case .failure = result { self?.confirmLater() }
            }
        }
    }

    private static func isWorthAnotherTry(_ code: SheepError.Code) -> Bool {
        switch code {
        case .unavailable, .notOwner, .stale, .noLease, .shuttingDown, .busy, .readOnly: true
        case .unknown, .noSuchObject, .inputOutput, .volumeExists, .invalidArgument, .volumeLocked, .noSuchVolume,
            .noSuchSnapshot, .snapshotExists, .notLocked, .noSpace, .notFormatted, .waitingForNodes, .tooManyVolumes,
            .noSuchAttribute, .attributeExists, .alreadyFormatted, .notSupported, .versionMismatch, .noSuchNode, .damaged,
            .accessDenied:
            false
        }
    }

    private func complete(_ request: VolumeRequest, with reply: PeerReply) {
        switch request.work {
        case .read(let length, var buffer, let completion):
            guard reply.payload.readableBytes == length else {
                return completion(.failure(SheepError(.unknown, "the owner answered \(reply.payload.readableBytes) of \(length) bytes")))
            }
            var payload = reply.payload
            buffer.writeBuffer(&payload)
            node.whenLeaseHeld { completion(.success(buffer)) }
        case .change(_, _, _, let durable, let completion):
            noteUnflushed(index: UInt32(request.offset / UInt64(objectSize)), durable: durable, origin: request.origin)
            completion(nil)
        case .flush(let completion):
            guard let index = try? LogIndex(wire: reply.body) else {
                return completion(SheepError(.unknown, "the owner's answer cannot be read"))
            }
            // That the power of the only copy was lost before it must be known here too.
            node.control.whenApplied(index) { completion(nil) }
        case .status(_, let completion):
            guard let list = try? WireList<StoredExtent>(wire: reply.body) else {
                return completion(.failure(SheepError(.unknown, "the owner's answer cannot be read")))
            }
            completion(.success(list.elements))
        }
    }

    // MARK: As the owner

    func serve(_ message: ForwardRequest, payload: ByteBuffer, from gateway: NodeID, reply: @escaping PeerCompletion) {
        // What was on its way since this sheep was the owner before has gone to another owner meanwhile, and may be done.
        guard term != nil, message.volume == birth, message.logIndex >= termSince else {
            return reply(.failure(SheepError(.notOwner, "\(node.name) does not hold the lease of volume \(volume.name)")))
        }
        confirm(message.origin.boot, below: message.repliesSeenBelow)
        guard message.offset <= volume.size, message.length <= volume.size - message.offset else {
            return reply(.failure(SheepError(.invalidArgument, "the range ends past the volume")))
        }
        if message.length == 0 {
            switch message.kind {
            case .flush, .confirm, .watch, .trimWatched: break
            case .read, .write, .trim, .zero, .status: return reply(.success(PeerReply(body: WireList<StoredExtent>([]).wire)))
            }
        }
        // A client asked for that earlier.
        if message.kind != .trimWatched {
            lastUse = node.clock.now()
            uses.passedOn(by: gateway, at: lastUse)
        }
        switch message.kind {
        case .read:
            guard message.length <= UInt64(VolumeLimits.largestRequest) else {
                return reply(.failure(SheepError(.invalidArgument, "a read of \(message.length) bytes is too long")))
            }
            submitForwarded(message, .read(length: Int(message.length), buffer: ByteBuffer()) { reply($0.map { PeerReply(payload: $0) }) })
        case .write:
            guard payload.readableBytes == Int(message.length) else {
                return reply(.failure(SheepError(.invalidArgument, "a write of \(message.length) bytes brought \(payload.readableBytes)")))
            }
            serveChange(.write, message, data: payload, reply: reply)
        case .trim: serveChange(.trim, message, data: ByteBuffer(), reply: reply)
        case .zero: serveChange(.zero, message, data: ByteBuffer(), reply: reply)
        case .flush:
            submitForwarded(message, .flush { [node] error in
                reply(error.map { .failure($0) } ?? .success(PeerReply(body: node.control.appliedIndex.wire)))
            })
        case .status:
            submitForwarded(message, .status(length: message.length) { reply($0.map { PeerReply(body: WireList($0).wire) }) })
        case .confirm: reply(.success(PeerReply()))
        case .watch:
            let isWatched = watch(at: message.offset, length: message.length, mark: message.origin)
            reply(isWatched ? .success(PeerReply()) : .failure(SheepError(.busy, "the object is being changed, or too many are watched")))
        case .trimWatched:
            trimWatched(at: message.offset, mark: message.origin) { reply(.success(PeerReply())) }
        }
    }

    /// The gateway has every reply below that number: its changes are settled.
    private func confirm(_ boot: BootID, below request: UInt64) {
        let isNews = forwarded.forget(boot, below: request)
        unconfirmed.removeAll { $0.origin.boot == boot && $0.origin.request < request }
        if isNews { tellSettledLater() }
    }

    /// The node is down: its repeats can no longer come from this run.
    func forget(gateway boot: BootID) {
        forwarded.forget(boot)
        unconfirmed.removeAll { $0.origin.boot == boot }
        delayedTrims.forget(gateway: boot)
    }

    private func submitForwarded(_ message: ForwardRequest, _ work: VolumeRequest.Work) {
        submit(VolumeRequest(offset: message.offset, work: work, receivedAt: node.clock.now()))
    }

    private func serveChange(_ kind: ChangeKind, _ message: ForwardRequest, data: ByteBuffer, reply: @escaping PeerCompletion) {
        let origin = message.origin
        // Its client may be told only now.
        changeComes(at: message.offset, length: message.length)
        if forwarded.isDone(origin) { return reply(.success(PeerReply())) }
        guard forwarded.start(origin, reply: reply) else { return }
        let ended = { [weak self] (error: SheepError?) in
            guard let self else { return }
            if error == nil { forwarded.finished(origin) }
            for reply in forwarded.takeReplies(origin) { reply(error.map { .failure($0) } ?? .success(PeerReply())) }
        }
        let request = VolumeRequest(
            offset: message.offset, work: .change(kind, length: message.length, data: data, durable: message.durable, completion: ended),
            receivedAt: node.clock.now(), origin: origin)
        if message.isRepeat { request.repeatedKnowing = message.logIndex }
        submit(request)
    }
}

/// What one request may ask for.
package enum VolumeLimits {
    /// Bytes of one read or write: NBD's customary 32 MiB.
    package static let largestRequest = 32 << 20
}
