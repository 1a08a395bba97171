import Glibc
import NIOCore

/// An open file or block device. Holes of a file are known to be zeros; a new file has nothing but holes.
final class FileImage: ImageSource, ImageTarget {
    let size: UInt64
    private let descriptor: Int32
    private let path: String
    /// What is not written reads as zeros.
    private let isFresh: Bool

    /// lseek(2), Linux: the next data, the next hole. Glibc shows them with _GNU_SOURCE only.
    private static let seekData: Int32 = 3
    private static let seekHole: Int32 = 4

    private init(descriptor: Int32, path: String, size: UInt64, isFresh: Bool) {
        (self.descriptor, self.path, self.size, self.isFresh) = (descriptor, path, size, isFresh)
    }

    deinit { close(descriptor) }

    /// Takes over the descriptor. Nil when it is neither a file nor a block device: a pipe, read in order only.
    static func source(descriptor: Int32, path: String) throws -> FileImage? {
        guard isSeekable(descriptor) else { return nil }
        let size = lseek(descriptor, 0, SEEK_END)
        guard size >= 0 else { throw CommandFailure("Failed to read \(path): \(systemText(errno))") }
        return FileImage(descriptor: descriptor, path: path, size: UInt64(size), isFresh: false)
    }

    /// A file of the size given, all holes; or a block device that is large enough. Nil when it is a pipe.
    static func target(descriptor: Int32, path: String, size: UInt64) throws -> FileImage? {
        guard isSeekable(descriptor) else { return nil }
        var status = stat()
        let isFile = fstat(descriptor, &status) == 0 && status.st_mode & S_IFMT == S_IFREG
        if isFile {
            guard let length = off_t(exactly: size), ftruncate(descriptor, 0) == 0, ftruncate(descriptor, length) == 0 else {
                throw CommandFailure("Failed to make \(path) \(size) bytes long: \(systemText(errno))")
            }
        } else if lseek(descriptor, 0, SEEK_END) < off_t(clamping: size) {
            throw CommandFailure("\(path) is smaller than the VDI (\(size) bytes)")
        }
        return FileImage(descriptor: descriptor, path: path, size: size, isFresh: isFile)
    }

    private static func isSeekable(_ descriptor: Int32) -> Bool {
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { return false }
        return [S_IFREG, S_IFBLK].contains(status.st_mode & S_IFMT)
    }

    func extents(at offset: UInt64, length: UInt64) async throws -> [ImageExtent] {
        let (descriptor, end) = (descriptor, offset + length)
        return try await blocking {
            let data = lseek(descriptor, off_t(offset), Self.seekData)
            // ENXIO: no data from here on. Anything else: this file system does not tell, so all is data.
            if data < 0 { return [ImageExtent(length: length, isZero: errno == ENXIO)] }
            if UInt64(data) > offset { return [ImageExtent(length: min(UInt64(data), end) - offset, isZero: true)] }
            let hole = lseek(descriptor, off_t(offset), Self.seekHole)
            let dataEnd = hole > off_t(offset) ? min(UInt64(hole), end) : end
            return [ImageExtent(length: dataEnd - offset, isZero: false)]
        }
    }

    func read(at offset: UInt64, length: Int) async throws -> ByteBuffer {
        try await blocking { [self] in
            var buffer = ByteBufferAllocator().buffer(capacity: length)
            while buffer.readableBytes < length {
                let need = length - buffer.readableBytes
                let position = off_t(offset) + off_t(buffer.readableBytes)
                try buffer.writeWithUnsafeMutableBytes(minimumWritableBytes: need) { raw in
                    let count = pread(descriptor, raw.baseAddress!, need, position)
                    if count < 0 && errno == EINTR { return 0 }
                    guard count > 0 else {
                        throw CommandFailure("Failed to read \(path): \(count == 0 ? "it became shorter" : systemText(errno))")
                    }
                    return count
                }
            }
            return buffer
        }
    }

    func write(_ data: ByteBuffer, at offset: UInt64) async throws {
        try await blocking { [self] in try data.withUnsafeReadableBytes { try writeAll($0, at: offset) } }
    }

    func zero(at offset: UInt64, length: UInt64) async throws {
        guard !isFresh else { return }
        try await blocking { [self] in
            let zeros = [UInt8](repeating: 0, count: ImageLimits.piece)
            var done: UInt64 = 0
            while done < length {
                let count = Int(min(UInt64(zeros.count), length - done))
                try zeros.withUnsafeBytes { try writeAll(UnsafeRawBufferPointer(rebasing: $0[..<count]), at: offset + done) }
                done += UInt64(count)
            }
        }
    }

    func finish() async throws {
        try await blocking { [self] in
            guard fsync(descriptor) == 0 else { throw CommandFailure("Failed to write \(path): \(systemText(errno))") }
        }
    }

    private func writeAll(_ raw: UnsafeRawBufferPointer, at offset: UInt64) throws {
        var done = 0
        while done < raw.count {
            let count = pwrite(descriptor, raw.baseAddress! + done, raw.count - done, off_t(offset) + off_t(done))
            if count < 0 {
                if errno == EINTR { continue }
                throw CommandFailure("Failed to write \(path): \(systemText(errno))")
            }
            done += count
        }
    }
}
