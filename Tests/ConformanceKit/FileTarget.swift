import CLinux
package import FrontendKit
import Glibc
package import ObjectModel

/// A device that somebody shows as a file, through system calls.
package final class FileTarget: ConformanceTarget {
    private let path: String
    package private(set) var descriptor: Int32 = -1

    package init(_ path: String) throws(SheepError) {
        self.path = path
        try open()
    }

    deinit { close(descriptor) }

    private func open() throws(SheepError) {
        descriptor = clinux_open(path, O_RDWR | O_CLOEXEC, 0)
        try check(descriptor)
    }

    private func check(_ result: Int32) throws(SheepError) {
        guard result < 0 else { return }
        let code: SheepError.Code = switch clinux_errno() {
        case EROFS: .readOnly
        case EINVAL: .invalidArgument
        case ENOSPC: .noSpace
        case EOPNOTSUPP: .notSupported
        case ENOENT: .noSuchVolume
        default: .inputOutput
        }
        throw SheepError(code, "\(path): \(String(cString: strerror(clinux_errno())))")
    }

    package var size: UInt64 {
        var status = stat()
        return fstat(descriptor, &status) == 0 ? UInt64(status.st_size) : 0
    }

    /// The system cuts requests as the file system wants them.
    package var maximumRequest: Int { 32 << 20 }

    package func read(at offset: UInt64, length: Int) throws(SheepError) -> [UInt8] {
        var bytes = [UInt8](repeating: 0xEE, count: length)
        var done = 0
        while done < length {
            let count = bytes.withUnsafeMutableBytes { pread(descriptor, $0.baseAddress! + done, length - done, off_t(offset) + done) }
            try check(Int32(clamping: count))
            guard count > 0 else { throw SheepError(.inputOutput, "\(path) ends at \(offset + UInt64(done))") }
            done += count
        }
        return bytes
    }

    package func write(_ data: [UInt8], at offset: UInt64, durable: Bool) throws(SheepError) {
        var done = 0
        while done < data.count {
            let count = data.withUnsafeBytes { pwrite(descriptor, $0.baseAddress! + done, data.count - done, off_t(offset) + done) }
            try check(Int32(clamping: count))
            done += count
        }
        if durable { try flush() }
    }

    package func flush() throws(SheepError) { try check(fsync(descriptor)) }

    package func trim(at offset: UInt64, length: UInt64, durable: Bool) throws(SheepError) {
        try check(clinux_punch_hole(descriptor, Int(offset), Int(length)))
        if durable { try flush() }
    }

    package func zero(
        at offset: UInt64, length: UInt64, mayDeallocate: Bool, onlyIfFast: Bool, durable: Bool
    ) throws(SheepError) {
        if mayDeallocate { return try trim(at: offset, length: length, durable: durable) }
        try check(clinux_zero_range(descriptor, Int(offset), Int(length)))
        if durable { try flush() }
    }

    package func status(at offset: UInt64, length: UInt64, onlyOne: Bool) throws(SheepError) -> [BlockExtent] {
        var extents: [BlockExtent] = []
        var position = Int(offset)
        let end = Int(offset + length)
        while position < end, !onlyOne || extents.isEmpty {
            var hole = lseek(descriptor, position, clinux_seek_hole)
            try check(Int32(clamping: hole))
            if hole == position {
                hole = lseek(descriptor, position, clinux_seek_data)
                if hole < 0, clinux_errno() == ENXIO { hole = end }
                try check(Int32(clamping: hole))
                extents.append(BlockExtent(length: UInt64(min(hole, end) - position), isAllocated: false, isZero: true))
            } else {
                extents.append(BlockExtent(length: UInt64(min(hole, end) - position), isAllocated: true, isZero: false))
            }
            position = min(hole, end)
        }
        return extents
    }

    package func reopen() throws(SheepError) {
        close(descriptor)
        try open()
    }
}
