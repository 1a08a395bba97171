import Glibc
import NIOCore

/// Copies between an image and a pipe, whose bytes come in order.
enum StreamCopy {
    /// Writes a range of the source: reads run ahead, bytes leave in order.
    static func out(of source: some ImageSource, range: Range<UInt64>, to descriptor: Int32) async throws {
        var bar = ProgressBar(total: range.upperBound - range.lowerBound)
        defer { bar.end() }
        try await withThrowingTaskGroup(of: (ImagePiece, ByteBuffer?).self) { group in
            var pieces = PieceIterator(source: source, range: range)
            var arrived: [UInt64: (ImagePiece, ByteBuffer?)] = [:]
            var (written, underWay, isAtEnd) = (range.lowerBound, 0, false)
            while written < range.upperBound {
                try Task.checkCancellation()
                while !isAtEnd && underWay + arrived.count < ImageLimits.piecesUnderWay {
                    guard let piece = try await pieces.next() else {
                        isAtEnd = true
                        break
                    }
                    underWay += 1
                    group.addTask {
                        (piece, piece.isZero ? nil : try await source.read(at: piece.offset, length: Int(piece.length)))
                    }
                }
                let result = try await group.next()!
                underWay -= 1
                arrived[result.0.offset] = result
                while let (piece, data) = arrived.removeValue(forKey: written) {
                    try await put(piece, data, to: descriptor)
                    written = piece.end
                    bar.show(written - range.lowerBound)
                }
            }
        }
    }

    /// Blocks no thread of the program's own while the reader is slow.
    private static func put(_ piece: ImagePiece, _ data: ByteBuffer?, to descriptor: Int32) async throws {
        try await blocking {
            guard data == nil else { return try data!.withUnsafeReadableBytes { try Terminal.writeAll($0, to: descriptor) } }
            let zeros = [UInt8](repeating: 0, count: min(ImageLimits.piece, Int(piece.length)))
            var rest = Int(piece.length)
            while rest > 0 {
                let count = min(rest, zeros.count)
                try zeros.withUnsafeBytes { try Terminal.writeAll(UnsafeRawBufferPointer(rebasing: $0[..<count]), to: descriptor) }
                rest -= count
            }
        }
    }

    /// Writes what comes from the reader, from `offset` on, to its end; returns the number of bytes.
    static func into(
        _ target: some ImageTarget, at offset: UInt64, from input: inout PieceReader
    ) async throws -> UInt64 {
        var position = offset
        try await withThrowingTaskGroup(of: Void.self) { group in
            var underWay = 0
            while let data = try await input.next() {
                try Task.checkCancellation()
                if underWay == ImageLimits.piecesUnderWay {
                    try await group.next()
                    underWay -= 1
                }
                let place = position
                group.addTask { try await target.write(data, at: place) }
                underWay += 1
                position += UInt64(data.readableBytes)
            }
            try await group.waitForAll()
        }
        return position - offset
    }
}

/// Reads a pipe in pieces of ``ImageLimits/piece``, the last one perhaps shorter, up to a limit.
struct PieceReader {
    let descriptor: Int32
    var limit: UInt64

    /// A silent writer does not keep a cancelled task: every pause looks whether it is.
    mutating func next() async throws -> ByteBuffer? {
        let length = Int(min(UInt64(ImageLimits.piece), limit))
        var part = PartialRead(buffer: ByteBufferAllocator().buffer(capacity: length), isAtEnd: length == 0)
        while part.buffer.readableBytes < length && !part.isAtEnd {
            try Task.checkCancellation()
            let (descriptor, before) = (descriptor, part)
            part = try await blocking {
                var after = before
                try after.fill(from: descriptor, to: length, pause: 200)
                return after
            }
        }
        limit -= UInt64(part.buffer.readableBytes)
        return part.buffer.readableBytes == 0 ? nil : part.buffer
    }
}

private struct PartialRead {
    var buffer: ByteBuffer
    var isAtEnd = false

    /// Reads until `length` bytes are there, the input ends, or nothing comes for `pause` milliseconds (-1: for ever).
    mutating func fill(from descriptor: Int32, to length: Int, pause: Int32) throws {
        while buffer.readableBytes < length && !isAtEnd {
            var polled = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
            guard poll(&polled, 1, pause) != 0 else { return }
            try readOnce(descriptor, atMost: length - buffer.readableBytes)
        }
    }

    private mutating func readOnce(_ descriptor: Int32, atMost need: Int) throws {
        var count = 0
        try buffer.writeWithUnsafeMutableBytes(minimumWritableBytes: need) { raw in
            repeat { count = Glibc.read(descriptor, raw.baseAddress!, need) } while count < 0 && errno == EINTR
            guard count >= 0 else { throw CommandFailure("Failed to read the input: \(systemText(errno))") }
            return count
        }
        isAtEnd = count == 0
    }
}

enum StandardInput {
    /// The whole input, cut at a number of bytes.
    static func read(atMost limit: Int) throws -> [UInt8] {
        var input = PartialRead(buffer: ByteBuffer())
        try input.fill(from: STDIN_FILENO, to: limit, pause: -1)
        return Array(input.buffer.readableBytesView)
    }
}
