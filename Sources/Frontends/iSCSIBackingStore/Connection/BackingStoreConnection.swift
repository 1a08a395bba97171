import FrontendKit
import Logging
import NIOCore
import ObjectModel

/// One client: the channel handler that runs what ``RequestStateMachine`` decides.
///
/// Everything happens on the event loop. Received bytes are worked off in ``work()``; the socket is not read while the client
/// must wait (see ``mayRead``). Replies are written as they come and flushed once, but for long ones: at the end of a read, or once a tick of the
/// loop for completions that come outside of one.
final class BackingStoreConnection<Backend: SheepdogVolumes>: ChannelDuplexHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    let server: BackingStoreServer<Backend>
    /// Nil before the channel is active and after it closed.
    private(set) var context: ChannelHandlerContext?
    private var socket = ChannelSocket()
    var requests: RequestStateMachine
    /// Replies without data of a burst, gathered to one write.
    private var smallReplies = ByteBuffer()

    /// The volumes that this client uses, and the one that it used last.
    private var volumes: [VID: OpenVolume<Backend.Device>] = [:]
    private var latestVolume: OpenVolume<Backend.Device>?
    /// Through which it asks, beside those that all share; the last one is that which it used last.
    private var devices: [(shared: Backend.Device, own: Backend.Device)] = []
    /// Those that were snapshots when it first used them, and the families of which it used a working volume.
    private var snapshots: Set<VID> = []
    private var familiesWorkedOn: Set<Family> = []
    /// Those that it exports, being tgt, and the one that it used last.
    private var attached: [VID: OpenVolume<Backend.Device>] = [:]
    private var latestAttached: OpenVolume<Backend.Device>?

    /// Received and not worked off, for the client has to wait.
    private var backlog = ByteBuffer()
    private var progress = Progress.needsBytes
    private var isWorking = false
    private var isInsideRead = false
    private var isFlushScheduled = false
    private var isReadHeld = false
    private var closing = Closing.no
    private var timeLimit: Scheduled<Void>?
    /// Of a request that is being served and still in the socket. Bytes.
    private var lookedAt = 0
    /// Handed to the channel since the beginning.
    private var bytesReplied: UInt64 = 0
    /// The next request waits for the sheep to join the cluster.
    private var waitingSince: NIODeadline?

    /// How working off the received bytes goes on.
    enum Progress {
        case goesOn
        case needsBytes
        /// For requests under way.
        case mustWait
    }

    private enum Closing {
        case no
        /// Requests under way are answered first.
        case draining
        case flushing
    }

    init(server: BackingStoreServer<Backend>) {
        self.server = server
        let bounds = server.configuration.bounds
        requests = RequestStateMachine(limits: .init(requests: bounds.requestsUnderWay, bytes: bounds.bytesUnderWay))
    }

    var bounds: BackingStoreBounds { server.configuration.bounds }
    var backend: Backend { server.backend }

    // MARK: Life

    func handlerAdded(context: ChannelHandlerContext) {
        if context.channel.isActive { self.context = context }
    }

    func channelActive(context: ChannelHandlerContext) {
        self.context = context
        context.fireChannelActive()
    }

    func channelInactive(context: ChannelHandlerContext) {
        self.context = nil
        timeLimit?.cancel()
        timeLimit = nil
        backlog = ByteBuffer()
        requests.stop()
        for volume in attached.values { volume.attachments -= 1 }
        for device in devices { device.own.abandon() }
        devices = []
        for volume in volumes.values { server.volumes.release(volume) }
        (volumes, latestVolume, attached, latestAttached) = ([:], nil, [:], nil)
        server.ended(self)
        context.fireChannelInactive()
    }

    /// A connection that breaks is no news: the client is gone, the channel closes.
    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        server.logger.debug("connection of a Sheepdog client broke", metadata: ["error": "\(error)"])
        context.close(promise: nil)
    }

    // MARK: Volumes

    /// The volume that has the VID now, as far as the control log is applied here.
    @inline(__always)
    func volume(_ vid: VID) -> OpenVolume<Backend.Device>? {
        if let latestVolume, latestVolume.vid == vid {
            latestVolume.refresh(from: backend)
            return latestVolume.volume == nil ? nil : latestVolume
        }
        return otherVolume(vid)
    }

    private func otherVolume(_ vid: VID) -> OpenVolume<Backend.Device>? {
        // A client that is gone uses nothing any more.
        guard context != nil else { return nil }
        if let known = volumes[vid] {
            known.refresh(from: backend)
            guard known.volume != nil else { return nil }
            latestVolume = known
            return known
        }
        guard let new = server.volumes.use(vid) else { return nil }
        volumes[vid] = new
        latestVolume = new
        noteFirstUse(of: new)
        return new
    }

    /// This client's own device of a volume that is open. Those of former births stay, for what was asked through them may still wait.
    @inline(__always)
    func device(of shared: Backend.Device) -> Backend.Device {
        if let latest = devices.last, latest.shared === shared { return latest.own }
        return otherDevice(of: shared)
    }

    private func otherDevice(of shared: Backend.Device) -> Backend.Device {
        if let place = devices.firstIndex(where: { $0.shared === shared }) {
            devices.swapAt(place, devices.count - 1)
        } else {
            devices.append((shared, shared.forAnotherClient()))
        }
        return devices[devices.count - 1].own
    }

    private func noteFirstUse(of new: OpenVolume<Backend.Device>) {
        guard let volume = new.volume else { return }
        switch volume.state {
        case .working: familiesWorkedOn.insert(volume.family)
        case .snapshot: snapshots.insert(volume.vid)
        case .replaced, .deleted: break
        }
    }

    /// The client reads the snapshot, deleted or not, for its own sake, and not because its volume had that VID before.
    func readsSnapshot(_ volume: SheepdogVolume) -> Bool { snapshots.contains(volume.vid) && !familiesWorkedOn.contains(volume.family) }

    /// tgt does input and output on the volume.
    @inline(__always)
    func attach(_ volume: OpenVolume<Backend.Device>) {
        if latestAttached !== volume { attachFirst(volume) }
    }

    private func attachFirst(_ volume: OpenVolume<Backend.Device>) {
        guard context != nil else { return }
        latestAttached = volume
        if attached.updateValue(volume, forKey: volume.vid) == nil { volume.attachments += 1 }
    }

    // MARK: Reading

    /// Bytes are wanted: the client takes its replies, and no bound stands in the way.
    private var mayRead: Bool {
        guard progress == .needsBytes, closing == .no, let context else { return false }
        return context.channel.isWritable
    }

    func read(context: ChannelHandlerContext) {
        guard self.context == nil || mayRead else {
            isReadHeld = true
            return
        }
        context.read()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var received = unwrapInboundIn(data)
        // The client has gone while its request was served: NIO delivers that too.
        received.moveReaderIndex(forwardBy: min(lookedAt, received.readableBytes))
        lookedAt = 0
        guard received.readableBytes > 0 else { return }
        isInsideRead = true
        if backlog.readableBytes == 0 {
            backlog = received
        } else {
            // The client has gone, whereupon NIO delivers what was in the socket.
            backlog.writeBuffer(&received)
        }
        work()
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        isInsideRead = false
        flushNow()
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        if context.channel.isWritable { resume() }
    }

    /// Serves the request that the socket has, and takes it from there only when it is answered; false: it is left to NIO, as are those
    /// with data. Linux wakes who waits in a receive on the other end, as each of tgt's threads does, when a request is taken from a unix
    /// socket; once the reply is there nobody waits.
    func serveNext() -> Bool {
        guard backlog.readableBytes == 0, !requests.isInsideRequest, mayRead, let descriptor else { return false }
        // With room for one byte more it shows whether that is all.
        var request = ByteBufferAllocator().buffer(capacity: RequestHeader.size + 1)
        request.writeWithUnsafeMutableBytes(minimumWritableBytes: RequestHeader.size + 1) { SystemCall.peekNow(descriptor, into: $0) }
        guard request.readableBytes == RequestHeader.size, !request.withUnsafeReadableBytes(RequestHeader.init(from:)).flags.contains(.write)
        else { return false }
        server.statistics.requestsLookedAt &+= 1
        lookedAt = RequestHeader.size
        isInsideRead = true
        backlog = request
        work()
        isInsideRead = false
        flushNow()
        guard lookedAt > 0, let descriptor = self.descriptor else { return true }
        lookedAt = 0
        let taken = withUnsafeTemporaryAllocation(byteCount: RequestHeader.size, alignment: 1) { SystemCall.receiveNow(descriptor, into: $0) }
        // The client is gone, or what was answered would come again.
        if taken != RequestHeader.size { closeNow() }
        return true
    }

    /// Goes on after a wait.
    private func resume() {
        guard !isWorking, context != nil else { return }
        if progress != .needsBytes { work() }
        if isReadHeld, mayRead {
            isReadHeld = false
            context?.read()
        }
    }

    /// Works off received bytes as far as the client may go on now.
    private func work() {
        guard !isWorking else { return }
        isWorking = true
        var received = backlog
        backlog = ByteBuffer()
        progress = .goesOn
        while progress == .goesOn, closing == .no, let context, context.channel.isWritable { progress = serve(&received, context) }
        isWorking = false
        if closing == .no, context != nil {
            if received.readableBytes > 0 { backlog = received }
            watchForStall()
        }
        if !isInsideRead { scheduleFlush() }
        finishIfDrained()
    }

    /// Payloads that lack so much are worth a system call of their own. Bytes.
    private static var directReceiveThreshold: Int { 32 << 10 }

    private func serve(_ received: inout ByteBuffer, _ context: ChannelHandlerContext) -> Progress {
        switch requests.next(&received, verdict: verdict) {
        case .wait:
            guard requests.missingPayload >= Self.directReceiveThreshold else { return .needsBytes }
            receiveDirectly(context)
            return requests.missingPayload == 0 ? .goesOn : .needsBytes
        case .atLimit:
            return .mustWait
        case .notYet:
            context.eventLoop.assumeIsolated().scheduleTask(in: .milliseconds(20)) { [self] in resume() }
            return .mustWait
        case .execute(let request, let opcode, let payload):
            server.requestBegan()
            server.statistics.requests &+= 1
            execute(request, opcode, payload)
        case .refuse(let request, let result):
            server.statistics.requests &+= 1
            server.statistics.requestsFailed += 1
            ReplyHeader(to: request, epoch: server.epoch, result: result).encode(into: &smallReplies)
        case .disconnect(let violation):
            server.logger.debug("a Sheepdog client broke the protocol", metadata: ["reason": "\(violation)"])
            close(counting: \.protocolErrors)
        }
        return .goesOn
    }

    private func verdict(on request: RequestHeader) -> RequestValidator.Verdict {
        let verdict = RequestValidator.verdict(on: request, readiness: backend.readiness) { request in
            // Of an unknown volume nothing is read or written, but what is sent to it is taken.
            min(volume(request.object.vid)?.volume?.objectShift.objectSize ?? 4 << 20, bounds.maximumRequest)
        }
        guard verdict == .notYet else {
            waitingSince = nil
            return verdict
        }
        let since = waitingSince ?? .now()
        waitingSince = since
        return .now() - since < .seconds(bounds.joinSeconds) ? .notYet : .refused(.waitingForJoin)
    }

    /// Receives what is there of a large payload straight into its buffer, past NIO's receive buffer: one copy less.
    private func receiveDirectly(_ context: ChannelHandlerContext) {
        while requests.missingPayload > 0, let descriptor = socket.descriptor(context) {
            let count = requests.receivePayload { SystemCall.receiveNow(descriptor, into: $0) }
            if count == 0 { break }
        }
    }

    private func execute(_ request: RequestHeader, _ opcode: Opcode, _ payload: ByteBuffer) {
        switch opcode {
        case .readObject: readObject(request)
        case .createAndWriteObject, .writeObject: writeObject(request, payload, mayCreate: opcode == .createAndWriteObject)
        case .removeObject, .discardObject: discardObject(request)
        case .newVolume: newVolume(request, payload)
        case .lockVolume, .getVolumeInformation: findVolume(request, payload, lock: opcode == .lockVolume)
        case .releaseVolume: releaseVolume(request)
        case .deleteVolume: deleteVolume(request, payload)
        case .flushVolume: flushVolume(request)
        case .readVolumeIDs, .readDeletedVolumeIDs: readVolumeIDs(request, deleted: opcode == .readDeletedVolumeIDs)
        case .getClusterDefault: getClusterDefault(request)
        case .getNodeList: getNodeList(request)
        case .statSheep: statSheep(request)
        case .statCluster: statCluster(request)
        case .getStoreList: reply(to: request, with: ByteBuffer(string: "plain tree "))
        case .statRecovery: reply(to: request, with: ByteBuffer(repeating: 0, count: 24))
        case .flushDeletedCache: completed(request, .success)
        case .getVolumeStates: getVolumeStates(request)
        case .diskInformation: getDiskInformation(request)
        case .objectExists: objectExists(request)
        case .clusterInformation: getClusterInformation(request)
        }
    }

    /// The descriptor, for as long as the connection is open.
    var descriptor: CInt? { context.flatMap { socket.descriptor($0) } }

    // MARK: Replying

    /// Answers without data.
    func completed(_ request: RequestHeader, _ result: ResultCode) {
        completed(request, ReplyHeader(to: request, epoch: server.epoch, result: result))
    }

    func completed(_ request: RequestHeader, _ error: SheepError?) {
        completed(request, error.map { ResultCode($0.code) } ?? .success)
    }

    func completed(_ request: RequestHeader, _ reply: ReplyHeader) {
        server.requestEnded()
        requests.completed(bytes: request.dataUnderWay)
        if reply.result != .success { server.statistics.requestsFailed += 1 }
        reply.encode(into: &smallReplies)
        repliedLater()
    }

    /// Answers with data as much as the client has room for.
    func reply(to request: RequestHeader, with data: ByteBuffer, _ change: (inout ReplyHeader) -> Void = { _ in }) {
        var data = data.getSlice(at: data.readerIndex, length: min(data.readableBytes, Int(request.dataLength)))!
        var header = ReplyHeader(to: request, epoch: server.epoch, dataLength: UInt32(data.readableBytes))
        change(&header)
        var buffer = ByteBufferAllocator().buffer(capacity: ReplyHeader.size + data.readableBytes)
        header.encode(into: &buffer)
        buffer.writeBuffer(&data)
        completed(request, whole: buffer)
    }

    /// The header of a successful read's reply, with room for its data.
    func readReplyHeader(_ request: RequestHeader) -> ByteBuffer {
        var buffer = ByteBufferAllocator().buffer(capacity: ReplyHeader.size + Int(request.dataLength))
        ReplyHeader(to: request, epoch: server.epoch, dataLength: request.dataLength).encode(into: &buffer)
        return buffer
    }

    /// Answers with a header and its data.
    func completed(_ request: RequestHeader, whole reply: ByteBuffer) {
        server.requestEnded()
        requests.completed(bytes: request.dataUnderWay)
        bytesReplied += UInt64(reply.readableBytes)
        context?.write(wrapOutboundOut(reply), promise: nil)
        context?.flushIfLong(reply.readableBytes)
        repliedLater()
    }

    /// A reply was written, perhaps outside of ``work()``: then more may be taken, and it must be flushed in this tick.
    private func repliedLater() {
        guard !isWorking else { return }
        resume()
        if !isInsideRead { scheduleFlush() }
        finishIfDrained()
    }

    private func scheduleFlush() {
        guard !isFlushScheduled, let context else { return }
        isFlushScheduled = true
        context.eventLoop.assumeIsolatedUnsafeUnchecked().execute { [self] in
            isFlushScheduled = false
            flushNow()
        }
    }

    private func flushNow() {
        guard let context else { return }
        defer { server.repliesFlushed() }
        guard smallReplies.readableBytes > 0 else { return context.flush() }
        var replies = smallReplies
        smallReplies = ByteBuffer()
        bytesReplied += UInt64(replies.readableBytes)
        context.write(wrapOutboundOut(replies), promise: nil)
        // Replies may be added meanwhile, when the channel becomes writable.
        context.flush()
        guard smallReplies.capacity == 0 else { return }
        // Takes new memory only if the socket did not take all at once.
        replies.clear()
        smallReplies = replies
    }

    // MARK: Ending

    /// Takes nothing more, finishes what is under way, then closes; at once when the client takes no replies in time.
    func finish() {
        guard closing == .no, let context else { return }
        closing = .draining
        requests.stop()
        timeLimit?.cancel()
        timeLimit = context.eventLoop.assumeIsolated().scheduleTask(in: .seconds(bounds.stallSeconds)) { [self] in
            close(counting: \.timeLimits)
        }
        finishIfDrained()
    }

    private func finishIfDrained() {
        guard closing == .draining, !isWorking, requests.requestsUnderWay == 0, let context else { return }
        closing = .flushing
        flushNow()
        let sent = context.eventLoop.makePromise(of: Void.self)
        sent.futureResult.assumeIsolated().whenComplete { [self] _ in self.context?.close(promise: nil) }
        context.writeAndFlush(wrapOutboundOut(ByteBuffer()), promise: sent)
    }

    /// Closes at once; replies not taken are lost.
    private func close(counting counter: WritableKeyPath<BackingStoreStatistics, UInt64>) {
        server.statistics[keyPath: counter] += 1
        closeNow()
    }

    func closeNow() {
        requests.stop()
        context?.close(promise: nil)
    }

    // MARK: Time limits

    /// Arms one timer while a request is incomplete or replies are not taken; what has not moved on when it fires has
    /// stalled. So nothing is scheduled for each request.
    private func watchForStall() {
        guard timeLimit == nil, closing == .no, let context, let before = whatIsAwaited(context) else { return }
        timeLimit = context.eventLoop.assumeIsolated().scheduleTask(in: .seconds(bounds.stallSeconds)) { [self] in
            timeLimit = nil
            guard let context = self.context, let now = whatIsAwaited(context) else { return }
            guard !now.hasMovedOn(since: before) else { return watchForStall() }
            server.logger.debug("a Sheepdog client stalled in the middle of a request or takes no replies")
            close(counting: \.timeLimits)
        }
    }

    /// What the client owes us just now: to take replies, or the rest of a request; nil: nothing.
    private func whatIsAwaited(_ context: ChannelHandlerContext) -> StallWatch? {
        if !context.channel.isWritable {
            let unsent = (try? context.channel.syncOptions?.getOption(.bufferedWritableBytes)) ?? 0
            return .unsent(taken: bytesReplied - min(bytesReplied, UInt64(unsent)))
        }
        guard requests.isInsideRequest else { return nil }
        return .request(number: requests.requestsBegun, missing: requests.missingBytes)
    }
}

extension TimeAmount {
    static func seconds(_ amount: Double) -> TimeAmount { .nanoseconds(Int64(amount * 1e9)) }
}
