import NIOCore
import ObjectModel
import SheepProtocol

/// Cuts what comes during a handshake into frames; nobody has proven anything yet, so that little memory is given.
struct HandshakeFrames {
    /// A refusal's text is the longest of all.
    static let largest = 4096
    private var received = ByteBuffer()

    mutating func append(_ bytes: inout ByteBuffer) { received.writeBuffer(&bytes) }

    enum Next {
        case incomplete
        case frame(FrameHeader, [UInt8])
        /// A header of something that is too long to be waited for.
        case oversized(FrameHeader)
    }

    mutating func next() throws(WireError) -> Next {
        guard received.readableBytes >= FrameHeader.size else { return .incomplete }
        let header = try received.withUnsafeReadableBytes { raw in
            Result<FrameHeader, WireError> { () throws(WireError) in try FrameHeader(from: raw) }
        }.get()
        let length = header.bodyLength + header.payloadLength
        guard length <= Self.largest, header.payloadLength == 0 else { return .oversized(header) }
        guard received.readableBytes >= FrameHeader.size + length else { return .incomplete }
        received.moveReaderIndex(forwardBy: FrameHeader.size)
        return .frame(header, received.readBytes(length: header.bodyLength)!)
    }

    /// What came behind the last frame of the handshake.
    mutating func takeRest() -> ByteBuffer? {
        defer { received = ByteBuffer() }
        return received.readableBytes > 0 ? received : nil
    }
}

extension ChannelHandlerContext {
    func write(_ operation: Operation, id: UInt32, result: UInt32 = 0, body: [UInt8], promise: EventLoopPromise<Void>? = nil) {
        var buffer = channel.allocator.buffer(capacity: FrameHeader.size + body.count)
        let header = FrameHeader(operation: operation, id: id, bodyLength: body.count, payloadLength: 0, result: result)
        buffer.writeWithUnsafeMutableBytes(minimumWritableBytes: FrameHeader.size) { raw in
            header.encode(into: raw)
            return FrameHeader.size
        }
        buffer.writeBytes(body)
        writeAndFlush(NIOAny(buffer), promise: promise)
    }
}

extension KeyNonce {
    /// Of the kernel's generator.
    static func random() -> KeyNonce {
        var generator = SystemRandomNumberGenerator()
        return KeyNonce(bytes: (0..<size).map { _ in UInt8.random(in: .min ... .max, using: &generator) })
    }
}
