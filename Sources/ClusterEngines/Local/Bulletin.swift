import Cluster
import Glibc

/// Short texts at fixed places of a liveness file, each with its length and checksum: who reads one while it is being
/// replaced sees that by the checksum. Never synced: they say nothing about a process that has ended.
enum Bulletin {
    /// The process that holds the lock.
    static let markOffset: UInt64 = 0
    /// What its node shows the others.
    static let reportOffset: UInt64 = 4096

    /// Length and CRC32C, 32 bits each, little-endian.
    private static let headLength = 8

    static func write(_ bytes: [UInt8], at offset: UInt64, to file: OpenFile) throws(EngineFailure) {
        precondition(bytes.count <= maximumReport)
        var record: [UInt8] = []
        for value in [UInt32(bytes.count), Checksum.of(bytes)] { withUnsafeBytes(of: value.littleEndian) { record += $0 } }
        try file.write(record + bytes, at: offset)
    }

    static func read(at offset: UInt64, maximum: Int, of file: OpenFile) -> [UInt8]? {
        // One call for what is usual; a long one takes a second.
        guard var record = try? file.read(at: offset, count: 512), record.count >= headLength else { return nil }
        let (count, checksum) = record.withUnsafeBytes {
            (Int($0.loadUnaligned(as: UInt32.self)), $0.loadUnaligned(fromByteOffset: 4, as: UInt32.self))
        }
        guard count <= maximum else { return nil }
        if headLength + count > record.count {
            guard let whole = try? file.read(at: offset, count: headLength + count), whole.count == headLength + count else { return nil }
            record = whole
        }
        let bytes = Array(record[headLength..<headLength + count])
        return Checksum.of(bytes) == checksum ? bytes : nil
    }
}
