package import NIOCore

/// A reply; so many bytes as its data length follow it.
///
/// ```
/// off size field
///   0    1 protocol version, 0
///   1    1 opcode of the request
///   2    2 flags, 0
///   4    4 epoch of the cluster
///   8    4 id of the request
///  12    4 data length
///  16    4 result
///  20   28 by opcode:
///        volumes          24 VID (4)    32 copies (1)  33 object shift (1)
///        nodes            20 nodes (4)  32 bytes of store (8)  40 bytes free (8)
///        cluster default  20 copies (1) 21 copy policy (1) 22 object shift (1)
/// ```
package struct ReplyHeader: Hashable, Sendable {
    package static let size = 48

    package var opcode: UInt8
    package var epoch: UInt32
    package var id: UInt32
    package var dataLength: UInt32 = 0
    package var result: ResultCode
    /// Bytes 20 to 23 and 24 to 47.
    private var head: UInt32 = 0
    private var first, second, third: UInt64

    package init(to request: RequestHeader, epoch: UInt32, result: ResultCode = .success, dataLength: UInt32 = 0) {
        (opcode, id, self.epoch, self.result, self.dataLength) = (request.opcode, request.id, epoch, result, dataLength)
        (first, second, third) = (0, 0, 0)
    }

    /// Nil when there are fewer than 48 bytes, or an unknown result.
    package init?(from buffer: inout ByteBuffer) {
        guard let (_, opcode, _, epoch) = buffer.readMultipleIntegers(endianness: .little, as: (UInt8, UInt8, UInt16, UInt32).self),
            let (id, length, code, head) = buffer.readMultipleIntegers(endianness: .little, as: (UInt32, UInt32, UInt32, UInt32).self),
            let (first, second, third) = buffer.readMultipleIntegers(endianness: .little, as: (UInt64, UInt64, UInt64).self),
            let result = ResultCode(rawValue: code)
        else { return nil }
        (self.opcode, self.epoch, self.id, dataLength, self.result) = (opcode, epoch, id, length, result)
        (self.head, self.first, self.second, self.third) = (head, first, second, third)
    }

    @inline(__always)
    package func encode(into buffer: inout ByteBuffer) {
        buffer.writeMultipleIntegers(UInt8(0), opcode, UInt16(0), epoch, id, dataLength, result.rawValue, head, endianness: .little)
        buffer.writeMultipleIntegers(first, second, third, endianness: .little)
    }

    /// Volumes.
    package var vid: UInt32 {
        get { UInt32(truncatingIfNeeded: first) }
        set { first = UInt64(newValue) }
    }

    package mutating func setVolume(vid: UInt32, copies: UInt8, objectShift: UInt8) {
        self.vid = vid
        second = UInt64(copies) | UInt64(objectShift) << 8
    }

    /// Nodes.
    package var nodeCount: UInt32 {
        get { head }
        set { head = newValue }
    }

    /// Bytes of the store, and free ones.
    package mutating func setSpace(total: UInt64, free: UInt64) { (second, third) = (total, free) }

    package mutating func setClusterDefault(copies: UInt8, objectShift: UInt8) {
        head = UInt32(copies) | UInt32(objectShift) << 16
    }
}
