package import ObjectModel

/// How far a disk's scrub is: the file `scrub`.
///
/// ```
///  0       8        16      20         28         36      44        52        60        68       76        92           108
///  +-------+--------+-------+----------+----------+-------+---------+---------+---------+--------+---------+------------+
///  | magic | family | index | verified | of total | begun | damaged | mended  | last at | last N | flaws   | last flaws | CRC32C
///  +-------+--------+-------+----------+----------+-------+---------+---------+---------+--------+---------+------------+
/// ```
///
/// Little-endian, within one sector, written in place and not synced: after a power cut an older one may be back, and some
/// objects are read once more. What does not decode means that no pass was begun.
package struct ScrubRecord: Hashable, Sendable {
    static let fileName = "scrub"
    static let size = 112
    /// "SHEEPSCR".
    private static let magic: UInt64 = 0x5243_5350_4545_4853

    /// The pass goes on behind this (family, index); zero and zero: at the beginning.
    package var family = Family(rawValue: 0)
    package var index: UInt32 = 0
    /// Objects of this pass that were read and compared.
    package var verified: UInt64 = 0
    /// Objects there were when the pass began.
    package var total: UInt64 = 0
    /// When the pass began, nanoseconds since 1970; 0: none is under way.
    package var begunAt: UInt64 = 0
    /// Blocks and objects found damaged, and made good, since the disk was made.
    package var damaged: UInt64 = 0
    package var mended: UInt64 = 0
    /// When the last whole pass ended, nanoseconds since 1970; 0: none has. And its objects.
    package var lastEndedAt: UInt64 = 0
    package var lastVerified: UInt64 = 0
    /// Of this pass and of the last whole one.
    package var flaws = ScrubFlaws()
    package var lastFlaws = ScrubFlaws()

    package init() {}

    package func encoded() -> [UInt8] {
        var writer = WireWriter(reserving: Self.size)
        writer.write(Self.magic)
        writer.write(family.rawValue)
        writer.write(index)
        for value in [verified, total, begunAt, damaged, mended, lastEndedAt, lastVerified] { writer.write(value) }
        writer.write(flaws)
        writer.write(lastFlaws)
        writer.write(CRC32C.of(writer.bytes))
        precondition(writer.bytes.count == Self.size)
        return writer.bytes
    }

    /// Nil: damaged, or none was ever written.
    package init?(decoding bytes: [UInt8]) {
        var reader = WireReader(bytes)
        do {
            guard bytes.count == Self.size, try reader.read(UInt64.self) == Self.magic else { return nil }
            family = Family(rawValue: try reader.read())
            index = try reader.read()
            verified = try reader.read()
            total = try reader.read()
            begunAt = try reader.read()
            damaged = try reader.read()
            mended = try reader.read()
            lastEndedAt = try reader.read()
            lastVerified = try reader.read()
            flaws = try reader.readValue()
            lastFlaws = try reader.readValue()
            guard try reader.read(UInt32.self) == CRC32C.of(Array(bytes.prefix(Self.size - 4))) else { return nil }
        } catch {
            return nil
        }
    }
}

extension ObjectStore {
    /// What was written last; nil when there is none that can be read.
    package func scrubRecord() -> ScrubRecord? {
        guard let file = try? disk.open(ScrubRecord.fileName, create: false) else { return nil }
        defer { disk.close(file) }
        let bytes = AlignedBytes(count: ScrubRecord.size)
        guard (try? disk.read(file, at: 0, into: bytes.buffer)) != nil else { return nil }
        return ScrubRecord(decoding: Array(bytes.bytes))
    }

    /// Keeps it over restarts of the sheep. A disk that refuses it only loses the scrub's place: nothing else is told.
    package func write(_ record: ScrubRecord) {
        guard case .open = phase else { return }
        let isThere = (try? disk.exists(ScrubRecord.fileName)) ?? false
        guard let file = try? disk.open(ScrubRecord.fileName, create: !isThere) else { return }
        let bytes = AlignedBytes(count: ScrubRecord.size)
        bytes.buffer.copyBytes(from: record.encoded())
        try? disk.write(file, at: 0, from: bytes.bytes)
        disk.close(file)
    }
}
