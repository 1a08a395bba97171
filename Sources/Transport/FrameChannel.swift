import NIOCore
import ObjectModel
import SheepProtocol

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
    /// Pieces of data that have come.
    private(set) var arrivals: UInt64 = 0

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
    }

    func handlerRemoved(context: ChannelHandlerContext) { self.context = nil }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard violation == nil else { return }
        arrivals &+= 1
        do throws(WireError) {
            try reader.append(unwrapInboundIn(data)) { received?($0) }
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

    /// Everything written in this turn of the loop leaves with one system call at its end.
    private func flushSoon(_ context: ChannelHandlerContext) {
        guard !flushPending else { return }
        flushPending = true
        context.eventLoop.assumeIsolated().execute { [weak self] in
            self?.flushPending = false
            self?.context?.flush()
        }
    }

    func reply(to header: FrameHeader, with result: Result<(body: [UInt8], payload: ByteBuffer), SheepError>) {
        switch result {
        case .success(let answer):
            write(
                FrameHeader(
                    operation: header.operation, id: header.id, bodyLength: answer.body.count,
                    payloadLength: answer.payload.readableBytes),
                body: answer.body, payload: answer.payload)
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
