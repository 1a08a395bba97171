import CIsal

/// CRC32C (Castagnoli, RFC 3720 appendix B.4) over pieces that follow each other; of "123456789" it is 0xE3069283.
///
/// ISA-L's `crc32_iscsi` neither inverts its start value nor its result, so both are done here.
package struct Checksum {
    private var state: UInt32 = .max

    package init() {}

    package var value: UInt32 { ~state }

    package mutating func update(_ bytes: UnsafeRawBufferPointer) {
        // ISA-L takes the length as a C int.
        var rest = bytes[...]
        while !rest.isEmpty {
            let piece = UnsafeRawBufferPointer(rebasing: rest.prefix(1 << 30))
            // ISA-L's parameter lacks a const; it only reads.
            let start = UnsafeMutablePointer(mutating: piece.assumingMemoryBound(to: UInt8.self).baseAddress!)
            state = crc32_iscsi(start, Int32(piece.count), state)
            rest = rest.dropFirst(piece.count)
        }
    }

    package static func of(_ bytes: [UInt8]) -> UInt32 {
        var checksum = Checksum()
        bytes.withUnsafeBytes { checksum.update($0) }
        return checksum.value
    }
}
