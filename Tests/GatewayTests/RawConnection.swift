import Glibc
import ObjectModel
import SheepProtocol
import Testing

/// Frames over a socket of its own; every wait ends after ten seconds.
final class RawConnection {
    private let descriptor: Int32

    private init(_ family: Int32, _ address: [UInt8]) throws {
        descriptor = socket(family, Int32(SOCK_STREAM.rawValue), 0)
        var limit = timeval(tv_sec: 10, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        let result = address.withUnsafeBytes {
            connect(descriptor, $0.baseAddress!.assumingMemoryBound(to: sockaddr.self), socklen_t($0.count))
        }
        try #require(result == 0, "errno \(errno)")
    }

    /// To a port of the loopback.
    convenience init(port: UInt16) throws {
        // struct sockaddr_in
        let address: [UInt8] = [UInt8(AF_INET), 0, UInt8(port >> 8), UInt8(truncatingIfNeeded: port), 127, 0, 0, 1] + [UInt8](repeating: 0, count: 8)
        try self.init(AF_INET, address)
    }

    /// To a unix socket.
    convenience init(path: String) throws {
        // struct sockaddr_un
        try self.init(AF_UNIX, [UInt8(AF_UNIX), 0] + Array(path.utf8) + [0])
    }

    deinit { close(descriptor) }

    func send(_ operation: SheepProtocol.Operation, id: UInt32, body: [UInt8], payload: [UInt8] = []) {
        send(Self.frame(operation, id: id, body: body, payload: payload))
    }

    /// Frames that come together.
    func send(_ frames: [UInt8]) {
        // To one that was closed it may fail.
        _ = Glibc.send(descriptor, frames, frames.count, Int32(MSG_NOSIGNAL))
    }

    static func frame(_ operation: SheepProtocol.Operation, id: UInt32, body: [UInt8], payload: [UInt8] = []) -> [UInt8] {
        var frame = [UInt8](repeating: 0, count: FrameHeader.size)
        let header = FrameHeader(operation: operation, id: id, bodyLength: body.count, payloadLength: payload.count)
        frame.withUnsafeMutableBytes { header.encode(into: $0) }
        return frame + body + payload
    }

    /// Nil: the other side has closed the connection.
    func reply() throws -> FrameHeader? { try wholeReply()?.header }

    func wholeReply() throws -> (header: FrameHeader, body: [UInt8], payload: [UInt8])? {
        guard let head = try receive(FrameHeader.size) else { return nil }
        let header = try head.withUnsafeBytes { raw throws(WireError) in try FrameHeader(from: raw) }
        guard let data = try receive(header.bodyLength + header.payloadLength) else { return nil }
        return (header, Array(data[..<header.bodyLength]), Array(data[header.bodyLength...]))
    }

    private func receive(_ count: Int) throws -> [UInt8]? {
        var bytes = [UInt8](repeating: 0, count: count)
        var have = 0
        while have < count {
            let got = bytes.withUnsafeMutableBytes { recv(descriptor, $0.baseAddress! + have, count - have, 0) }
            if got == 0 || got < 0 && errno == ECONNRESET { return nil }
            try #require(got > 0, "nothing came for ten seconds: errno \(errno)")
            have += got
        }
        return bytes
    }
}
