package import NIOCore

/// Why bytes are not the message they should be.
package enum NBDMessageError: Error, Hashable, Sendable {
    case truncated
    case trailingBytes
    case wrongMagic
    /// A string of more than ``ByteBuffer/longestNBDString`` bytes.
    case tooLong
    /// A string that is not UTF-8 or that contains NUL.
    case invalidText
}

/// Strings and integers as all NBD messages hold them (`doc/proto.md`, "Conventions"): integers in network byte order,
/// strings of UTF-8 without NUL, their length told earlier in the message.
extension ByteBuffer {
    /// No string of the protocol may be longer, in bytes.
    package static var longestNBDString: Int { 4096 }

    mutating func takeInteger<T: FixedWidthInteger>(_: T.Type = T.self) throws(NBDMessageError) -> T {
        guard let value = readInteger(as: T.self) else { throw .truncated }
        return value
    }

    mutating func takeString(length: UInt32) throws(NBDMessageError) -> String {
        guard length <= Self.longestNBDString else { throw .tooLong }
        guard let bytes = readSlice(length: Int(length)) else { throw .truncated }
        guard let text = String(validating: bytes.readableBytesView, as: UTF8.self), !text.utf8.contains(0) else {
            throw .invalidText
        }
        return text
    }

    /// A 32-bit length, then the string.
    mutating func takePrefixedString() throws(NBDMessageError) -> String {
        try takeString(length: try takeInteger())
    }

    func expectEnd() throws(NBDMessageError) {
        guard readableBytes == 0 else { throw .trailingBytes }
    }

    mutating func writePrefixed(_ text: String) {
        writeInteger(UInt32(text.utf8.count))
        writeString(text)
    }
}
