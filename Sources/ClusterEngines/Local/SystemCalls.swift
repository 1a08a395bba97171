import CLinux
import Glibc

/// An open file or folder; closed with its last reference.
package final class OpenFile: Sendable {
    package let descriptor: Int32
    package let path: String

    fileprivate init(descriptor: Int32, path: String) { (self.descriptor, self.path) = (descriptor, path) }
    deinit { close(descriptor) }
}

/// Who a file is and how it stands, from one fstat(2).
package struct FileStatus: Equatable {
    package let device: UInt
    package let inode: UInt
    package let links: UInt
    package let size: UInt64
    package let mode: UInt32
    package let owner: UInt32

    fileprivate init(_ status: stat) {
        (device, inode, links) = (UInt(status.st_dev), UInt(status.st_ino), UInt(status.st_nlink))
        (size, mode, owner) = (UInt64(status.st_size), status.st_mode, status.st_uid)
    }
    package func isSameFile(as other: FileStatus) -> Bool { device == other.device && inode == other.inode }
    package var isDirectory: Bool { mode & S_IFMT == S_IFDIR }
}

/// The engine's system calls, all of them; a failure is thrown with the call and the path.
extension OpenFile {
    /// Never follows a symbolic link in the last component, never passes the descriptor to a child program.
    package static func open(_ path: String, _ flags: Int32) throws(EngineFailure) -> OpenFile {
        let descriptor = clinux_open(path, flags | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard descriptor >= 0 else { throw .systemCall("open", path: path, errno: errno) }
        return OpenFile(descriptor: descriptor, path: path)
    }

    /// Opens a file in this folder; nil when there is none and none is made.
    package func openEntry(_ name: String, _ flags: Int32) throws(EngineFailure) -> OpenFile? {
        let descriptor = clinux_openat(self.descriptor, name, flags | O_CLOEXEC | O_NOFOLLOW, 0o600)
        if descriptor < 0, errno == ENOENT, flags & O_CREAT == 0 { return nil }
        guard descriptor >= 0 else { throw .systemCall("open", path: entryPath(name), errno: errno) }
        return OpenFile(descriptor: descriptor, path: entryPath(name))
    }

    package func entryPath(_ name: String) -> String { path + "/" + name }

    package func status() throws(EngineFailure) -> FileStatus {
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw .systemCall("fstat", path: path, errno: errno) }
        return FileStatus(status)
    }

    /// The status of whatever has the path now; nil when there is nothing, or a symbolic link.
    package static func status(at path: String) -> FileStatus? {
        var status = stat()
        guard lstat(path, &status) == 0, status.st_mode & S_IFMT != S_IFLNK else { return nil }
        return FileStatus(status)
    }

    /// Reads up to `count` bytes; fewer only at the end of the file.
    package func read(at offset: UInt64, count: Int) throws(EngineFailure) -> [UInt8] {
        var problem: Int32 = 0
        let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
            while filled < count {
                let got = pread(descriptor, buffer.baseAddress! + filled, count - filled, off_t(offset) + off_t(filled))
                if got < 0, errno == EINTR { continue }
                if got < 0 { problem = errno }
                guard got > 0 else { return }
                filled += got
            }
        }
        guard problem == 0 else { throw .systemCall("read", path: path, errno: problem) }
        return bytes
    }

    /// One write(2); returns how many bytes got in. On a file opened with O_APPEND nobody else's bytes come between them.
    package func writeOnce(_ bytes: [UInt8]) throws(EngineFailure) -> Int {
        while true {
            let written = Glibc.write(descriptor, bytes, bytes.count)
            if written >= 0 { return written }
            guard errno == EINTR else { throw .systemCall("write", path: path, errno: errno) }
        }
    }

    /// Writes all of it at an offset, in one write(2) unless a signal or a full disk comes between.
    package func write(_ bytes: [UInt8], at offset: UInt64) throws(EngineFailure) {
        var done = 0
        while done < bytes.count {
            let written = bytes.withUnsafeBytes { pwrite(descriptor, $0.baseAddress! + done, bytes.count - done, off_t(offset) + off_t(done)) }
            if written < 0, errno == EINTR { continue }
            guard written > 0 else { throw .systemCall("write", path: path, errno: written < 0 ? errno : ENOSPC) }
            done += written
        }
    }

    package func writeAll(_ bytes: [UInt8]) throws(EngineFailure) {
        var rest = bytes[...]
        while !rest.isEmpty { rest = rest.dropFirst(try writeOnce(Array(rest))) }
    }

    /// Reserves blocks up to `length` without changing the size; where the file system cannot, nothing is reserved.
    package func reserve(_ length: UInt64) throws(EngineFailure) {
        while clinux_reserve(descriptor, 0, off_t(length)) != 0 {
            if errno == EOPNOTSUPP || errno == ENOSYS { return }
            guard errno == EINTR else { throw .systemCall("fallocate", path: path, errno: errno) }
        }
    }

    package func syncData() throws(EngineFailure) {
        guard fdatasync(descriptor) == 0 else { throw .systemCall("fdatasync", path: path, errno: errno) }
    }

    /// Makes contents and metadata durable; of a folder, its names.
    package func sync() throws(EngineFailure) {
        guard fsync(descriptor) == 0 else { throw .systemCall("fsync", path: path, errno: errno) }
    }

    /// Gives an entry of this folder a second name; false when that name is taken.
    package func linkEntry(_ name: String, as other: String) throws(EngineFailure) -> Bool {
        if linkat(descriptor, name, descriptor, other, 0) == 0 { return true }
        guard errno == EEXIST else { throw .systemCall("link", path: entryPath(other), errno: errno) }
        return false
    }

    /// Gives an entry of this folder another name, replacing what has it.
    package func renameEntry(_ name: String, to other: String) throws(EngineFailure) {
        guard renameat(descriptor, name, descriptor, other) == 0 else {
            throw .systemCall("rename", path: entryPath(name), errno: errno)
        }
    }

    /// Removes an entry of this folder, if it is there.
    package func removeEntry(_ name: String) throws(EngineFailure) {
        guard unlinkat(descriptor, name, 0) == 0 || errno == ENOENT else {
            throw .systemCall("unlink", path: entryPath(name), errno: errno)
        }
    }

    /// The names in this folder, in no order.
    package func entryNames() throws(EngineFailure) -> [String] {
        // A description of its own, for readdir moves the position that a descriptor's copies share.
        let own = clinux_openat(descriptor, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0)
        guard own >= 0 else { throw .systemCall("open", path: path, errno: errno) }
        guard let stream = fdopendir(own) else {
            close(own)
            throw .systemCall("opendir", path: path, errno: errno)
        }
        defer { closedir(stream) }
        var names: [String] = []
        errno = 0
        while let entry = readdir(stream) {
            names.append(withUnsafePointer(to: &entry.pointee.d_name) { name in
                name.withMemoryRebound(to: CChar.self, capacity: Int(NAME_MAX) + 1) { String(cString: $0) }
            })
        }
        guard errno == 0 else { throw .systemCall("readdir", path: path, errno: errno) }
        return names
    }

    /// Gives up the flock(2) of this open file.
    package func unlock() { _ = clinux_flock(descriptor, LOCK_UN) }

    /// Takes a flock(2) without waiting; false when others hold it.
    package func tryLock(shared: Bool) throws(EngineFailure) -> Bool {
        while clinux_flock(descriptor, (shared ? LOCK_SH : LOCK_EX) | LOCK_NB) != 0 {
            if errno == EWOULDBLOCK { return false }
            guard errno == EINTR else { throw .systemCall("flock", path: path, errno: errno) }
        }
        return true
    }
}
