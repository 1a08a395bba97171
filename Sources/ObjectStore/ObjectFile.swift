package import ObjectModel

/// The file of one object.
///
/// ```
///  0                    objectSize     objectSize + 4096      objectSize + 4096 + 4 × blocks
///  +--------------------+--------------+----------------------+
///  | data, sparse       | header block | CRC32C of each block |
///  +--------------------+--------------+----------------------+
///
///  header block:
///  0       8        12    13     14     16      20       28       36      40         44
///  +-------+--------+-----+------+------+-------+--------+--------+-------+----------+---------------+
///  | magic | format |shift| kind | zero | index | family | birth  | table | CRC32C   | zeros to 4096 |
///  +-------+--------+-----+------+------+-------+--------+--------+-------+----------+---------------+
/// ```
///
/// Little-endian. `table` is the CRC32C of the whole table at its last write-back; the header's own CRC covers bytes 0
/// to 39. Header and table are written lazily: an object in a listed region may lack them or have old ones.
package enum ObjectFile {
    static let headerSize = blockSize
    private static let checksummed = 40
    /// "SHEEPOBJ".
    private static let magic: UInt64 = 0x4a42_4f50_4545_4853
    private static let formatVersion: UInt32 = 1

    static func headerOffset(_ shift: ObjectShift) -> UInt64 { UInt64(shift.objectSize) }
    /// Header and table together.
    package static func trailerSize(_ shift: ObjectShift) -> Int { headerSize + shift.blocksPerObject * 4 }

    package static func encodeTrailer(
        _ name: ObjectName, _ shift: ObjectShift, _ table: borrowing ChecksumTable,
        into bytes: UnsafeMutableRawBufferPointer
    ) {
        precondition(bytes.count == trailerSize(shift))
        bytes.initializeMemory(as: UInt8.self, repeating: 0)
        UnsafeMutableRawBufferPointer(rebasing: bytes[headerSize...]).copyMemory(
            from: UnsafeRawBufferPointer(table.bytes))
        bytes.storeBytes(of: magic.littleEndian, toByteOffset: 0, as: UInt64.self)
        bytes.storeBytes(of: formatVersion.littleEndian, toByteOffset: 8, as: UInt32.self)
        bytes[12] = shift.rawValue
        bytes[13] = name.kind.rawValue
        bytes.storeBytes(of: name.index.littleEndian, toByteOffset: 16, as: UInt32.self)
        bytes.storeBytes(of: name.family.rawValue.littleEndian, toByteOffset: 20, as: UInt64.self)
        bytes.storeBytes(of: name.birth.rawValue.littleEndian, toByteOffset: 28, as: UInt64.self)
        let table = CRC32C.of(UnsafeRawBufferPointer(rebasing: bytes[headerSize...]))
        bytes.storeBytes(of: table.littleEndian, toByteOffset: 36, as: UInt32.self)
        let own = CRC32C.of(UnsafeRawBufferPointer(rebasing: bytes[..<checksummed]))
        bytes.storeBytes(of: own.littleEndian, toByteOffset: checksummed, as: UInt32.self)
    }

    /// Fills the table from a trailer; false when header or table do not match their checksums or are another object's.
    package static func decodeTrailer(
        _ bytes: UnsafeRawBufferPointer, _ name: ObjectName, _ shift: ObjectShift, into table: borrowing ChecksumTable
    ) -> Bool {
        precondition(bytes.count == trailerSize(shift))
        func word(_ offset: Int) -> UInt32 {
            UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt32.self))
        }
        func long(_ offset: Int) -> UInt64 {
            UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
        }
        guard long(0) == magic, word(8) == formatVersion, bytes[12] == shift.rawValue, bytes[13] == name.kind.rawValue,
            word(16) == name.index, long(20) == name.family.rawValue, long(28) == name.birth.rawValue,
            word(checksummed) == CRC32C.of(UnsafeRawBufferPointer(rebasing: bytes[..<checksummed]))
        else { return false }
        let words = UnsafeRawBufferPointer(rebasing: bytes[headerSize...])
        guard word(36) == CRC32C.of(words) else { return false }
        table.bytes.copyMemory(from: words)
        return true
    }
}

/// Names of files and folders: `objects/XX/<family>.<index>.<birth>.<kind>`, numbers in hexadecimal of full width.
/// XX is the high byte of the placement group: 256 folders.
package enum ObjectPath {
    static let root = "objects"

    static func folder(_ number: UInt8) -> String { root + "/" + hex(UInt64(number), 2) }
    static func folderNumber(_ name: ObjectName) -> UInt8 { UInt8(name.group.rawValue >> 8) }

    package static func fileName(_ name: ObjectName) -> String {
        hex(name.family.rawValue, 16) + "." + hex(UInt64(name.index), 8) + "." + hex(name.birth.rawValue, 16) + "."
            + String(name.kind.rawValue)
    }

    package static func path(_ name: ObjectName) -> String { folder(folderNumber(name)) + "/" + fileName(name) }

    /// Nil for anything that ``fileName(_:)`` did not make.
    package static func parse(_ text: String) -> ObjectName? {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 4, let family = UInt64(parts[0], radix: 16), let index = UInt32(parts[1], radix: 16),
            let birth = UInt64(parts[2], radix: 16), let number = UInt8(parts[3]), let kind = ObjectKind(rawValue: number)
        else { return nil }
        let name = ObjectName(
            family: Family(rawValue: family), index: index, birth: Birth(rawValue: birth), kind: kind)
        return fileName(name) == text ? name : nil
    }

    private static func hex(_ value: UInt64, _ digits: Int) -> String {
        let text = String(value, radix: 16)
        return String(repeating: "0", count: digits - text.utf8.count) + text
    }
}
