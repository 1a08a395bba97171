import NIOCore
import ObjectModel
import SheepProtocol

/// A whole frame.
struct Frame {
    var header: FrameHeader
    var body: [UInt8]
    var payload: ByteBuffer
}

/// Cuts received bytes into frames. The payload is a slice of what was received, copied only when it came in parts.
struct FrameReader {
    private var pending = ByteBuffer()

    /// Adds received bytes and hands out every whole frame; throws when the other side does not speak our protocol.
    mutating func append(_ received: ByteBuffer, _ body: (Frame) -> Void) throws(WireError) {
        if pending.readableBytes == 0 { pending = received } else {
            var received = received
            pending.writeBuffer(&received)
        }
        while let frame = try next() { body(frame) }
        if pending.readableBytes == 0 { pending = ByteBuffer() }
    }

    private mutating func next() throws(WireError) -> Frame? {
        guard pending.readableBytes >= FrameHeader.size else { return nil }
        let header = try peekHeader()
        let total = FrameHeader.size + header.bodyLength + header.payloadLength
        guard pending.readableBytes >= total else {
            // Room for the whole frame in a buffer of its own, which no slice of an earlier frame shares: what follows is
            // copied once.
            if pending.readableBytes + pending.writableBytes < total {
                var whole = ByteBufferAllocator().buffer(capacity: total)
                whole.writeBuffer(&pending)
                pending = whole
            }
            return nil
        }
        pending.moveReaderIndex(forwardBy: FrameHeader.size)
        let body = pending.readBytes(length: header.bodyLength)!
        return Frame(header: header, body: body, payload: pending.readSlice(length: header.payloadLength)!)
    }

    private func peekHeader() throws(WireError) -> FrameHeader {
        var result: Result<FrameHeader, WireError>?
        pending.withUnsafeReadableBytes { raw in
            do throws(WireError) { result = .success(try FrameHeader(from: raw)) } catch { result = .failure(error) }
        }
        return try result!.get()
    }
}

extension ByteBufferAllocator {
    /// The header and body of a frame in one buffer; the payload follows in its own.
    func frameHead(_ header: FrameHeader, body: [UInt8]) -> ByteBuffer {
        var buffer = self.buffer(capacity: FrameHeader.size + body.count)
        buffer.writeWithUnsafeMutableBytes(minimumWritableBytes: FrameHeader.size) { raw in
            header.encode(into: raw)
            return FrameHeader.size
        }
        buffer.writeBytes(body)
        return buffer
    }
}
