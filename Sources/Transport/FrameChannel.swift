import FrontendKit
import NIOCore
import ObjectModel
import SheepProtocol

/// Which of a listener's connections, of tools and peers, alone was replied to for a while, if one was.
final class LoneConnection {
    private var client = LoneClient()
    /// To be asked at each burst of replies of each connection.
    func isIt(_ channel: FrameChannel) -> Bool { client.isAlone(channel) }
}

/// One connection that speaks frames: cuts what comes in, gathers what goes out into one write per turn of the loop.
final class FrameChannel: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private var context: ChannelHandlerContext?
    private var reader = FrameReader()
    private var flushPending = false
    var received: ((Frame) -> Void)?
    /// Called once when the connection is gone; the error says why, if the other side broke the protocol.
    var closed: ((WireError?) -> Void)?
    private var violation: WireError?
    private var isCutting = false
    /// Pieces of data that have come.
    private(set) var arrivals: UInt64 = 0
    /// A tool that uses volumes, and not a peer: where it asks for one thing after the other, the next one is looked for before the loop sleeps.
    var usesVolumes = false
    private let lone: LoneConnection?
    private var nextRequest = NextRequestPoll()
    private var socket = ChannelSocket()
    /// Taken and not replied to; those taken since the last reply left.
    private var (underWay, begunSinceReply) = (0, 0)

    /// `lone` is shared by all connections of a listener; nil: the next request is never looked for.
    init(lone: LoneConnection? = nil) { self.lone = lone }

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
    }

    func handlerRemoved(context: ChannelHandlerContext) { self.context = nil }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        // What comes while frames are cut is the rest of a connection that a reply found broken: nobody hears the answers.
        guard violation == nil, !isCutting else { return }
        isCutting = true
        defer { isCutting = false }
        arrivals &+= 1
        do throws(WireError) {
            try reader.append(unwrapInboundIn(data)) {
                underWay += 1
                begunSinceReply += 1
                received?($0)
            }
        } catch {
            violation = error
            context.close(promise: nil)
        }
    }

    func channelInactive(context: ChannelHandlerContext) {
        let closed = self.closed
        (self.closed, received) = (nil, nil)
        closed?(violation)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }

    func write(_ header: FrameHeader, body: [UInt8], payload: ByteBuffer?) {
        guard let context else { return }
        context.write(wrapOutboundOut(context.channel.allocator.frameHead(header, body: body)), promise: nil)
        if let payload, payload.readableBytes > 0 { context.write(wrapOutboundOut(payload), promise: nil) }
        flushSoon(context)
    }

    /// Everything written in this turn of the loop leaves with one system call at its end, but for long replies.
    private func flushSoon(_ context: ChannelHandlerContext) {
        guard !flushPending else { return }
        flushPending = true
        context.eventLoop.assumeIsolated().execute { [weak self] in
            self?.flushNow()
        }
    }

    private func flushNow() {
        flushPending = false
        guard let context else { return }
        context.flush()
        let isLone = lone?.isIt(self) ?? false
        guard usesVolumes, underWay == 0 else { return }
        defer { begunSinceReply = 0 }
        // More requests at once come in bursts, which polling would cut to pieces.
        guard begunSinceReply == 1, isLone, let descriptor = socket.descriptor(context) else { return }
        nextRequest.wait(for: descriptor)
    }

    func reply(to header: FrameHeader, with result: Result<(body: [UInt8], payload: ByteBuffer), SheepError>) {
        underWay -= 1
        switch result {
        case .success(let answer):
            write(
                FrameHeader(
                    operation: header.operation, id: header.id, bodyLength: answer.body.count,
                    payloadLength: answer.payload.readableBytes),
                body: answer.body, payload: answer.payload)
            context?.flushIfLong(answer.payload.readableBytes)
        case .failure(let error):
            let body = error.wire
            write(
                FrameHeader(
                    operation: header.operation, id: header.id, bodyLength: body.count, payloadLength: 0,
                    result: error.code.rawValue),
                body: body, payload: nil)
        }
    }

    func close() { context?.close(promise: nil) }
}
