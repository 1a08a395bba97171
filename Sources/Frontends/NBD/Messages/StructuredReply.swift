package import NIOCore

/// The header of a chunk of a structured reply (`doc/proto.md`, "Structured reply chunk message").
///
/// ```
/// off size
///   0    4 0x668e33ef
///   4    2 flags: bit 0 done, this is the last chunk of the reply
///   6    2 chunk type
///   8    8 cookie
///  16    4 length of the payload
///
/// payload of offset data    8 offset, then the data
///            offset hole    8 offset, 4 length
///            block status   4 context, then descriptors: 4 length, 4 flags
///            error          4 error, 2 length of the text, the text
///            error offset   as error, then 8 offset
/// ```
package struct StructuredReplyHeader: Hashable, Sendable {
    package static let size = 20
    package static let magic: UInt32 = 0x668e_33ef
    /// Header and offset of a chunk of read data.
    package static let sizeWithOffset = 28

    package enum Kind: UInt16, Hashable, Sendable, CaseIterable {
        case none = 0
        case offsetData = 1
        case offsetHole = 2
        case blockStatus = 5
        case error = 0x8001
        case errorOffset = 0x8002
    }

    package var isDone: Bool
    package var kind: Kind
    package var cookie: UInt64
    package var length: UInt32

    package init(kind: Kind, cookie: UInt64, length: UInt32, isDone: Bool = true) {
        (self.kind, self.cookie, self.length, self.isDone) = (kind, cookie, length, isDone)
    }

    package init(from buffer: inout ByteBuffer) throws(NBDMessageError) {
        guard try buffer.takeInteger(UInt32.self) == Self.magic else { throw .wrongMagic }
        isDone = try buffer.takeInteger(UInt16.self) & 1 == 1
        guard let kind = Kind(rawValue: try buffer.takeInteger()) else { throw .wrongMagic }
        self.kind = kind
        cookie = try buffer.takeInteger()
        length = try buffer.takeInteger()
    }

    package func encode(into buffer: inout ByteBuffer) {
        buffer.writeMultipleIntegers(Self.magic, UInt16(isDone ? 1 : 0), kind.rawValue, cookie, length)
    }
}

/// The payload of an error chunk: what went wrong, for the program and for people.
package struct ErrorChunk: Hashable, Sendable {
    package var error: NBDErrorCode
    package var text: String
    /// With an offset the chunk is an `ERROR_OFFSET`: nothing from there on is valid.
    package var offset: UInt64?

    package init(error: NBDErrorCode, text: String, offset: UInt64? = nil) {
        (self.error, self.text, self.offset) = (error, text.limited(toBytes: ByteBuffer.longestNBDString), offset)
    }

    package var kind: StructuredReplyHeader.Kind { offset == nil ? .error : .errorOffset }
    package var length: UInt32 { UInt32(6 + text.utf8.count + (offset == nil ? 0 : 8)) }

    package init(from buffer: inout ByteBuffer) throws(NBDMessageError) {
        error = NBDErrorCode(rawValue: try buffer.takeInteger()) ?? .invalid
        text = try buffer.takeString(length: UInt32(try buffer.takeInteger(UInt16.self)))
        offset = buffer.readableBytes == 0 ? nil : try buffer.takeInteger()
        try buffer.expectEnd()
    }

    package func encode(into buffer: inout ByteBuffer) {
        buffer.writeInteger(error.rawValue)
        buffer.writeInteger(UInt16(text.utf8.count))
        buffer.writeString(text)
        if let offset { buffer.writeInteger(offset) }
    }
}

/// One run of bytes in a block status chunk (`doc/proto.md`, "Metadata contexts").
package struct BlockDescriptor: Hashable, Sendable {
    package static let size = 8

    /// Bytes; not zero.
    package var length: UInt32
    package var isHole: Bool
    package var isZero: Bool

    package init(length: UInt32, isHole: Bool, isZero: Bool) {
        (self.length, self.isHole, self.isZero) = (length, isHole, isZero)
    }

    package init(from buffer: inout ByteBuffer) throws(NBDMessageError) {
        length = try buffer.takeInteger()
        let flags: UInt32 = try buffer.takeInteger()
        (isHole, isZero) = (flags & 1 != 0, flags & 2 != 0)
    }

    package func encode(into buffer: inout ByteBuffer) {
        buffer.writeMultipleIntegers(length, UInt32((isHole ? 1 : 0) | (isZero ? 2 : 0)))
    }
}
