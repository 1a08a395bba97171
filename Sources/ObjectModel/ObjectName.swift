/// What an object holds.
package enum ObjectKind: UInt8, Hashable, Sendable {
    case data = 0, vmstate = 1, attribute = 2, strip = 3
}

/// The unit of placement: all objects of one (family, index) share a group, hence their nodes and disks.
package struct PlacementGroup: Hashable, Comparable, Sendable, CustomStringConvertible {
    package let rawValue: UInt16
    @inlinable package init(rawValue: UInt16) { self.rawValue = rawValue }
    @inlinable package static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
    package var description: String { String(rawValue) }

    /// Fixed at format: G = 65,536.
    package static let count = 65_536

    /// The group of a (family, index): a mix of both (the finalizer of SplitMix64), so that neighbours spread.
    @inlinable package init(family: Family, index: UInt32) {
        var x = family.rawValue &* 0x9E37_79B9_7F4A_7C15 ^ UInt64(index)
        x = (x ^ x >> 30) &* 0xBF58_476D_1CE4_E5B9
        x = (x ^ x >> 27) &* 0x94D0_49BB_1331_11EB
        x ^= x >> 31
        rawValue = UInt16(truncatingIfNeeded: x >> 24)
    }
}

/// The name of an object: (family, index, birth, kind). 21 bytes encoded.
package struct ObjectName: Hashable, Comparable, WireCodable, CustomStringConvertible {
    package var family: Family
    package var index: UInt32
    package var birth: Birth
    package var kind: ObjectKind

    @inlinable package init(family: Family, index: UInt32, birth: Birth, kind: ObjectKind = .data) {
        (self.family, self.index, self.birth, self.kind) = (family, index, birth, kind)
    }

    @inlinable package var group: PlacementGroup { PlacementGroup(family: family, index: index) }

    package static func < (a: ObjectName, b: ObjectName) -> Bool {
        (a.family, a.index, a.birth, a.kind.rawValue) < (b.family, b.index, b.birth, b.kind.rawValue)
    }

    package var description: String { "\(family)/\(index)@\(birth)\(kind == .data ? "" : " (\(kind))")" }

    package init(from reader: inout WireReader) throws(WireError) {
        family = try reader.readValue()
        index = try reader.read()
        birth = try reader.readValue()
        guard let kind = ObjectKind(rawValue: try reader.read()) else { throw .invalid("object kind") }
        self.kind = kind
    }

    package func encode(to writer: inout WireWriter) {
        writer.write(family)
        writer.write(index)
        writer.write(birth)
        writer.write(kind.rawValue)
    }
}
