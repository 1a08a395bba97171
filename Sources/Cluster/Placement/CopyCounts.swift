package import ObjectModel

/// A set of numbers of copies, each 1...31: bit k stands for volumes of k copies.
package struct CopyCounts: OptionSet, Hashable, Sendable {
    package let rawValue: UInt32
    package init(rawValue: UInt32) { self.rawValue = rawValue }
    package init(copies: UInt8) { rawValue = 1 << UInt32(copies) }

    package static let all = CopyCounts(rawValue: 0xFFFF_FFFE)

    /// The k that use the member at `position` (from 0) of a group's list, which are those above it.
    package static func above(_ position: Int) -> CopyCounts {
        position >= 31 ? [] : CopyCounts(rawValue: UInt32.max << UInt32(position + 1))
    }

    package func contains(copies: UInt8) -> Bool { rawValue & (1 << UInt32(copies)) != 0 }

    /// The numbers, lowest first.
    package var counts: [UInt8] { (1...31).filter { contains(copies: $0) } }

    package var smallest: UInt8? { isEmpty ? nil : UInt8(rawValue.trailingZeroBitCount) }
    /// 0 when empty.
    package var largest: UInt8 { isEmpty ? 0 : UInt8(31 - rawValue.leadingZeroBitCount) }
}

extension CopyCounts: WireCodable {
    package init(from reader: inout WireReader) throws(WireError) { self.init(rawValue: try reader.read()) }
    package func encode(to writer: inout WireWriter) { writer.write(rawValue) }
}
