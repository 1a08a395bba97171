import Cluster
package import ObjectModel

/// A record of the control log: an entry, or with an empty payload the seal that ends its segment.
///
/// On disk, little-endian:
///
///      0   8  tag: the segment's random number, which no client can know; so no payload can pass for a record
///      8   8  index in the control log
///     16   4  payload length in bytes, at most ``maximumControlPayload``; 0 is a seal
///     20   4  CRC32C of bytes 0 to 19 and the payload
///     24   …  payload
///
/// A record is appended by one write(2) with O_APPEND. What a killed process or a power cut leaves of it is skipped.
package struct LogRecord: Hashable, Sendable {
    package static let headerLength = 24

    package let index: LogIndex
    package let payload: [UInt8]
    package var isSeal: Bool { payload.isEmpty }

    package init(index: LogIndex, payload: [UInt8]) { (self.index, self.payload) = (index, payload) }

    /// The bytes to append to the segment that has this tag.
    package func encoded(tag: UInt64) -> [UInt8] {
        precondition(payload.count <= maximumControlPayload)
        var writer = WireWriter(reserving: Self.headerLength + payload.count)
        writer.write(tag)
        writer.write(index.rawValue)
        writer.write(UInt32(payload.count))
        var checksum = Checksum()
        writer.bytes.withUnsafeBytes { checksum.update($0) }
        payload.withUnsafeBytes { checksum.update($0) }
        writer.write(checksum.value)
        writer.append(payload)
        return writer.bytes
    }
}

/// What the bytes at one place of a segment are.
package enum RecordSight {
    case whole(index: LogIndex, payload: Range<Int>)
    /// The beginning of a record whose rest is not there: still being written, or torn.
    case incomplete
    case nothing

    package init(at position: Int, in bytes: UnsafeRawBufferPointer, tag: UInt64) {
        let there = bytes.count - position
        guard there >= 8 else {
            let wanted = withUnsafeBytes(of: tag.littleEndian) { Array($0.prefix(there)) }
            self = bytes[position...].elementsEqual(wanted) ? .incomplete : .nothing
            return
        }
        func number<T: FixedWidthInteger>(_ offset: Int, _: T.Type) -> T {
            T(littleEndian: bytes.loadUnaligned(fromByteOffset: position + offset, as: T.self))
        }
        guard number(0, UInt64.self) == tag else { self = .nothing; return }
        guard there >= LogRecord.headerLength else { self = .incomplete; return }
        let length = Int(number(16, UInt32.self))
        guard length <= maximumControlPayload else { self = .nothing; return }
        guard there - LogRecord.headerLength >= length else { self = .incomplete; return }
        let payload = (position + LogRecord.headerLength)..<(position + LogRecord.headerLength + length)
        var checksum = Checksum()
        checksum.update(UnsafeRawBufferPointer(rebasing: bytes[position..<position + 20]))
        checksum.update(UnsafeRawBufferPointer(rebasing: bytes[payload]))
        guard checksum.value == number(20, UInt32.self) else { self = .nothing; return }
        self = .whole(index: LogIndex(rawValue: number(8, UInt64.self)), payload: payload)
    }
}
