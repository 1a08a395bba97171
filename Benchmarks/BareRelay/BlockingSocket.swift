import Glibc

/// A connected unix socket with blocking calls, for a client that does nothing else.
struct BlockingSocket {
    private let descriptor: Int32

    init(connectedTo path: String) throws(RelayError) {
        descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        guard descriptor >= 0 else { throw .systemCall("socket", errno) }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let room = MemoryLayout.size(ofValue: address.sun_path)
        guard path.utf8.count < room else { throw .refused("the socket's path is longer than \(room - 1) bytes") }
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
        let length = socklen_t(MemoryLayout<sockaddr_un>.size)
        let result = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { connect(descriptor, $0, length) }
        }
        guard result == 0 else { throw .systemCall("connect \(path)", errno) }
    }

    func sendAll(_ bytes: UnsafeRawBufferPointer) throws(RelayError) {
        var sent = 0
        while sent < bytes.count {
            let count = send(descriptor, bytes.baseAddress! + sent, bytes.count - sent, Int32(MSG_NOSIGNAL))
            guard count > 0 else { throw .systemCall("send", errno) }
            sent += count
        }
    }

    /// At least one byte, at most what fits.
    func receive(into bytes: UnsafeMutableRawBufferPointer) throws(RelayError) -> Int {
        let count = recv(descriptor, bytes.baseAddress, bytes.count, 0)
        guard count >= 0 else { throw .systemCall("recv", errno) }
        guard count > 0 else { throw .closed }
        return count
    }

    func receiveExactly(_ count: Int) throws(RelayError) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        var filled = 0
        while filled < count {
            let result = bytes.withUnsafeMutableBytes { recv(descriptor, $0.baseAddress! + filled, count - filled, 0) }
            guard result > 0 else { throw result == 0 ? .closed : .systemCall("recv", errno) }
            filled += result
        }
        return bytes
    }
}
