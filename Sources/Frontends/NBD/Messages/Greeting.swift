package import NIOCore

/// The server's first message (`doc/proto.md`, "Fixed newstyle negotiation").
///
/// ```
/// off size
///   0    8 "NBDMAGIC"
///   8    8 "IHAVEOPT"
///  16    2 handshake flags
/// ```
package struct Greeting: Hashable, Sendable {
    package static let size = 18
    package static let magic: UInt64 = 0x4e42_444d_4147_4943
    package static let optionMagic: UInt64 = 0x4948_4156_454f_5054

    package var flags: HandshakeFlags

    package init(flags: HandshakeFlags) { self.flags = flags }

    package init(from buffer: inout ByteBuffer) throws(NBDMessageError) {
        guard try buffer.takeInteger(UInt64.self) == Self.magic else { throw .wrongMagic }
        guard try buffer.takeInteger(UInt64.self) == Self.optionMagic else { throw .wrongMagic }
        flags = HandshakeFlags(rawValue: try buffer.takeInteger())
    }

    package func encode(into buffer: inout ByteBuffer) {
        buffer.writeInteger(Self.magic)
        buffer.writeInteger(Self.optionMagic)
        buffer.writeInteger(flags.rawValue)
    }
}

/// What the server offers in its greeting, and the client accepts in the low half of its four bytes of flags.
package struct HandshakeFlags: OptionSet, Hashable, Sendable {
    package let rawValue: UInt16
    package init(rawValue: UInt16) { self.rawValue = rawValue }

    /// Errors to options are replies, not disconnections.
    package static let fixedNewstyle = HandshakeFlags(rawValue: 1 << 0)
    /// The reply to `NBD_OPT_EXPORT_NAME` goes without its 124 zeros.
    package static let noZeroes = HandshakeFlags(rawValue: 1 << 1)
}
