import ConformanceKit
import NBDFrontend
import NIOCore
import Testing

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
