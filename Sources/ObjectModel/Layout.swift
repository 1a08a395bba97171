/// The block: the unit of checksums, of write ordering and of copy-on-write bookkeeping, in bytes.
package let blockSize = 4096

/// The size of a volume's objects as a power of two.
package struct ObjectShift: Hashable, Sendable {
    package let rawValue: UInt8
    /// 1 MiB to 128 MiB.
    package static let allowed: ClosedRange<UInt8> = 20...27
    package static let standard = ObjectShift(rawValue: 22)!

    package init?(rawValue: UInt8) {
        guard Self.allowed.contains(rawValue) else { return nil }
        self.rawValue = rawValue
    }

    @inlinable package var objectSize: Int { 1 << Int(rawValue) }
    package var blocksPerObject: Int { objectSize / blockSize }
    /// 2^32 objects.
    package var largestVolume: UInt64 { UInt64(objectSize) << 32 }
}

/// How many copies a volume has.
package enum Redundancy {
    package static let allowedCopies: ClosedRange<UInt8> = 1...31
    package static let standardCopies: UInt8 = 3
}
