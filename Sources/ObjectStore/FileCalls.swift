import CLinux
import Glibc

/// The system calls of ``FileDisk``, on descriptors; none keeps state.
enum FileCalls {
    static func failure(_ call: StaticString, _ name: String = "") -> DiskError {
        let code = errno
        switch code {
        case ENOENT: return .missing(name)
        case EEXIST: return .exists(name)
        case ENOSPC, EDQUOT: return .full
        default: return .failed(call: call, errno: code)
        }
    }

    /// Repeats a call that a signal interrupted.
    @inline(__always)
    private static func uninterrupted<Number: SignedInteger>(_ call: () -> Number) -> Number {
        while true {
            let result = call()
            if result != -1 || errno != EINTR { return result }
        }
    }

    static func outcome(_ body: () throws(DiskError) -> Void) -> DiskError? {
        do { try body() } catch { return error }
        return nil
    }

    static func open(_ directory: Int32, _ name: String, _ flags: Int32) throws(DiskError) -> Int32 {
        let descriptor = uninterrupted { clinux_openat(directory, name, flags | O_CLOEXEC, 0o600) }
        guard descriptor >= 0 else { throw failure("open", name) }
        return descriptor
    }

    static func exists(_ directory: Int32, _ name: String) throws(DiskError) -> Bool {
        if faccessat(directory, name, F_OK, 0) == 0 { return true }
        if errno == ENOENT { return false }
        throw failure("access", name)
    }

    static func size(_ descriptor: Int32) throws(DiskError) -> UInt64 {
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw failure("fstat") }
        return UInt64(status.st_size)
    }

    static func read(
        _ descriptor: Int32, _ offset: UInt64, _ buffer: UnsafeMutableRawBufferPointer
    ) throws(DiskError) {
        var done = 0
        while done < buffer.count {
            let count = uninterrupted {
                pread(descriptor, buffer.baseAddress! + done, buffer.count - done, off_t(offset) + off_t(done))
            }
            guard count >= 0 else { throw failure("pread") }
            if count == 0 { break }
            done += count
        }
        zero(buffer, from: done)
    }

    private static func zero(_ buffer: UnsafeMutableRawBufferPointer, from start: Int) {
        guard start < buffer.count else { return }
        (buffer.baseAddress! + start).initializeMemory(as: UInt8.self, repeating: 0, count: buffer.count - start)
    }

    static func tryRead(
        _ descriptor: Int32, _ offset: UInt64, _ buffer: UnsafeMutableRawBufferPointer
    ) throws(DiskError) {
        guard !buffer.isEmpty else { return }
        let count = uninterrupted {
            clinux_pread_nowait(descriptor, buffer.baseAddress!, buffer.count, off_t(offset))
        }
        if count == buffer.count { return }
        if count < 0 {
            // A file system without such reads answers ENOTSUP: everything goes to the threads then.
            guard errno != EAGAIN, errno != EOPNOTSUPP else { throw .wouldBlock }
            throw failure("preadv2")
        }
        // Short because of the file's end or of what is not in memory.
        guard try offset + UInt64(count) >= size(descriptor) else { throw .wouldBlock }
        zero(buffer, from: count)
    }

    /// Has the kernel read a range soon. It may wait, for the disk or for who changes the file.
    static func readAhead(_ descriptor: Int32, _ offset: UInt64, _ length: Int) {
        _ = posix_fadvise(descriptor, off_t(offset), off_t(length), POSIX_FADV_WILLNEED)
    }

    /// Bytes of one `pwrite`. A kernel with large folios makes one of each write's length, and ext4 then walks all buffer heads
    /// of the folio for every 4 KiB that is written into it later: 256 KiB at once halve the rate of random writes after them.
    private static let largestWrite = 64 << 10

    @inline(__always)
    static func write(_ descriptor: Int32, _ offset: UInt64, _ buffer: UnsafeRawBufferPointer) throws(DiskError) {
        var done = 0
        while done < buffer.count {
            let count = uninterrupted {
                pwrite(descriptor, buffer.baseAddress! + done, min(Self.largestWrite, buffer.count - done), off_t(offset) + off_t(done))
            }
            guard count >= 0 else { throw failure("pwrite") }
            done += count
        }
    }

    static func dropCached(_ descriptor: Int32, _ offset: UInt64, _ length: UInt64) {
        _ = posix_fadvise(descriptor, off_t(offset), off_t(length), POSIX_FADV_DONTNEED)
    }

    static func truncate(_ descriptor: Int32, _ size: UInt64) throws(DiskError) {
        guard uninterrupted({ ftruncate(descriptor, off_t(size)) }) == 0 else { throw failure("ftruncate") }
    }

    static func punch(_ descriptor: Int32, _ offset: UInt64, _ length: UInt64) throws(DiskError) {
        guard uninterrupted({ clinux_punch_hole(descriptor, off_t(offset), off_t(length)) }) == 0 else {
            throw failure("fallocate")
        }
    }

    static func reserve(_ descriptor: Int32, _ offset: UInt64, _ length: UInt64) throws(DiskError) {
        guard uninterrupted({ clinux_reserve(descriptor, off_t(offset), off_t(length)) }) == 0 else {
            throw failure("fallocate")
        }
    }

    static func dataRanges(_ descriptor: Int32, _ size: UInt64) throws(DiskError) -> [Range<UInt64>] {
        var ranges: [Range<UInt64>] = []
        var position: off_t = 0
        while position < off_t(size) {
            let start = lseek(descriptor, position, clinux_seek_data)
            if start < 0 {
                guard errno == ENXIO else { throw failure("lseek") }
                break
            }
            guard start < off_t(size) else { break }
            let end = lseek(descriptor, start, clinux_seek_hole)
            guard end > start else { throw failure("lseek") }
            ranges.append(UInt64(start)..<min(UInt64(end), size))
            position = end
        }
        return ranges
    }

    // MARK: - Copies

    struct CopyResult: Sendable {
        var error: DiskError?
        var cloneWorks = true
        var rangeWorks = true
    }

    /// Shares the extents, else copies the ranges that hold data.
    static func copy(_ from: Int32, _ to: Int32, _ length: UInt64, clone: Bool, range: Bool) -> CopyResult {
        var result = CopyResult(error: nil, cloneWorks: clone, rangeWorks: range)
        result.error = outcome { () throws(DiskError) in
            if clone, try cloned(from, to, length) { return }
            result.cloneWorks = false
            for range in try dataRanges(from, length) {
                try copyRange(from, to, range, &result.rangeWorks)
            }
        }
        return result
    }

    private static func cloned(_ from: Int32, _ to: Int32, _ length: UInt64) throws(DiskError) -> Bool {
        let end = min(length, try size(from))
        // A length of 0 would say "to the end of the file"; what lies behind `length` is not wanted.
        if end == 0 { return true }
        if uninterrupted({ clinux_clone_range(from, 0, off_t(end), to, 0) }) == 0 { return true }
        if errno == ENOSPC || errno == EDQUOT { throw .full }
        return false
    }

    private static func copyRange(
        _ from: Int32, _ to: Int32, _ range: Range<UInt64>, _ works: inout Bool
    ) throws(DiskError) {
        var offset = range.lowerBound
        while works, offset < range.upperBound {
            let count = uninterrupted {
                clinux_copy_range(from, off_t(offset), to, off_t(offset), Int(range.upperBound - offset))
            }
            if count > 0 {
                offset += UInt64(count)
            } else if count == 0 {
                return
            } else {
                switch errno {
                case ENOSYS, EOPNOTSUPP, EINVAL, EXDEV, EPERM: works = false
                default: throw failure("copy_file_range")
                }
            }
        }
        let bytes = AlignedBytes(count: 1 << 18)
        while offset < range.upperBound {
            let part = UnsafeMutableRawBufferPointer(
                rebasing: bytes.buffer.prefix(Int(min(range.upperBound - offset, 1 << 18))))
            try read(from, offset, part)
            try write(to, offset, UnsafeRawBufferPointer(part))
            offset += UInt64(part.count)
        }
    }

    // MARK: - Durability

    static func syncData(_ descriptor: Int32) -> DiskError? {
        uninterrupted { fdatasync(descriptor) } == 0 ? nil : .failed(call: "fdatasync", errno: errno)
    }

    static func syncFileSystem(_ descriptor: Int32) -> DiskError? {
        uninterrupted { clinux_syncfs(descriptor) } == 0 ? nil : .failed(call: "syncfs", errno: errno)
    }

    static func syncDirectory(_ root: Int32, _ name: String) -> DiskError? {
        outcome { () throws(DiskError) in
            let descriptor = try open(root, name, O_RDONLY | O_DIRECTORY)
            defer { _ = Glibc.close(descriptor) }
            guard uninterrupted({ fsync(descriptor) }) == 0 else { throw .failed(call: "fsync", errno: errno) }
        }
    }

    // MARK: - Names

    static func unlink(_ root: Int32, _ name: String) throws(DiskError) {
        guard unlinkat(root, name, 0) == 0 else { throw failure("unlink", name) }
    }

    static func rename(_ root: Int32, _ old: String, _ new: String) throws(DiskError) {
        guard renameat(root, old, root, new) == 0 else { throw failure("rename", old) }
    }

    static func makeDirectory(_ root: Int32, _ name: String) throws(DiskError) {
        guard mkdirat(root, name, 0o700) == 0 else { throw failure("mkdir", name) }
    }

    static func list(_ root: Int32, _ name: String) throws(DiskError) -> [String] {
        let descriptor = try open(root, name, O_RDONLY | O_DIRECTORY)
        guard let stream = fdopendir(descriptor) else {
            defer { _ = Glibc.close(descriptor) }
            throw failure("opendir", name)
        }
        defer { closedir(stream) }
        var names: [String] = []
        while true {
            errno = 0
            guard let entry = readdir(stream) else { break }
            let text = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if text != ".", text != ".." { names.append(text) }
        }
        guard errno == 0 else { throw failure("readdir", name) }
        return names
    }

    static func space(_ root: Int32) throws(DiskError) -> (total: UInt64, free: UInt64) {
        var status = statvfs()
        guard fstatvfs(root, &status) == 0 else { throw failure("statvfs") }
        return (UInt64(status.f_blocks) * UInt64(status.f_frsize), UInt64(status.f_bavail) * UInt64(status.f_frsize))
    }
}
