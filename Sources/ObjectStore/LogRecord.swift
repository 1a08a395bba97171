package import ObjectModel

/// One record of the catalogue or the intent log.
///
/// ```
///  0        4         8      9     10    11      12       16        24       32        40
///  +--------+---------+------+-----+-----+-------+--------+---------+--------+---------+
///  | CRC32C | durable | type | kind|shift| flags | index  | family  | birth  | version |
///  +--------+---------+------+-----+-----+-------+--------+---------+--------+---------+
/// ```
///
/// Little-endian. The CRC covers bytes 4 to 39 and begins with the record's slot and the log's life, so that a record is
/// valid nowhere else, and none that a power cut left behind the end becomes valid behind new ones. `durable` counts the
/// slots known durable when this one was written: a bad slot before such a count is rot, one after all of them is the
/// torn end that a power cut leaves.
package struct LogRecord: Hashable {
    package static let size = 40

    package enum Kind: UInt8 {
        /// Slot 0 of every log; `version` is the format.
        case header = 1
        /// Catalogue: the object has a file; `version` is the group version of its first write.
        case create = 2
        /// Catalogue: the first write under a new group version.
        case touch = 3
        /// Catalogue: the name is a hole.
        case hole = 4
        /// Catalogue: the name is gone; remembered with its version until it is forgotten.
        case remove = 5
        /// Intent log: writes to the region may be under way; `index` is the region's number.
        case listed = 7
        /// Intent log: the region's data, tables and names are durable and agree.
        case retired = 8
        /// Both: `version` is the life of the records from here on, one more than any before.
        case life = 9
    }

    package var kind: Kind
    package var name: ObjectName
    package var shift: UInt8
    package var flags: UInt8
    package var version: LogIndex

    package init(
        kind: Kind, name: ObjectName, shift: UInt8 = 0, flags: UInt8 = 0, version: LogIndex = .zero
    ) {
        (self.kind, self.name, self.shift, self.flags, self.version) = (kind, name, shift, flags, version)
    }

    static let formatVersion: UInt64 = 1

    static var header: LogRecord {
        let nothing = ObjectName(family: Family(rawValue: 0), index: 0, birth: Birth(rawValue: 0))
        return LogRecord(kind: .header, name: nothing, version: LogIndex(rawValue: formatVersion))
    }

    static func life(_ number: UInt32) -> LogRecord {
        var record = header
        (record.kind, record.version) = (.life, LogIndex(rawValue: UInt64(number)))
        return record
    }

    private static func checksum(_ bytes: UnsafeRawBufferPointer, _ slot: UInt32, _ life: UInt32) -> UInt32 {
        let start = CRC32C.start ^ slot ^ life &* 0x9E37_79B1
        return CRC32C.finish(CRC32C.extend(start, UnsafeRawBufferPointer(rebasing: bytes[4..<size])))
    }

    package func encode(slot: UInt32, life: UInt32, durable: UInt32, into bytes: UnsafeMutableRawBufferPointer) {
        precondition(bytes.count == Self.size)
        bytes.storeBytes(of: durable.littleEndian, toByteOffset: 4, as: UInt32.self)
        bytes[8] = kind.rawValue
        bytes[9] = name.kind.rawValue
        bytes[10] = shift
        bytes[11] = flags
        bytes.storeBytes(of: name.index.littleEndian, toByteOffset: 12, as: UInt32.self)
        bytes.storeBytes(of: name.family.rawValue.littleEndian, toByteOffset: 16, as: UInt64.self)
        bytes.storeBytes(of: name.birth.rawValue.littleEndian, toByteOffset: 24, as: UInt64.self)
        bytes.storeBytes(of: version.rawValue.littleEndian, toByteOffset: 32, as: UInt64.self)
        let checksum = Self.checksum(UnsafeRawBufferPointer(bytes), slot, life)
        bytes.storeBytes(of: checksum.littleEndian, toByteOffset: 0, as: UInt32.self)
    }

    /// Nil unless the bytes are a whole, known record of this slot and life.
    package static func decode(
        _ bytes: UnsafeRawBufferPointer, slot: UInt32, life: UInt32
    ) -> (record: LogRecord, durable: UInt32)? {
        func word(_ offset: Int) -> UInt32 {
            UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt32.self))
        }
        func long(_ offset: Int) -> UInt64 {
            UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
        }
        precondition(bytes.count == size)
        guard word(0) == checksum(bytes, slot, life), let kind = Kind(rawValue: bytes[8]),
            let objectKind = ObjectKind(rawValue: bytes[9])
        else { return nil }
        let name = ObjectName(
            family: Family(rawValue: long(16)), index: word(12), birth: Birth(rawValue: long(24)), kind: objectKind)
        let record = LogRecord(
            kind: kind, name: name, shift: bytes[10], flags: bytes[11], version: LogIndex(rawValue: long(32)))
        return (record, word(4))
    }
}
