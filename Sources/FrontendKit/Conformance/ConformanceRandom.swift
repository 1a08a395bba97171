/// SplitMix64: the same seed gives the same scenario everywhere.
package struct ConformanceRandom: RandomNumberGenerator, Sendable {
    private var state: UInt64

    package init(seed: UInt64) { state = seed }

    package mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var x = state
        x = (x ^ x >> 30) &* 0xBF58_476D_1CE4_E5B9
        x = (x ^ x >> 27) &* 0x94D0_49BB_1331_11EB
        return x ^ x >> 31
    }

    /// Bytes of which none is zero, so that holes show.
    mutating func bytes(_ count: Int) -> [UInt8] {
        Array(unsafeUninitializedCapacity: count + 8) { space, initialized in
            let raw = UnsafeMutableRawBufferPointer(space)
            for offset in stride(from: 0, to: count, by: 8) {
                raw.storeBytes(of: next() | 0x0101_0101_0101_0101, toByteOffset: offset, as: UInt64.self)
            }
            initialized = count
        }
    }

    /// A part of 0..<limit of 1 to `longest` bytes; half of them aligned to `alignment`.
    mutating func range(within limit: Int, longest: Int, alignment: Int) -> Range<Int> {
        let isAligned = Bool.random(using: &self)
        var start = Int.random(in: 0..<limit, using: &self)
        if isAligned { start -= start % alignment }
        var length = Int.random(in: 1...min(longest, limit - start), using: &self)
        if isAligned { length = min(limit - start, (length + alignment - 1) / alignment * alignment) }
        return start..<start + min(length, longest)
    }
}
