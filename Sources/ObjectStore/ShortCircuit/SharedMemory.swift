import CLinux
import Glibc

/// Memory that two processes of a machine share: one makes it, the other finds it by its path.
///
/// Nobody can make it smaller. Its pages are taken when they are first touched, as all memory is.
package final class SharedMemory {
    package let bytes: UnsafeMutableRawBufferPointer
    /// Its inode: no other memory of this machine has it, whatever has its path by then.
    package let identity: UInt64
    /// Of who made it; else -1.
    private let descriptor: Int32

    private init(bytes: UnsafeMutableRawBufferPointer, identity: UInt64, descriptor: Int32) {
        (self.bytes, self.identity, self.descriptor) = (bytes, identity, descriptor)
    }

    deinit {
        munmap(bytes.baseAddress, bytes.count)
        if descriptor >= 0 { close(descriptor) }
    }

    private static func map(_ descriptor: Int32, _ size: Int, _ protection: Int32) -> UnsafeMutableRawBufferPointer? {
        let memory = mmap(nil, size, protection, MAP_SHARED, descriptor, 0)
        return memory == MAP_FAILED ? nil : UnsafeMutableRawBufferPointer(start: memory, count: size)
    }

    /// Nil: no file.
    private static func identity(of descriptor: Int32) -> UInt64? {
        var status = stat()
        return fstat(descriptor, &status) == 0 && status.st_mode & S_IFMT == S_IFREG ? UInt64(status.st_ino) : nil
    }

    /// So many bytes, all zeros, that take no memory before they are written. Nil: the system has none to give.
    package static func make(_ name: String, size: Int) -> SharedMemory? {
        let descriptor = clinux_memory_file(name, size)
        guard descriptor >= 0 else { return nil }
        guard let identity = identity(of: descriptor), let bytes = map(descriptor, size, PROT_READ | PROT_WRITE) else {
            close(descriptor)
            return nil
        }
        return SharedMemory(bytes: bytes, identity: identity, descriptor: descriptor)
    }

    /// Where others find what this process made, as long as it is there.
    package var path: String { "/proc/\(getpid())/fd/\(descriptor)" }

    /// What another process made, by its path. Nil: it is not there, is something else, or has another size or ``identity`` than is said.
    package static func find(_ path: String, size: Int, identity said: UInt64? = nil, isWritable: Bool) -> SharedMemory? {
        // Whatever else may have that path is only named by this, not opened.
        let place = clinux_open(path, clinux_o_path() | O_CLOEXEC, 0)
        guard place >= 0 else { return nil }
        defer { close(place) }
        guard let identity = identity(of: place), said ?? identity == identity else { return nil }
        let descriptor = clinux_open("/proc/self/fd/\(place)", (isWritable ? O_RDWR : O_RDONLY) | O_CLOEXEC, 0)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        guard clinux_is_memory_file(descriptor, size) != 0,
            let bytes = map(descriptor, size, isWritable ? PROT_READ | PROT_WRITE : PROT_READ)
        else { return nil }
        return SharedMemory(bytes: bytes, identity: identity, descriptor: -1)
    }
}
