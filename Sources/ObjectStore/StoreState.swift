import ObjectModel

/// How the last run ended: the file `state`.
///
/// ```
///  0        8       12          16        20       24
///  +--------+-------+-----------+---------+--------+
///  | magic  | clean | catalogue | intents | CRC32C |
///  +--------+-------+-----------+---------+--------+
/// ```
///
/// Written in place: it lies in one 512-byte sector, which a power cut does not tear. `catalogue` and `intents` are
/// the records of a clean store's logs, so that a shortened log does not pass for a whole one. Anything that does not
/// decode means unclean.
package struct StoreState: Hashable {
    static let fileName = "state"
    static let size = 24
    /// "SHEEPRUN".
    private static let magic: UInt64 = 0x4e55_5250_4545_4853

    package var isClean: Bool
    package var catalogueRecords: UInt32
    package var intentRecords: UInt32

    package init(isClean: Bool, catalogueRecords: UInt32 = 0, intentRecords: UInt32 = 0) {
        (self.isClean, self.catalogueRecords, self.intentRecords) = (isClean, catalogueRecords, intentRecords)
    }

    package static let unclean = StoreState(isClean: false)

    package func encoded() -> [UInt8] {
        var writer = WireWriter(reserving: Self.size)
        writer.write(Self.magic)
        writer.write(UInt32(isClean ? 1 : 0))
        writer.write(catalogueRecords)
        writer.write(intentRecords)
        writer.write(CRC32C.of(writer.bytes))
        precondition(writer.bytes.count == Self.size)
        return writer.bytes
    }

    package static func decode(_ bytes: [UInt8]) -> StoreState {
        do {
            var reader = WireReader(bytes)
            guard try reader.read(UInt64.self) == magic else { return .unclean }
            let clean: UInt32 = try reader.read()
            let catalogue: UInt32 = try reader.read()
            let intents: UInt32 = try reader.read()
            guard try reader.read(UInt32.self) == CRC32C.of(Array(bytes.prefix(size - 4))), clean == 1 else {
                return .unclean
            }
            return StoreState(isClean: true, catalogueRecords: catalogue, intentRecords: intents)
        } catch {
            return .unclean
        }
    }
}
