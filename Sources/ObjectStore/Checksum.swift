import CIsal

/// CRC32C (Castagnoli, RFC 3720 appendix B.4) by ISA-L, which leaves both inversions to its caller.
package enum CRC32C {
    /// The state before any byte; ``finish(_:)`` turns a state into the checksum.
    static let start = ~UInt32(0)

    @inline(__always)
    static func extend(_ state: UInt32, _ bytes: UnsafeRawBufferPointer) -> UInt32 {
        guard let base = bytes.baseAddress else { return state }
        // ISA-L's declaration lacks the `const` that it keeps to.
        let pointer = UnsafeMutablePointer(mutating: base.assumingMemoryBound(to: UInt8.self))
        return crc32_iscsi(pointer, Int32(truncatingIfNeeded: bytes.count), state)
    }

    @inline(__always)
    static func finish(_ state: UInt32) -> UInt32 { ~state }

    @inline(__always)
    package static func of(_ bytes: UnsafeRawBufferPointer) -> UInt32 { finish(extend(start, bytes)) }

    package static func of(_ bytes: [UInt8]) -> UInt32 { bytes.withUnsafeBytes { of($0) } }
}

/// CRC64 (ECMA-182, reflected) by ISA-L.
enum CRC64 {
    /// Never 0.
    static func of(_ bytes: UnsafeRawBufferPointer) -> UInt64 {
        guard let base = bytes.baseAddress else { return 1 }
        return max(1, crc64_ecma_refl(0, base.assumingMemoryBound(to: UInt8.self), UInt64(bytes.count)))
    }
}
