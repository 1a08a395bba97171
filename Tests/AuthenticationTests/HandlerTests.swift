import NIOCore
import NIOEmbedded
import ObjectModel
import SheepProtocol
import Testing

import Authentication

/// The two handlers on channels without a network, bytes carried by hand.
@Suite("Proof of the cluster's key, over bytes")
struct HandlerTests {
    /// What stands behind the handler that is tested.
    private final class Behind: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        var received = ByteBuffer()

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            var bytes = unwrapInboundIn(data)
            received.writeBuffer(&bytes)
        }
    }

    private final class Side {
        let channel = EmbeddedChannel()
        let behind = Behind()
        var outcome: Result<KeyDialer?, SheepError>?
        var wasCalled = 0

        func written() throws -> ByteBuffer {
            var all = ByteBuffer()
            while var part = try channel.readOutbound(as: ByteBuffer.self) { all.writeBuffer(&part) }
            return all
        }
    }

    private func dialer(_ key: ClusterKey = key) throws -> Side {
        let side = Side()
        try side.channel.pipeline.syncOperations.addHandler(
            DialingHandler(key: key, dialer: .tool, expected: nil) { refusal in
                side.wasCalled += 1
                side.outcome = refusal.map { .failure(SheepError(.accessDenied, $0)) } ?? .success(nil)
            })
        try side.channel.pipeline.syncOperations.addHandler(side.behind)
        side.channel.connect(to: try SocketAddress(ipAddress: "127.0.0.1", port: 1), promise: nil)
        return side
    }

    private func listener(_ key: ClusterKey = key) throws -> Side {
        let side = Side()
        try side.channel.pipeline.syncOperations.addHandler(
            ListeningHandler(key: key, own: bob) { result in
                side.wasCalled += 1
                side.outcome = result.map { $0 }
            })
        try side.channel.pipeline.syncOperations.addHandler(side.behind)
        side.channel.connect(to: try SocketAddress(ipAddress: "127.0.0.1", port: 1), promise: nil)
        return side
    }

    private func isAdmitted(_ side: Side) -> Bool {
        if case .success = side.outcome { side.wasCalled == 1 } else { false }
    }

    private func isRefused(_ side: Side) -> Bool {
        if case .failure = side.outcome { side.wasCalled == 1 } else { false }
    }

    @Test("byte by byte or at once, what follows the proof is handed on and nothing before", arguments: [1, 7, 1000])
    func pieces(_ size: Int) throws {
        let (a, b) = (try dialer(), try listener())
        func carry(_ from: Side, _ to: Side, with more: String = "") throws {
            var bytes = try from.written()
            bytes.writeString(more)
            while let piece = bytes.readSlice(length: min(size, bytes.readableBytes)), piece.readableBytes > 0 {
                try to.channel.writeInbound(piece)
            }
        }
        try carry(a, b)
        #expect(b.behind.received.readableBytes == 0)
        try carry(b, a)
        try carry(a, b, with: "what follows")
        #expect(isAdmitted(b))
        #expect(String(buffer: b.behind.received) == "what follows")
        try carry(b, a)
        #expect(isAdmitted(a))
        #expect(a.behind.received.readableBytes == 0)
        _ = try? a.channel.finish()
        _ = try? b.channel.finish()
    }

    @Test("a connection that ends at any byte is refused once")
    func truncation() throws {
        let whole = try dialer().written()
        for length in 0..<whole.readableBytes {
            let b = try listener()
            try b.channel.writeInbound(whole.getSlice(at: 0, length: length)!)
            _ = try? b.channel.finish()
            #expect(isRefused(b), "after \(length) bytes")
        }
        let answer = try {
            let b = try listener()
            try b.channel.writeInbound(whole)
            return try b.written()
        }()
        for length in 0..<answer.readableBytes {
            let a = try dialer()
            try a.channel.writeInbound(answer.getSlice(at: 0, length: length)!)
            _ = try? a.channel.finish()
            #expect(isRefused(a), "after \(length) bytes")
        }
    }

    @Test("garbage and lying lengths end it, with bounded memory")
    func garbage() throws {
        var random = SystemRandomNumberGenerator()
        for round in 0..<200 {
            var bytes = (0..<200).map { _ in UInt8.random(in: 0...255, using: &random) }
            if round % 2 == 0 {
                bytes[0] = FrameHeader.version
                bytes[1] = [0x01, 0x02, 0x03, 0x04, 0x10, 0x21][round / 2 % 6]
            }
            for side in [try dialer(), try listener()] {
                _ = try side.written()
                try side.channel.writeInbound(ByteBuffer(bytes: bytes))
                _ = try? side.channel.finish()
                #expect(isRefused(side))
            }
        }
        // 100 MiB announced: refused at the header, not waited for.
        let b = try listener()
        var raw = [UInt8](repeating: 0, count: FrameHeader.size)
        raw.withUnsafeMutableBytes {
            FrameHeader(operation: .deviceWrite, id: 5, bodyLength: 20, payloadLength: 100 << 20).encode(into: $0)
        }
        try b.channel.writeInbound(ByteBuffer(bytes: raw))
        #expect(isRefused(b))
        let reply = try b.written()
        let header = try reply.withUnsafeReadableBytes { try FrameHeader(from: $0) }
        #expect(header.operation == .deviceWrite && header.id == 5 && header.result == SheepError.Code.accessDenied.rawValue)
        _ = try? b.channel.finish()
    }

    @Test("who proves nothing in five seconds is closed")
    func silence() throws {
        for side in [try dialer(), try listener()] {
            side.channel.embeddedEventLoop.advanceTime(by: .seconds(6))
            side.channel.embeddedEventLoop.run()
            #expect(!side.channel.isActive)
            #expect(isRefused(side))
        }
    }
}
