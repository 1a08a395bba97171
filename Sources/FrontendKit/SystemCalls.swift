import Glibc

/// The system calls of front-ends; NIO makes all others.
package enum SystemCall {
    /// Receives what is there; 0 when nothing is, or when the peer is gone (which NIO's next read will notice).
    package static func receiveNow(_ socket: CInt, into space: UnsafeMutableRawBufferPointer) -> Int {
        max(0, recv(socket, space.baseAddress, space.count, CInt(MSG_DONTWAIT)))
    }

    /// Shows what is there and leaves it there; 0 when nothing is, or when the peer is gone.
    package static func peekNow(_ socket: CInt, into space: UnsafeMutableRawBufferPointer) -> Int {
        max(0, recv(socket, space.baseAddress, space.count, CInt(MSG_DONTWAIT | MSG_PEEK)))
    }

    /// Which of the descriptors, 64 at most, have something to read, or an end or error to tell: a bit for each, from the lowest on.
    package static func readableSockets(_ descriptors: [CInt]) -> UInt64 {
        precondition(descriptors.count <= UInt64.bitWidth)
        return withUnsafeTemporaryAllocation(of: pollfd.self, capacity: descriptors.count) { asked in
            ask(after: descriptors, asked)
            guard poll(asked.baseAddress, nfds_t(asked.count), 0) > 0 else { return 0 }
            return asked.indices.reduce(into: 0) { readable, place in
                if asked[place].revents != 0 { readable |= 1 << UInt64(place) }
            }
        }
    }

    package static func isReadable(_ descriptor: CInt) -> Bool {
        var asked = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        return poll(&asked, 1, 0) > 0
    }

    private static func ask(after descriptors: [CInt], _ asked: UnsafeMutableBufferPointer<pollfd>) {
        for (place, descriptor) in descriptors.enumerated() {
            asked.initializeElement(at: place, to: pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0))
        }
    }

    enum Readability: Equatable {
        case readable
        case notReadable
        /// Others ran on this processor meanwhile, for longer than was to be waited.
        case interrupted
    }

    /// Asks again and again, without sleeping, for so many nanoseconds at most.
    static func readability(anyOf descriptors: [CInt], within patience: UInt64) -> Readability {
        withUnsafeTemporaryAllocation(of: pollfd.self, capacity: descriptors.count) { asked in
            ask(after: descriptors, asked)
            let start = monotonicNanoseconds()
            var waited: UInt64 = 0
            var isReadable = false
            repeat {
                for _ in 0..<4 where !isReadable { isReadable = poll(asked.baseAddress, nfds_t(asked.count), 0) != 0 }
                waited = monotonicNanoseconds() - start
            } while !isReadable && waited < patience
            return waited > 2 * patience ? .interrupted : isReadable ? .readable : .notReadable
        }
    }

    private static func monotonicNanoseconds() -> UInt64 {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
    }

    /// What is at a path, without following a symbolic link.
    enum PathKind: Equatable {
        case nothing
        case socket(FileIdentity)
        case something
    }

    struct FileIdentity: Equatable, Sendable {
        var device: UInt64
        var inode: UInt64
    }

    static func kind(ofPath path: String) -> PathKind {
        var status = stat()
        guard lstat(path, &status) == 0 else { return errno == ENOENT ? .nothing : .something }
        guard status.st_mode & S_IFMT == S_IFSOCK else { return .something }
        return .socket(FileIdentity(device: UInt64(status.st_dev), inode: UInt64(status.st_ino)))
    }

    @discardableResult
    static func remove(_ path: String) -> Bool { unlink(path) == 0 }

    /// Somebody listens on the unix socket. Any doubt (no permission, a full queue) counts as yes.
    static func isAnswering(unixSocket path: String) -> Bool {
        let kind = SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue
        let descriptor = socket(AF_UNIX, CInt(kind), 0)
        guard descriptor >= 0 else { return true }
        defer { close(descriptor) }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8.prefix($0.count - 1)) }
        let result = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        return result == 0 || errno != ECONNREFUSED
    }
}
