package import NIOCore

/// An answer to an option (`doc/proto.md`, "Fixed newstyle negotiation").
///
/// ```
/// off size
///   0    8 0x0003e889045565a9
///   8    4 option that is answered
///  12    4 reply type
///  16    4 length of the data
///  20    … data
/// ```
package struct OptionReply: Hashable, Sendable {
    package static let magic: UInt64 = 0x0003_e889_0455_65a9
    /// The longest data that a reply of ours has: a name and a description of 4096 bytes each, and their length.
    package static let maximumLength = 3 * ByteBuffer.longestNBDString

    package var option: UInt32
    package var kind: OptionReplyKind
    package var data: ByteBuffer

    package init(option: UInt32, kind: OptionReplyKind, data: ByteBuffer = ByteBuffer()) {
        (self.option, self.kind, self.data) = (option, kind, data)
    }

    /// A refusal with a text for people.
    package init(option: UInt32, error: OptionReplyKind, _ text: String) {
        precondition(error.isError)
        self.init(option: option, kind: error, data: ByteBuffer(string: text.limited(toBytes: ByteBuffer.longestNBDString)))
    }

    package init(from buffer: inout ByteBuffer) throws(NBDMessageError) {
        guard try buffer.takeInteger(UInt64.self) == Self.magic else { throw .wrongMagic }
        option = try buffer.takeInteger()
        kind = OptionReplyKind(rawValue: try buffer.takeInteger())
        let length: UInt32 = try buffer.takeInteger()
        guard length <= Self.maximumLength else { throw .tooLong }
        guard let data = buffer.readSlice(length: Int(length)) else { throw .truncated }
        self.data = data
    }

    package func encode(into buffer: inout ByteBuffer) {
        precondition(data.readableBytes <= Self.maximumLength)
        buffer.writeInteger(Self.magic)
        buffer.writeInteger(option)
        buffer.writeInteger(kind.rawValue)
        buffer.writeInteger(UInt32(data.readableBytes))
        buffer.writeImmutableBuffer(data)
    }
}

/// `doc/proto.md`, "Option reply types".
package struct OptionReplyKind: RawRepresentable, Hashable, Sendable {
    package let rawValue: UInt32
    package init(rawValue: UInt32) { self.rawValue = rawValue }
    private init(error: UInt32) { rawValue = 1 << 31 | error }

    package var isError: Bool { rawValue >> 31 == 1 }

    package static let acknowledged = OptionReplyKind(rawValue: 1)
    package static let server = OptionReplyKind(rawValue: 2)
    package static let info = OptionReplyKind(rawValue: 3)
    package static let metaContext = OptionReplyKind(rawValue: 4)
    package static let unsupported = OptionReplyKind(error: 1)
    package static let policy = OptionReplyKind(error: 2)
    package static let invalid = OptionReplyKind(error: 3)
    package static let unknownExport = OptionReplyKind(error: 6)
    package static let shuttingDown = OptionReplyKind(error: 7)
    package static let tooBig = OptionReplyKind(error: 9)
}

extension String {
    /// The longest prefix of whole characters within so many bytes of UTF-8.
    func limited(toBytes limit: Int) -> String {
        guard utf8.count > limit else { return self }
        var text = self
        while text.utf8.count > limit { text.removeLast() }
        return text
    }
}
