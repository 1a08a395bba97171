import Glibc
package import NIOCore

/// A client that sends whatever a test wants, byte by byte if need be. Waits ten seconds at most.
package final class RawClient {
    package private(set) var descriptor: CInt

    package init(unix path: String) throws {
        descriptor = socket(AF_UNIX, CInt(SOCK_STREAM.rawValue) | CInt(SOCK_CLOEXEC.rawValue), 0)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
        try connect(&address)
    }

    package init(port: Int) throws {
        descriptor = socket(AF_INET, CInt(SOCK_STREAM.rawValue) | CInt(SOCK_CLOEXEC.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = UInt16(port).bigEndian
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        try connect(&address)
    }

    private func connect<Address>(_ address: inout Address) throws {
        let result = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                Glibc.connect(descriptor, $0, socklen_t(MemoryLayout<Address>.size))
            }
        }
        guard result == 0 else { throw ConnectionRefused(errno: Glibc.errno) }
    }

    deinit { disconnect() }

    package func disconnect() {
        if descriptor >= 0 { close(descriptor) }
        descriptor = -1
    }

    /// Closes with a reset instead of an end-of-file (TCP).
    package func reset() {
        var option = linger(l_onoff: 1, l_linger: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &option, socklen_t(MemoryLayout<linger>.size))
        disconnect()
    }

    /// Sends all of it, unless the server closed.
    @discardableResult
    package func send(_ buffer: ByteBuffer) -> Bool {
        var rest = buffer
        while rest.readableBytes > 0 {
            let count = rest.withUnsafeReadableBytes { Glibc.send(descriptor, $0.baseAddress, $0.count, CInt(MSG_NOSIGNAL)) }
            guard count > 0 else { return false }
            rest.moveReaderIndex(forwardBy: count)
        }
        return true
    }

    @discardableResult
    package func send(_ encode: (inout ByteBuffer) -> Void) -> Bool {
        var buffer = ByteBuffer()
        encode(&buffer)
        return send(buffer)
    }

    /// What comes, `count` bytes at least unless the connection ends.
    package func receive(_ count: Int) -> ByteBuffer {
        var buffer = ByteBuffer()
        while buffer.readableBytes < count, let piece = receiveSome(count - buffer.readableBytes), !piece.isEmpty {
            buffer.writeBytes(piece)
        }
        return buffer
    }

    /// Empty at the end of the connection, nil when nothing comes for ten seconds.
    private func receiveSome(_ count: Int, milliseconds: CInt = 10_000) -> [UInt8]? {
        var poll = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        guard Glibc.poll(&poll, 1, milliseconds) > 0 else { return nil }
        var bytes = [UInt8](repeating: 0, count: count)
        let received = recv(descriptor, &bytes, count, 0)
        return received > 0 ? Array(bytes[..<received]) : []
    }

    /// The server closes; what it sends before is thrown away.
    package func isClosedByServer() -> Bool {
        while let piece = receiveSome(1 << 20) {
            if piece.isEmpty { return true }
        }
        return false
    }

    /// Nothing comes for a short while.
    package func isQuiet() -> Bool { receiveSome(1, milliseconds: 50) == nil }
}

package struct ConnectionRefused: Error { package let errno: CInt }
