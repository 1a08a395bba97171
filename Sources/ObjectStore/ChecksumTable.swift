import ObjectModel

/// The CRC32C of every 4 KiB block of one object, in memory and, as little-endian 32-bit words, on disk.
///
/// 0 says "never written": the block is a hole and reads as zeros. A checksum that computes to 0 is stored as
/// 0xFFFF_FFFF, which loses nothing but a few of 2^32 values.
package struct ChecksumTable: ~Copyable {
    package static let neverWritten: UInt32 = 0

    private let entries: UnsafeMutableBufferPointer<UInt32>

    package init(blocks: Int) {
        entries = .allocate(capacity: blocks)
        entries.initialize(repeating: Self.neverWritten)
    }

    /// A copy of another's ``values``.
    package init(values: [UInt32]) {
        entries = .allocate(capacity: values.count)
        _ = entries.initialize(from: values)
    }

    deinit { entries.deallocate() }

    var blocks: Int { entries.count }
    var byteCount: Int { entries.count * MemoryLayout<UInt32>.size }
    /// The words as they stand on disk.
    var bytes: UnsafeMutableRawBufferPointer { UnsafeMutableRawBufferPointer(entries) }
    package var values: [UInt32] { Array(entries) }

    subscript(block: Int) -> UInt32 {
        get { entries[block] }
        nonmutating set { entries[block] = newValue }
    }

    @inline(__always)
    private static func stored(_ state: UInt32) -> UInt32 {
        let checksum = CRC32C.finish(state)
        return checksum == neverWritten ? ~0 : checksum
    }

    /// The table's value for one block's bytes.
    @inline(__always)
    package static func value(of block: UnsafeRawBufferPointer) -> UInt32 { stored(CRC32C.extend(CRC32C.start, block)) }

    /// Notes whole blocks as written, the first of them `first`.
    @inline(__always)
    package func record(first: Int, _ bytes: UnsafeRawBufferPointer) {
        precondition(bytes.count % blockSize == 0 && first + bytes.count / blockSize <= entries.count)
        var offset = 0
        var block = first
        while offset < bytes.count {
            entries[block] = Self.value(of: UnsafeRawBufferPointer(rebasing: bytes[offset..<offset + blockSize]))
            offset += blockSize
            block += 1
        }
    }

    /// The same for consecutive chunks whose borders need not be those of blocks.
    package func record(first: Int, _ chunks: [UnsafeRawBufferPointer]) {
        var block = first
        var state = CRC32C.start
        var filled = 0
        for chunk in chunks {
            var rest = chunk
            while !rest.isEmpty {
                let part = min(blockSize - filled, rest.count)
                state = CRC32C.extend(state, UnsafeRawBufferPointer(rebasing: rest.prefix(part)))
                rest = UnsafeRawBufferPointer(rebasing: rest.dropFirst(part))
                filled += part
                guard filled == blockSize else { continue }
                entries[block] = Self.stored(state)
                (block, state, filled) = (block + 1, CRC32C.start, 0)
            }
        }
        precondition(filled == 0, "the chunks of a write end at a block's border")
    }

    package func clear(_ blocks: Range<Int>) {
        for block in blocks { entries[block] = Self.neverWritten }
    }

    func neverWritten(_ blocks: Range<Int>) -> Bool {
        for block in blocks where entries[block] != Self.neverWritten { return false }
        return true
    }

    /// Some of the blocks were written and some were not.
    func isMixed(_ blocks: Range<Int>) -> Bool {
        guard let first = blocks.first else { return false }
        let isFresh = entries[first] == Self.neverWritten
        for block in blocks where (entries[block] == Self.neverWritten) != isFresh { return true }
        return false
    }

    /// The blocks never written, as runs.
    func freshRuns(in blocks: Range<Int>) -> [Range<Int>] {
        var runs: [Range<Int>] = []
        for block in blocks where entries[block] == Self.neverWritten {
            if let last = runs.last, last.upperBound == block { runs[runs.count - 1] = last.lowerBound..<block + 1 } else {
                runs.append(block..<block + 1)
            }
        }
        return runs
    }

    /// Holds what was read against the table: never-written blocks become zeros; the first wrong block is returned.
    @inline(__always)
    package func firstMismatch(first: Int, _ bytes: UnsafeMutableRawBufferPointer) -> Int? {
        var offset = 0
        var block = first
        while offset < bytes.count {
            let part = UnsafeMutableRawBufferPointer(rebasing: bytes[offset..<offset + blockSize])
            let expected = entries[block]
            if expected == Self.neverWritten {
                part.initializeMemory(as: UInt8.self, repeating: 0)
            } else if Self.value(of: UnsafeRawBufferPointer(part)) != expected {
                return block
            }
            offset += blockSize
            block += 1
        }
        return nil
    }

    /// The written bytes within a range of bytes, ascending, in whole blocks cut to the range.
    package func writtenRanges(in range: Range<Int>) -> [Range<Int>] {
        var ranges: [Range<Int>] = []
        guard !range.isEmpty else { return ranges }
        for block in range.lowerBound / blockSize...(range.upperBound - 1) / blockSize
        where entries[block] != Self.neverWritten {
            let bytes = (block * blockSize..<(block + 1) * blockSize).clamped(to: range)
            if let last = ranges.last, last.upperBound == bytes.lowerBound {
                ranges[ranges.count - 1] = last.lowerBound..<bytes.upperBound
            } else {
                ranges.append(bytes)
            }
        }
        return ranges
    }
}
