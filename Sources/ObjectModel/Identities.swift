/// A 64-bit number with a meaning of its own, so that two of them cannot be swapped.
package protocol Identifier: Hashable, Comparable, WireCodable, CustomStringConvertible {
    var rawValue: UInt64 { get }
    init(rawValue: UInt64)
}

extension Identifier {
    @inlinable package static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
    package var description: String { String(rawValue) }

    package init(from reader: inout WireReader) throws(WireError) { self.init(rawValue: try reader.read()) }
    package func encode(to writer: inout WireWriter) { writer.write(rawValue) }

    package var next: Self { Self(rawValue: rawValue + 1) }
}

/// The position of an entry in the control log; the first entry has index 1, 0 is "before everything".
package struct LogIndex: Identifier {
    package let rawValue: UInt64
    @inlinable package init(rawValue: UInt64) { self.rawValue = rawValue }
    package static let zero = LogIndex(rawValue: 0)
}

/// The identity of a volume or snapshot: the control log index of its creation, never reused.
package struct Birth: Identifier {
    package let rawValue: UInt64
    @inlinable package init(rawValue: UInt64) { self.rawValue = rawValue }
}

/// The birth of the root of a snapshot and clone tree.
package struct Family: Identifier {
    package let rawValue: UInt64
    @inlinable package init(rawValue: UInt64) { self.rawValue = rawValue }
}

/// Counts the owners of a volume's lease; a higher term fences all lower ones.
package struct Term: Identifier {
    package let rawValue: UInt64
    @inlinable package init(rawValue: UInt64) { self.rawValue = rawValue }
    package static let zero = Term(rawValue: 0)
}

/// Orders the writes of one term of one volume; the first write has 1.
package struct Sequence: Identifier {
    package let rawValue: UInt64
    @inlinable package init(rawValue: UInt64) { self.rawValue = rawValue }
    package static let zero = Sequence(rawValue: 0)
}

/// Names one run of a sheep process; random, new at each start.
package struct BootID: Identifier {
    package let rawValue: UInt64
    @inlinable package init(rawValue: UInt64) { self.rawValue = rawValue }
}

/// Counts how often a node was taken down; a message of a lower incarnation is refused.
package struct Incarnation: Identifier {
    package let rawValue: UInt64
    @inlinable package init(rawValue: UInt64) { self.rawValue = rawValue }
    package static let zero = Incarnation(rawValue: 0)
}

/// Counts changes of placement; the format makes epoch 1.
package struct Epoch: Identifier {
    package let rawValue: UInt64
    @inlinable package init(rawValue: UInt64) { self.rawValue = rawValue }
}

/// A 128-bit random identity in the form of a UUID.
package protocol UniqueIdentifier: Hashable, Comparable, WireCodable, CustomStringConvertible {
    var high: UInt64 { get }
    var low: UInt64 { get }
    init(high: UInt64, low: UInt64)
}

extension UniqueIdentifier {
    @inlinable package static func < (a: Self, b: Self) -> Bool { (a.high, a.low) < (b.high, b.low) }

    /// A version 4 UUID (RFC 9562, section 5.4) from the generator given.
    package static func random(using generator: inout some RandomNumberGenerator) -> Self {
        let high = generator.next() & ~0xF000 | 0x4000
        let low = generator.next() & ~(0xC << 60) | 0x8 << 60
        return Self(high: high, low: low)
    }

    package static func random() -> Self {
        var generator = SystemRandomNumberGenerator()
        return random(using: &generator)
    }

    /// Lower-case hexadecimal in groups of 8-4-4-4-12.
    package var description: String {
        func hex(_ value: UInt64, _ digits: Int) -> String {
            let text = String(value, radix: 16)
            return String(repeating: "0", count: digits - text.count) + text
        }
        return [
            hex(high >> 32, 8), hex(high >> 16 & 0xFFFF, 4), hex(high & 0xFFFF, 4),
            hex(low >> 48, 4), hex(low & 0xFFFF_FFFF_FFFF, 12),
        ].joined(separator: "-")
    }

    /// Reads the form that ``description`` prints; nil for anything else.
    package init?(_ text: String) {
        let digits = text.filter { $0 != "-" }
        guard text.utf8.count == 36, digits.utf8.count == 32,
            let high = UInt64(digits.prefix(16), radix: 16), let low = UInt64(digits.suffix(16), radix: 16)
        else { return nil }
        self.init(high: high, low: low)
    }

    package init(from reader: inout WireReader) throws(WireError) {
        let high: UInt64 = try reader.read()
        self.init(high: high, low: try reader.read())
    }

    package func encode(to writer: inout WireWriter) {
        writer.write(high)
        writer.write(low)
    }
}

/// A sheep, by the identity in its store.
package struct NodeID: UniqueIdentifier {
    package let high, low: UInt64
    @inlinable package init(high: UInt64, low: UInt64) { (self.high, self.low) = (high, low) }
}

/// A disk of a sheep, by the identity on it.
package struct DiskID: UniqueIdentifier {
    package let high, low: UInt64
    @inlinable package init(high: UInt64, low: UInt64) { (self.high, self.low) = (high, low) }
}

/// A formatted cluster.
package struct ClusterID: UniqueIdentifier {
    package let high, low: UInt64
    @inlinable package init(high: UInt64, low: UInt64) { (self.high, self.low) = (high, low) }
}

/// Names a proposal to the control plane, so that a repeat returns the first result.
package struct RequestID: UniqueIdentifier {
    package let high, low: UInt64
    @inlinable package init(high: UInt64, low: UInt64) { (self.high, self.low) = (high, low) }
}

/// Sheepdog's 24-bit volume alias; 0 is invalid.
package struct VID: Hashable, Comparable, WireCodable, CustomStringConvertible {
    package let rawValue: UInt32
    package init(rawValue: UInt32) { self.rawValue = rawValue }
    package static func < (a: VID, b: VID) -> Bool { a.rawValue < b.rawValue }
    package var description: String { String(rawValue, radix: 16) }
    package init(from reader: inout WireReader) throws(WireError) { rawValue = try reader.read() }
    package func encode(to writer: inout WireWriter) { writer.write(rawValue) }

    /// The first VID to try for a name: FNV-1a of its bytes, 24 bits, 0 replaced by 1.
    package static func preferred(for name: String) -> VID {
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325
        for byte in name.utf8 { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
        return VID(rawValue: max(1, UInt32(hash & 0xFF_FFFF)))
    }
}
