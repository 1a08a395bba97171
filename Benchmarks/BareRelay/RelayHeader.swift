import NIOCore

/// The header of the relay's own protocol; a request is a header and `length` bytes, an answer a header alone.
///
///      0        4        8                16               24       28       32
///     +--------+--------+----------------+----------------+--------+--------+
///     | magic  | zero   | id             | offset         | length | zero   |   little endian
///     +--------+--------+----------------+----------------+--------+--------+
struct RelayHeader {
    static let size = 32
    static let idOffset = 8
    static let magic: UInt32 = 0x4241_5245
    /// What the front and the backends take at most in one request.
    static let maximumLength = 1 << 20

    var id: UInt64
    var offset: UInt64
    var length: UInt32

    init(id: UInt64, offset: UInt64 = 0, length: UInt32 = 0) {
        self.id = id
        self.offset = offset
        self.length = length
    }

    /// The header at an index of a buffer that holds all its bytes.
    init(in buffer: ByteBuffer, at index: Int) throws(RelayError) {
        guard buffer.getInteger(at: index, endianness: .little, as: UInt32.self) == Self.magic,
            let id = buffer.getInteger(at: index + Self.idOffset, endianness: .little, as: UInt64.self),
            let offset = buffer.getInteger(at: index + 16, endianness: .little, as: UInt64.self),
            let length = buffer.getInteger(at: index + 24, endianness: .little, as: UInt32.self)
        else { throw .notARelay }
        guard Int(length) <= Self.maximumLength else { throw .tooLong(Int(length)) }
        self.init(id: id, offset: offset, length: length)
    }

    func write(to buffer: inout ByteBuffer) {
        buffer.writeMultipleIntegers(Self.magic, UInt32(0), id, offset, length, UInt32(0), endianness: .little)
    }

    /// The same bytes for the load generator, which has no `ByteBuffer`.
    func write(to bytes: UnsafeMutableRawBufferPointer) {
        bytes.storeBytes(of: Self.magic.littleEndian, toByteOffset: 0, as: UInt32.self)
        bytes.storeBytes(of: 0, toByteOffset: 4, as: UInt32.self)
        bytes.storeBytes(of: id.littleEndian, toByteOffset: 8, as: UInt64.self)
        bytes.storeBytes(of: offset.littleEndian, toByteOffset: 16, as: UInt64.self)
        bytes.storeBytes(of: length.littleEndian, toByteOffset: 24, as: UInt32.self)
        bytes.storeBytes(of: 0, toByteOffset: 28, as: UInt32.self)
    }
}

enum RelayError: Error, CustomStringConvertible {
    case notARelay
    case tooLong(Int)
    case tooManyInFlight
    case systemCall(String, Int32)
    case closed
    case refused(String)

    var description: String {
        switch self {
        case .notARelay: "the other side does not speak the relay's protocol"
        case .tooLong(let length): "a request of \(length) bytes is longer than \(RelayHeader.maximumLength)"
        case .tooManyInFlight: "more than \(FanOut.maximumInFlight) writes in flight"
        case .systemCall(let what, let code): "\(what): errno \(code)"
        case .closed: "the other side closed the connection"
        case .refused(let why): "refused: \(why)"
        }
    }
}
