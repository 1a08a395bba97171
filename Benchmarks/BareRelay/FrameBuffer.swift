import NIOCore

/// Bytes received on a connection, handed out in whole frames.
struct FrameBuffer {
    private var received = ByteBuffer()

    mutating func append(_ incoming: ByteBuffer) {
        guard received.readableBytes > 0 else {
            received = incoming
            return
        }
        received.writeImmutableBuffer(incoming)
    }

    /// All whole requests as one slice, each visited once with its header and its index in the slice's buffer.
    ///
    /// The visitor may change the buffer in place: nothing else refers to it yet.
    mutating func takeRequests(
        _ visit: (RelayHeader, Int, inout ByteBuffer) throws(RelayError) -> Void
    ) throws(RelayError) -> ByteBuffer? {
        var cursor = received.readerIndex
        while cursor + RelayHeader.size <= received.writerIndex {
            let header = try RelayHeader(in: received, at: cursor)
            let end = cursor + RelayHeader.size + Int(header.length)
            guard end <= received.writerIndex else { break }
            try visit(header, cursor, &received)
            cursor = end
        }
        let burst = received.readSlice(length: cursor - received.readerIndex)
        keepRemainderApart()
        return burst?.readableBytes == 0 ? nil : burst
    }

    /// Every whole answer's id, in the order of arrival.
    mutating func takeAnswers(_ visit: (UInt64) -> Void) throws(RelayError) {
        while received.readableBytes >= RelayHeader.size {
            visit(try RelayHeader(in: received, at: received.readerIndex).id)
            received.moveReaderIndex(forwardBy: RelayHeader.size)
        }
        keepRemainderApart()
    }

    /// An incomplete frame gets a buffer of its own, so that appending to it does not copy the burst before it.
    private mutating func keepRemainderApart() {
        let remainder = received
        received = ByteBuffer()
        guard remainder.readableBytes > 0 else { return }
        received.reserveCapacity(256 << 10)
        received.writeImmutableBuffer(remainder)
    }
}
