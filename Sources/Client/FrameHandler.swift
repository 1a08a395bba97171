import FrontendKit
import NIOCore
import ObjectModel
import SheepProtocol

/// Frames of one connection: writes requests, hands each reply to who waits for it. Lives on the channel's event loop.
final class FrameHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let endpoint: SheepEndpoint
    private var table = RequestTable()
    private var received = ByteBuffer()
    /// What `received` lacks of its first frame, or of that one's header; it is a buffer of that frame's own then, so that what was
    /// delivered before shares nothing with it.
    private var missing = 0
    private var context: ChannelHandlerContext?
    /// While a burst is read, requests made by completions are flushed together at its end.
    private var isReading = false
    private var failure: ClientError?
    private var nextReply = NextRequestPoll()
    private var socket = ChannelSocket()

    init(endpoint: SheepEndpoint) { self.endpoint = endpoint }

    func handlerAdded(context: ChannelHandlerContext) { self.context = context }
    func handlerRemoved(context: ChannelHandlerContext) { self.context = nil }

    /// Sends a request; the completion comes on the event loop, exactly once.
    func send(
        _ operation: Operation, body: [UInt8], payload: ByteBuffer?, timeLimit: TimeAmount?,
        completion: @escaping (Result<SheepReply, ClientError>) -> Void
    ) {
        guard let context, failure == nil else {
            return completion(.failure(failure ?? .connectionLost(endpoint, reason: "closed")))
        }
        precondition(body.count <= FrameHeader.maximumBody)
        precondition((payload?.readableBytes ?? 0) <= FrameHeader.maximumPayload)
        let id = table.nextID()
        let expiry = timeLimit.map { limit in
            context.eventLoop.assumeIsolated().scheduleTask(in: limit) { self.expire(id: id, after: limit) }
        }
        table.insert(.init(operation: operation, completion: completion, timeLimit: expiry), id: id)
        write(FrameHeader(
            operation: operation, id: id, bodyLength: body.count, payloadLength: payload?.readableBytes ?? 0),
            body: body, payload: payload, context: context)
    }

    private func write(_ header: FrameHeader, body: [UInt8], payload: ByteBuffer?, context: ChannelHandlerContext) {
        var buffer = context.channel.allocator.buffer(capacity: FrameHeader.size + body.count)
        buffer.writeWithUnsafeMutableBytes(minimumWritableBytes: FrameHeader.size) { raw in
            header.encode(into: raw)
            return FrameHeader.size
        }
        buffer.writeBytes(body)
        context.write(wrapOutboundOut(buffer), promise: nil)
        if let payload { context.write(wrapOutboundOut(payload), promise: nil) }
        if !isReading { context.flush() }
    }

    /// Waits for a moment, without sleeping, when one reply alone is to come; true when it has begun to.
    func awaitReply() -> Bool {
        guard table.count == 1, let context, let descriptor = socket.descriptor(context) else { return false }
        return nextReply.wait(for: descriptor)
    }

    private func expire(id: UInt32, after limit: TimeAmount) {
        let request = table.remove(id: id)
        request?.completion(.failure(.timedOut(endpoint, seconds: Int(limit.nanoseconds / 1_000_000_000))))
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        isReading = true
        var incoming = unwrapInboundIn(data)
        do throws(WireError) {
            repeat {
                take(&incoming)
                while let header = try nextHeader() { deliver(header) }
            } while incoming.readableBytes > 0
        } catch {
            fail(.malformed(endpoint, error.text), context: context)
        }
    }

    /// Moves on what came: without copying where no frame is waiting for its rest, else so much as that lacks.
    private func take(_ incoming: inout ByteBuffer) {
        if missing == 0 {
            swap(&received, &incoming)
            incoming = ByteBuffer()
        } else {
            var rest = incoming.readSlice(length: min(missing, incoming.readableBytes))!
            missing -= rest.readableBytes
            received.writeBuffer(&rest)
        }
    }

    /// Begins to gather a frame of so many bytes, as far as they are known.
    private func gather(_ length: Int) {
        missing = length - received.readableBytes
        var own = ByteBuffer()
        own.reserveCapacity(length)
        own.writeBuffer(&received)
        received = own
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        isReading = false
        context.flush()
    }

    /// The header at the front of what was received, when its whole frame is there.
    private func nextHeader() throws(WireError) -> FrameHeader? {
        guard missing == 0, received.readableBytes > 0 else { return nil }
        guard received.readableBytes >= FrameHeader.size else {
            gather(FrameHeader.size)
            return nil
        }
        let result = received.withUnsafeReadableBytes { raw in
            Result<FrameHeader, WireError> { () throws(WireError) in try FrameHeader(from: raw) }
        }
        let header = try result.get()
        let length = FrameHeader.size + header.bodyLength + header.payloadLength
        guard received.readableBytes >= length else {
            gather(length)
            return nil
        }
        return header
    }

    private func deliver(_ header: FrameHeader) {
        received.moveReaderIndex(forwardBy: FrameHeader.size)
        let body = received.readBytes(length: header.bodyLength)!
        let payload = received.readSlice(length: header.payloadLength)!
        if received.readableBytes == 0 { received = ByteBuffer() }
        guard let request = table.remove(id: header.id) else { return }
        request.completion(outcome(of: request, header: header, body: body, payload: payload))
    }

    private func outcome(
        of request: RequestTable.Waiting, header: FrameHeader, body: [UInt8], payload: ByteBuffer
    ) -> Result<SheepReply, ClientError> {
        guard header.operation == request.operation else {
            return .failure(.malformed(endpoint, "a reply to another operation"))
        }
        guard header.result != 0 else { return .success(SheepReply(body: body, payload: payload)) }
        guard let error = try? SheepError(wire: body) else {
            return .failure(.refused(SheepError(.init(rawValue: header.result) ?? .unknown, "")))
        }
        return .failure(.refused(error))
    }

    func channelInactive(context: ChannelHandlerContext) {
        fail(.connectionLost(endpoint, reason: "closed by the sheep"), context: context)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        fail(.connectionLost(endpoint, reason: text(of: error)), context: context)
    }

    /// Ends the connection: everything that waits fails with the first reason.
    private func fail(_ reason: ClientError, context: ChannelHandlerContext) {
        let first = failure ?? reason
        failure = first
        (received, missing) = (ByteBuffer(), 0)
        for request in table.removeAll() { request.completion(.failure(first)) }
        context.close(promise: nil)
    }
}
