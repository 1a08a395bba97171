import Glibc
import NBDFrontend
import NIOCore
import Testing

/// A client that sends whatever a test wants, byte by byte if need be. Waits ten seconds at most.
final class RawClient {
    private(set) var descriptor: CInt

    init(unix path: String) throws {
        descriptor = socket(AF_UNIX, CInt(SOCK_STREAM.rawValue) | CInt(SOCK_CLOEXEC.rawValue), 0)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
        try connect(&address)
    }

    init(port: Int) throws {
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
        try #require(result == 0)
    }

    deinit { disconnect() }

    func disconnect() {
        if descriptor >= 0 { close(descriptor) }
        descriptor = -1
    }

    /// Closes with a reset instead of an end-of-file (TCP).
    func reset() {
        var option = linger(l_onoff: 1, l_linger: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &option, socklen_t(MemoryLayout<linger>.size))
        disconnect()
    }

    /// Sends all of it, unless the server closed.
    @discardableResult
    func send(_ buffer: ByteBuffer) -> Bool {
        var rest = buffer
        while rest.readableBytes > 0 {
            let count = rest.withUnsafeReadableBytes { Glibc.send(descriptor, $0.baseAddress, $0.count, CInt(MSG_NOSIGNAL)) }
            guard count > 0 else { return false }
            rest.moveReaderIndex(forwardBy: count)
        }
        return true
    }

    @discardableResult
    func send(_ encode: (inout ByteBuffer) -> Void) -> Bool {
        var buffer = ByteBuffer()
        encode(&buffer)
        return send(buffer)
    }

    /// What comes, `count` bytes at least unless the connection ends.
    func receive(_ count: Int) -> ByteBuffer {
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
    func isClosedByServer() -> Bool {
        while let piece = receiveSome(1 << 20) {
            if piece.isEmpty { return true }
        }
        return false
    }

    /// Nothing comes for a short while.
    func isQuiet() -> Bool { receiveSome(1, milliseconds: 50) == nil }
}

// MARK: NBD

extension RawClient {
    /// Takes the greeting and answers it.
    func greet(flags: UInt32 = 3) throws {
        var greeting = receive(Greeting.size)
        #expect(try Greeting(from: &greeting).flags == [.fixedNewstyle, .noZeroes])
        send { $0.writeInteger(flags) }
    }

    func sendOption(_ option: UInt32, _ data: ByteBuffer = ByteBuffer()) {
        send {
            OptionHeader(option: option, length: UInt32(data.readableBytes)).encode(into: &$0)
            $0.writeImmutableBuffer(data)
        }
    }

    func sendOption(_ option: OptionCode, _ encode: (inout ByteBuffer) -> Void = { _ in }) {
        var data = ByteBuffer()
        encode(&data)
        sendOption(option.rawValue, data)
    }

    func receiveOptionReply() throws -> OptionReply {
        var bytes = receive(20)
        let length = try #require(bytes.getInteger(at: 16, as: UInt32.self))
        var data = receive(Int(length))
        bytes.writeBuffer(&data)
        return try OptionReply(from: &bytes)
    }

    /// Replies up to the acknowledgement or the error.
    func receiveOptionReplies() throws -> [OptionReply] {
        var replies = [try receiveOptionReply()]
        while replies.last!.kind != .acknowledged, !replies.last!.kind.isError { replies.append(try receiveOptionReply()) }
        return replies
    }

    /// Negotiates all the way into transmission.
    func go(_ export: String, structured: Bool = false) throws {
        try greet()
        if structured {
            sendOption(.structuredReply)
            #expect(try receiveOptionReply().kind == .acknowledged)
        }
        sendOption(.go) { InformationRequest(exportName: export, wanted: []).encode(into: &$0) }
        #expect(try receiveOptionReplies().last?.kind == .acknowledged)
    }

    func sendRequest(
        _ command: Command, cookie: UInt64 = 1, offset: UInt64 = 0, length: UInt32 = 0, flags: CommandFlags = [],
        payload: [UInt8] = []
    ) {
        send {
            RequestHeader(flags: flags, command: command, cookie: cookie, offset: offset, length: length).encode(into: &$0)
            $0.writeBytes(payload)
        }
    }

    func receiveSimpleReply() throws -> SimpleReply {
        var bytes = receive(SimpleReply.size)
        return try SimpleReply(from: &bytes)
    }

    func receiveChunk() throws -> (StructuredReplyHeader, ByteBuffer) {
        var bytes = receive(StructuredReplyHeader.size)
        let header = try StructuredReplyHeader(from: &bytes)
        return (header, receive(Int(header.length)))
    }
}
