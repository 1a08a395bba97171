package import ObjectModel

/// The start of a segment `log.<first index>`: the state before its first entry, and the tag of its records.
///
/// On disk, little-endian; written and synced before the segment gets its name, so it is always whole:
///
///      0   8  "SHEEPLOG"
///      8   4  format version, 1
///     12   4  CRC32C of the snapshot
///     16   8  tag, random
///     24   8  index of the last entry in the snapshot; 0 with an empty snapshot: before everything
///     32   8  snapshot length in bytes
///     40   4  zero
///     44   4  CRC32C of bytes 0 to 43
///     48   …  snapshot, then the records
package struct SegmentHeader: Hashable, Sendable {
    package static let length = 48
    /// A state of a million volumes takes some 200 MB; what claims more than this is damage.
    package static let maximumSnapshot: UInt64 = 1 << 30
    private static let magic: UInt64 = 0x474F_4C50_4545_4853  // "SHEEPLOG"
    private static let version: UInt32 = 1

    package let tag: UInt64
    package let index: LogIndex
    package let snapshotLength: UInt64
    package let snapshotChecksum: UInt32

    package init(tag: UInt64, index: LogIndex, snapshot: [UInt8]) {
        precondition(UInt64(snapshot.count) <= Self.maximumSnapshot)
        (self.tag, self.index) = (tag, index)
        (snapshotLength, snapshotChecksum) = (UInt64(snapshot.count), Checksum.of(snapshot))
    }

    /// Where the records begin, in bytes from the start of the file.
    package var recordsOffset: UInt64 { UInt64(Self.length) + snapshotLength }

    package var encoded: [UInt8] {
        var writer = WireWriter(reserving: Self.length)
        writer.write(Self.magic)
        writer.write(Self.version)
        writer.write(snapshotChecksum)
        writer.write(tag)
        writer.write(index.rawValue)
        writer.write(snapshotLength)
        writer.write(UInt32(0))
        writer.write(Checksum.of(writer.bytes))
        precondition(writer.bytes.count == Self.length)
        return writer.bytes
    }

    package init(decoding bytes: [UInt8]) throws(WireError) {
        var reader = WireReader(bytes)
        guard try reader.read(UInt64.self) == Self.magic else { throw .invalid("magic number") }
        guard try reader.read(UInt32.self) == Self.version else { throw .invalid("format version") }
        snapshotChecksum = try reader.read()
        tag = try reader.read()
        index = try reader.readValue()
        snapshotLength = try reader.read()
        _ = try reader.read(UInt32.self)
        let checksum = try reader.read(UInt32.self)
        guard Checksum.of(Array(bytes.prefix(44))) == checksum else { throw .invalid("header checksum") }
        guard snapshotLength <= Self.maximumSnapshot else {
            throw .tooLong(Int(clamping: snapshotLength), maximum: Int(Self.maximumSnapshot))
        }
    }
}
