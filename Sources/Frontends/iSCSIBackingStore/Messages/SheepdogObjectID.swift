package import ObjectModel

/// How Sheepdog's clients name an object: index in bits 0 to 31, VID in 32 to 55, kind in 59 to 63.
package struct SheepdogObjectID: Hashable, Sendable {
    package enum Kind: UInt64, Hashable, Sendable {
        case data = 0
        case ledger = 1
        case btree = 2
        case attribute = 4
        case vmstate = 8
        case inode = 16
    }

    package let rawValue: UInt64
    package init(rawValue: UInt64) { self.rawValue = rawValue }

    package init(_ kind: Kind, _ vid: VID, index: UInt32 = 0) {
        rawValue = kind.rawValue << 59 | UInt64(vid.rawValue) << 32 | UInt64(index)
    }

    /// Nil for a combination of bits that no object has.
    package var kind: Kind? { rawValue >> 56 & 7 == 0 ? Kind(rawValue: rawValue >> 59) : nil }
    package var vid: VID { VID(rawValue: UInt32(truncatingIfNeeded: rawValue >> 32) & 0xFF_FFFF) }
    package var index: UInt32 { UInt32(truncatingIfNeeded: rawValue) }
}
