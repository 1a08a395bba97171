package import NIOCore

/// A request of the transmission phase; the payload of a write follows it (`doc/proto.md`, "Request message").
///
/// ```
/// off size
///   0    4 0x25609513
///   4    2 command flags
///   6    2 command
///   8    8 cookie, echoed in the reply
///  16    8 offset
///  24    4 length
/// ```
package struct RequestHeader: Hashable, Sendable {
    package static let size = 28
    package static let magic: UInt32 = 0x2560_9513

    package var flags: CommandFlags
    /// A ``Command``, or something unknown.
    package var command: UInt16
    package var cookie: UInt64
    package var offset: UInt64
    package var length: UInt32

    package init(flags: CommandFlags = [], command: Command, cookie: UInt64, offset: UInt64, length: UInt32) {
        (self.flags, self.command, self.cookie) = (flags, command.rawValue, cookie)
        (self.offset, self.length) = (offset, length)
    }

    /// Reads the first 28 bytes, which must be there; nil when the magic number is wrong.
    @inline(__always)
    init?(from raw: UnsafeRawBufferPointer) {
        precondition(raw.count >= Self.size)
        guard UInt32(bigEndian: raw.loadUnaligned(fromByteOffset: 0, as: UInt32.self)) == Self.magic else { return nil }
        flags = CommandFlags(rawValue: UInt16(bigEndian: raw.loadUnaligned(fromByteOffset: 4, as: UInt16.self)))
        command = UInt16(bigEndian: raw.loadUnaligned(fromByteOffset: 6, as: UInt16.self))
        cookie = UInt64(bigEndian: raw.loadUnaligned(fromByteOffset: 8, as: UInt64.self))
        offset = UInt64(bigEndian: raw.loadUnaligned(fromByteOffset: 16, as: UInt64.self))
        length = UInt32(bigEndian: raw.loadUnaligned(fromByteOffset: 24, as: UInt32.self))
    }

    package init(from buffer: inout ByteBuffer) throws(NBDMessageError) {
        guard buffer.readableBytes >= Self.size else { throw .truncated }
        guard let header = buffer.withUnsafeReadableBytes({ RequestHeader(from: $0) }) else { throw .wrongMagic }
        buffer.moveReaderIndex(forwardBy: Self.size)
        self = header
    }

    package func encode(into buffer: inout ByteBuffer) {
        buffer.writeMultipleIntegers(Self.magic, flags.rawValue, command, cookie, offset, length)
    }
}

/// `doc/proto.md`, "Request types".
package enum Command: UInt16, Hashable, Sendable, CaseIterable {
    case read = 0
    case write = 1
    case disconnect = 2
    case flush = 3
    case trim = 4
    case cache = 5
    case writeZeroes = 6
    case blockStatus = 7
}

/// `doc/proto.md`, "Command flags".
package struct CommandFlags: OptionSet, Hashable, Sendable {
    package let rawValue: UInt16
    package init(rawValue: UInt16) { self.rawValue = rawValue }

    package static let forceUnitAccess = CommandFlags(rawValue: 1 << 0)
    package static let noHole = CommandFlags(rawValue: 1 << 1)
    package static let dontFragment = CommandFlags(rawValue: 1 << 2)
    package static let requestOne = CommandFlags(rawValue: 1 << 3)
    package static let fastZero = CommandFlags(rawValue: 1 << 4)
}
