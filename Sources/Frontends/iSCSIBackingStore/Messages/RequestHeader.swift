package import NIOCore

/// A request; with the flag ``RequestFlags/write`` its payload follows it.
///
/// ```
/// off size field
///   0    1 protocol version
///   1    1 opcode
///   2    2 flags
///   4    4 epoch, not looked at
///   8    4 id, echoed in the reply
///  12    4 data length: of the payload that follows; else of the client's buffer
///  16   32 by opcode:
///        objects   16 oid (8)   24 cow oid (8)  32 copies, not looked at  40 offset (4, the next 4 zero)
///        volumes   16 size (8)  24 base VID (4) 28 copies (1) 29 copy policy (1) 30 store policy (1) 31 object shift (1)
///                  32 snapshot id (4) 36 type of lock (4)
///        cluster   40 nodes in a record (4)
/// ```
/// All integers are little-endian.
package struct RequestHeader: Hashable, Sendable {
    package static let size = 48

    package var version: UInt8
    package var opcode: UInt8
    package var flags: RequestFlags
    package var id: UInt32
    package var dataLength: UInt32
    /// Bytes 16 to 47.
    private var first, second, third, fourth: UInt64

    package init(
        version: UInt8 = 1, opcode: UInt8, flags: RequestFlags = [], id: UInt32, dataLength: UInt32 = 0
    ) {
        (self.version, self.opcode, self.flags, self.id, self.dataLength) = (version, opcode, flags, id, dataLength)
        (first, second, third, fourth) = (0, 0, 0, 0)
    }

    /// Reads the first 48 bytes, which must be there. Any bytes are a header.
    @inline(__always)
    init(from raw: UnsafeRawBufferPointer) {
        precondition(raw.count >= Self.size)
        func load<T: FixedWidthInteger>(_ offset: Int, _: T.Type = T.self) -> T {
            T(littleEndian: raw.loadUnaligned(fromByteOffset: offset, as: T.self))
        }
        (version, opcode, flags) = (raw[0], raw[1], RequestFlags(rawValue: load(2)))
        (id, dataLength) = (load(8), load(12))
        (first, second, third, fourth) = (load(16), load(24), load(32), load(40))
    }

    package init?(from buffer: inout ByteBuffer) {
        guard buffer.readableBytes >= Self.size else { return nil }
        self = buffer.withUnsafeReadableBytes { RequestHeader(from: $0) }
        buffer.moveReaderIndex(forwardBy: Self.size)
    }

    package func encode(into buffer: inout ByteBuffer) {
        buffer.writeMultipleIntegers(version, opcode, flags.rawValue, UInt32(0), id, dataLength, endianness: .little)
        buffer.writeMultipleIntegers(first, second, third, fourth, endianness: .little)
    }

    // MARK: Objects

    package var object: SheepdogObjectID {
        get { SheepdogObjectID(rawValue: first) }
        set { first = newValue.rawValue }
    }

    package var copyOnWriteObject: SheepdogObjectID {
        get { SheepdogObjectID(rawValue: second) }
        set { second = newValue.rawValue }
    }

    /// Bytes within the object. QEMU takes eight bytes for it.
    package var offset: UInt64 {
        get { fourth }
        set { fourth = newValue }
    }

    // MARK: Volumes

    /// Bytes.
    package var volumeSize: UInt64 {
        get { first }
        set { first = newValue }
    }

    /// To ``Opcode/newVolume`` what descends; to ``Opcode/releaseVolume`` which.
    package var baseVID: UInt32 {
        get { UInt32(truncatingIfNeeded: second) }
        set { second = second & ~0xFFFF_FFFF | UInt64(newValue) }
    }

    package var copies: UInt8 {
        get { UInt8(truncatingIfNeeded: second >> 32) }
        set { second = second & ~(0xFF << 32) | UInt64(newValue) << 32 }
    }

    /// 0: replicated.
    package var copyPolicy: UInt8 {
        get { UInt8(truncatingIfNeeded: second >> 40) }
        set { second = second & ~(0xFF << 40) | UInt64(newValue) << 40 }
    }

    package var objectShift: UInt8 {
        get { UInt8(truncatingIfNeeded: second >> 56) }
        set { second = second & ~(0xFF << 56) | UInt64(newValue) << 56 }
    }

    package var snapshotID: UInt32 {
        get { UInt32(truncatingIfNeeded: third) }
        set { third = third & ~0xFFFF_FFFF | UInt64(newValue) }
    }

    /// 0: for one client's sheep alone; 1: shared.
    package var lockType: UInt32 {
        get { UInt32(truncatingIfNeeded: third >> 32) }
        set { third = third & 0xFFFF_FFFF | UInt64(newValue) << 32 }
    }

    // MARK: Cluster

    package var nodesInRecord: UInt32 {
        get { UInt32(truncatingIfNeeded: fourth) }
        set { fourth = fourth & ~0xFFFF_FFFF | UInt64(newValue) }
    }
}

package struct RequestFlags: OptionSet, Hashable, Sendable {
    package let rawValue: UInt16
    package init(rawValue: UInt16) { self.rawValue = rawValue }

    /// A payload follows.
    package static let write = RequestFlags(rawValue: 0x01)
    package static let copyOnWrite = RequestFlags(rawValue: 0x02)
    /// Write-back: durable with the next flush.
    package static let cache = RequestFlags(rawValue: 0x04)
    package static let direct = RequestFlags(rawValue: 0x08)
    /// The client is tgt, which can be told to load the inode again.
    package static let tgt = RequestFlags(rawValue: 0x20)
}
