import Glibc
import NIOCore
import NIOPosix
import ObjectModel
import SheepProtocol

/// A sheep made of one thread and a ``FakeCluster``: speaks frames on a free port of the loopback.
final class FakeSheep: Sendable {
    enum Manners: Sendable {
        case polite
        /// Answers what came in one burst in reverse order.
        case reversing
        /// Reads and says nothing.
        case silent
        /// Closes the connection at the first request.
        case hangingUp
        /// Answers with bytes that are no frame.
        case babbling
        /// Stops listening and closes the connection at the first write, which it does not do.
        case dyingAtWrite
    }

    let cluster: FakeCluster
    let port: UInt16
    private let channel: any Channel

    private init(cluster: FakeCluster, channel: any Channel) {
        (self.cluster, self.channel) = (cluster, channel)
        port = UInt16(channel.localAddress!.port!)
    }

    /// Runs the body with a sheep that is gone afterwards, however the body ends.
    static func with<Result>(
        _ manners: Manners = .polite, cluster: FakeCluster = FakeCluster(), _ body: (FakeSheep) async throws -> Result
    ) async throws -> Result {
        let channel = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(FakeHandler(manners: manners, cluster: cluster))
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        do {
            let result = try await body(FakeSheep(cluster: cluster, channel: channel))
            if manners == .dyingAtWrite { try? await channel.close() } else { try await channel.close() }
            return result
        } catch {
            try? await channel.close()
            throw error
        }
    }
}

/// A port that is bound and where nobody listens, so that no other test can come to listen there meanwhile.
enum DeafPort {
    static func with<Result>(_ body: (UInt16) async throws -> Result) async throws -> Result {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(descriptor) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        try withUnsafeMutablePointer(to: &address) { pointer in
            try pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { generic in
                try check(bind(descriptor, generic, length))
                try check(getsockname(descriptor, generic, &length))
            }
        }
        return try await body(UInt16(bigEndian: address.sin_port))
    }
}

private final class FakeHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let manners: FakeSheep.Manners
    private let cluster: FakeCluster
    private var received = ByteBuffer()
    private var answers: [ByteBuffer] = []

    init(manners: FakeSheep.Manners, cluster: FakeCluster) { (self.manners, self.cluster) = (manners, cluster) }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var incoming = unwrapInboundIn(data)
        received.writeBuffer(&incoming)
        while let header = try? received.withUnsafeReadableBytes({ try FrameHeader(from: $0) }),
            received.readableBytes >= FrameHeader.size + header.bodyLength + header.payloadLength
        {
            received.moveReaderIndex(forwardBy: FrameHeader.size)
            let body = received.readBytes(length: header.bodyLength)!
            let payload = received.readBytes(length: header.payloadLength)!
            switch manners {
            case .dyingAtWrite where header.operation == .deviceWrite:
                context.channel.parent?.close(promise: nil)
                context.close(promise: nil)
            case .polite, .reversing, .dyingAtWrite: answers.append(answer(header, body: body, payload: payload))
            case .silent: break
            case .hangingUp: context.close(promise: nil)
            case .babbling: answers.append(ByteBuffer(repeating: 0x55, count: 64))
            }
        }
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        if manners == .reversing { answers.reverse() }
        for answer in answers { context.write(wrapOutboundOut(answer), promise: nil) }
        answers = []
        context.flush()
    }

    private func answer(_ header: FrameHeader, body: [UInt8], payload: [UInt8]) -> ByteBuffer {
        do {
            let reply = try cluster.answer(header.operation, body: body, payload: payload)
            return frame(header, body: reply.body, payload: reply.payload, result: 0)
        } catch {
            let error = error as? SheepError ?? SheepError(.invalidArgument, "\(error)")
            return frame(header, body: error.wire, payload: [], result: error.code.rawValue)
        }
    }

    private func frame(_ request: FrameHeader, body: [UInt8], payload: [UInt8], result: UInt32) -> ByteBuffer {
        let header = FrameHeader(
            operation: request.operation, id: request.id, bodyLength: body.count, payloadLength: payload.count,
            result: result)
        var buffer = ByteBuffer()
        buffer.writeWithUnsafeMutableBytes(minimumWritableBytes: FrameHeader.size) { raw in
            header.encode(into: raw)
            return FrameHeader.size
        }
        buffer.writeBytes(body)
        buffer.writeBytes(payload)
        return buffer
    }
}
