import FrontendKit
import Logging
import NIOCore
import ObjectModel

/// One client: the channel handler that runs what the state machines of the handshake and of the transmission decide.
///
/// Everything happens on the event loop. Received bytes are worked off in ``work()``, handshake first, requests later; the
/// socket is not read while the client must wait (see ``mayRead``). Replies are written as they come and flushed once, but for long ones: at
/// the end of a read, or once a tick of the loop for completions that come outside of one.
final class NBDConnection<Provider: BlockDeviceProvider>: ChannelDuplexHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    let server: NBDServer<Provider>
    /// Nil before the channel is active and after it closed.
    private(set) var context: ChannelHandlerContext?
    var handshake: HandshakeStateMachine
    /// Set when transmission begins, with ``device``.
    var transmission: TransmissionStateMachine?
    var device: Provider.Device?
    /// Replies without data of a burst, gathered to one write.
    var smallReplies = ByteBuffer()

    /// Received and not worked off, for the client has to wait.
    private var backlog = ByteBuffer()
    private var progress = Progress.needsBytes
    private var isWorking = false
    private var isInsideRead = false
    private var isFlushScheduled = false
    private var isReadHeld = false
    private var closing = Closing.no
    private var timeLimit: Scheduled<Void>?
    /// Handed to the channel since the beginning.
    private var bytesReplied: UInt64 = 0
    private var nextRequest = NextRequestPoll()
    private var socket = ChannelSocket()
    private var requestsAnswered: UInt64 = 0

    /// How working off the received bytes goes on.
    enum Progress {
        case goesOn
        case needsBytes
        /// For the provider, or for requests under way.
        case mustWait
    }

    private enum Closing {
        case no
        /// Requests under way are answered first.
        case draining
        case flushing
    }

    init(server: NBDServer<Provider>) {
        self.server = server
        handshake = HandshakeStateMachine(
            defaultExport: server.configuration.defaultExport, maximumRequest: server.configuration.bounds.maximumRequest)
    }

    var bounds: NBDBounds { server.configuration.bounds }

    // MARK: Life

    func handlerAdded(context: ChannelHandlerContext) {
        if context.channel.isActive { begin(context) }
    }

    func channelActive(context: ChannelHandlerContext) {
        begin(context)
        context.fireChannelActive()
    }

    private func begin(_ context: ChannelHandlerContext) {
        guard self.context == nil else { return }
        self.context = context
        context.writeAndFlush(wrapOutboundOut(HandshakeStateMachine.greeting), promise: nil)
        limitHandshake(context)
    }

    func channelInactive(context: ChannelHandlerContext) {
        self.context = nil
        timeLimit?.cancel()
        timeLimit = nil
        backlog = ByteBuffer()
        transmission?.stop()
        device?.abandon()
        device = nil
        server.ended(self)
        context.fireChannelInactive()
    }

    /// A connection that breaks is no news: the client is gone, the channel closes.
    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        server.logger.debug("NBD connection broke", metadata: ["error": "\(error)"])
        context.close(promise: nil)
    }

    // MARK: Reading

    /// Bytes are wanted: the client takes its replies, and neither the provider nor a bound stands in the way.
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
        isInsideRead = true
        if backlog.readableBytes == 0 {
            backlog = received
        } else {
            // Half an option; or the client has gone, whereupon NIO delivers what was in the socket.
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

    /// Goes on after a wait.
    func resume() {
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
        while progress == .goesOn, closing == .no, let context, context.channel.isWritable {
            progress = transmission == nil ? negotiate(&received) : serve(&received)
        }
        isWorking = false
        if closing == .no, context != nil {
            if received.readableBytes > 0 { backlog = received }
            watchForStall()
        }
        if !isInsideRead { scheduleFlush() }
        finishIfDrained()
    }

    /// Receives what is there of a large payload straight into its buffer, past NIO's receive buffer: one copy less.
    func receiveDirectly(_ context: ChannelHandlerContext) {
        while let missing = transmission?.missingPayload, missing > 0, let descriptor = socket.descriptor(context) {
            let count = transmission?.receivePayload { SystemCall.receiveNow(descriptor, into: $0) } ?? 0
            if count == 0 { break }
        }
    }

    // MARK: Writing

    func write(_ reply: ByteBuffer) {
        bytesReplied += UInt64(reply.readableBytes)
        context?.write(wrapOutboundOut(reply), promise: nil)
        context?.flushIfLong(reply.readableBytes)
    }

    /// A reply was written outside of ``work()``: more may be taken, and it must be flushed in this tick.
    func repliedLater() {
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
        guard smallReplies.readableBytes > 0 else {
            context.flush()
            return awaitNextRequest(context)
        }
        var replies = smallReplies
        smallReplies = ByteBuffer()
        bytesReplied += UInt64(replies.readableBytes)
        context.write(wrapOutboundOut(replies), promise: nil)
        // Replies may be added meanwhile, when the channel becomes writable.
        context.flush()
        if smallReplies.capacity == 0 {
            // Takes new memory only if the socket did not take all at once.
            replies.clear()
            smallReplies = replies
        }
        awaitNextRequest(context)
    }

    /// Where one client alone waits for each reply before it goes on, the next request is worth a short wait.
    private func awaitNextRequest(_ context: ChannelHandlerContext) {
        let isAlone = server.isAlone(self)
        guard let transmission, transmission.requestsUnderWay == 0, !transmission.isInsideRequest else { return }
        let isSingle = transmission.requestsBegun == requestsAnswered + 1
        requestsAnswered = transmission.requestsBegun
        // More requests at once come in bursts, which polling would cut to pieces.
        guard isSingle, isAlone, let descriptor = socket.descriptor(context) else { return }
        nextRequest.wait(for: descriptor)
    }

    // MARK: Ending

    /// Takes nothing more, finishes what is under way, then closes; at once when the client takes no replies in time.
    func finish() {
        guard closing == .no, let context else { return }
        closing = .draining
        transmission?.stop()
        timeLimit?.cancel()
        timeLimit = context.eventLoop.assumeIsolated().scheduleTask(in: .seconds(bounds.stallSeconds)) { [self] in
            close(counting: \.timeLimits)
        }
        finishIfDrained()
    }

    private func finishIfDrained() {
        guard closing == .draining, !isWorking, transmission?.requestsUnderWay ?? 0 == 0, let context else { return }
        closing = .flushing
        flushNow()
        let sent = context.eventLoop.makePromise(of: Void.self)
        sent.futureResult.assumeIsolated().whenComplete { [self] _ in self.context?.close(promise: nil) }
        context.writeAndFlush(wrapOutboundOut(ByteBuffer()), promise: sent)
    }

    /// Closes at once; replies not taken are lost.
    func close(counting counter: WritableKeyPath<NBDStatistics, UInt64>) {
        server.statistics[keyPath: counter] += 1
        transmission?.stop()
        context?.close(promise: nil)
    }

    func closeNow() {
        transmission?.stop()
        context?.close(promise: nil)
    }

    // MARK: Time limits

    private func limitHandshake(_ context: ChannelHandlerContext) {
        timeLimit = context.eventLoop.assumeIsolated().scheduleTask(in: .seconds(bounds.handshakeSeconds)) { [self] in
            // The provider's time is not the client's.
            if handshake.isResolving, self.context != nil { return limitHandshake(context) }
            server.logger.debug("NBD handshake took too long")
            close(counting: \.timeLimits)
        }
    }

    func handshakeEnded() {
        timeLimit?.cancel()
        timeLimit = nil
    }

    /// Arms one timer while a request is incomplete or replies are not taken; what has not moved on when it fires has
    /// stalled. So nothing is scheduled for each request.
    private func watchForStall() {
        guard timeLimit == nil, closing == .no, let context, let before = whatIsAwaited(context) else { return }
        timeLimit = context.eventLoop.assumeIsolated().scheduleTask(in: .seconds(bounds.stallSeconds)) { [self] in
            timeLimit = nil
            guard let context = self.context, let now = whatIsAwaited(context) else { return }
            guard !now.hasMovedOn(since: before) else { return watchForStall() }
            server.logger.debug("NBD client stalled in the middle of a request or takes no replies")
            close(counting: \.timeLimits)
        }
    }

    /// What the client owes us just now: to take replies, or the rest of a request; nil: nothing.
    private func whatIsAwaited(_ context: ChannelHandlerContext) -> StallWatch? {
        guard let transmission else { return nil }
        if !context.channel.isWritable {
            let unsent = (try? context.channel.syncOptions?.getOption(.bufferedWritableBytes)) ?? 0
            return .unsent(taken: bytesReplied - min(bytesReplied, UInt64(unsent)))
        }
        guard transmission.isInsideRequest else { return nil }
        return .request(number: transmission.requestsBegun, missing: transmission.missingBytes)
    }
}

extension TimeAmount {
    static func seconds(_ amount: Double) -> TimeAmount { .nanoseconds(Int64(amount * 1e9)) }
}
