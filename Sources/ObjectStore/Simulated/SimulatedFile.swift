import ObjectModel

/// A file's contents in two layers: what every reader sees, and what a power cut leaves.
///
/// Blocks of 4 KiB; a block that is absent is a hole. Only dirty blocks differ between the layers.
final class SimulatedFile {
    struct Image {
        var blocks: [UInt64: [UInt8]] = [:]
        var size: UInt64 = 0
    }

    var seen = Image()
    var durable = Image()
    var dirty: Set<UInt64> = []
    /// Blocks that are taken though they hold no data.
    var reserved: Set<UInt64> = []
    private var snapshots = 0
    private var lastDurableSnapshot = 0

    private static let zeros = [UInt8](repeating: 0, count: blockSize)
    private static let sectorSize = 512

    var allocatedBlocks: Int { seen.blocks.count + reserved.count { seen.blocks[$0] == nil } }

    func read(at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) {
        var done = 0
        while done < buffer.count {
            let position = offset + UInt64(done)
            let start = Int(position % UInt64(blockSize))
            let count = min(blockSize - start, buffer.count - done)
            let target = UnsafeMutableRawBufferPointer(rebasing: buffer[done..<done + count])
            if let block = seen.blocks[position / UInt64(blockSize)] {
                block.withUnsafeBytes {
                    target.copyMemory(from: UnsafeRawBufferPointer(rebasing: $0[start..<start + count]))
                }
            } else {
                target.initializeMemory(as: UInt8.self, repeating: 0)
            }
            done += count
        }
    }

    /// How many new blocks a write would take.
    func newBlocks(at offset: UInt64, count: Int) -> Int {
        guard count > 0 else { return 0 }
        let last = (offset + UInt64(count) - 1) / UInt64(blockSize)
        return (offset / UInt64(blockSize)...last).count { seen.blocks[$0] == nil && !reserved.contains($0) }
    }

    func write(at offset: UInt64, from buffer: UnsafeRawBufferPointer) {
        var done = 0
        while done < buffer.count {
            let position = offset + UInt64(done)
            let number = position / UInt64(blockSize)
            let start = Int(position % UInt64(blockSize))
            let count = min(blockSize - start, buffer.count - done)
            var block = seen.blocks[number] ?? Self.zeros
            block.withUnsafeMutableBytes {
                UnsafeMutableRawBufferPointer(rebasing: $0[start..<start + count])
                    .copyMemory(from: UnsafeRawBufferPointer(rebasing: buffer[done..<done + count]))
            }
            seen.blocks[number] = block
            dirty.insert(number)
            done += count
        }
        seen.size = max(seen.size, offset + UInt64(buffer.count))
    }

    func truncate(to size: UInt64) {
        if size < seen.size {
            let end = size / UInt64(blockSize)
            for number in seen.blocks.keys where number > end || number == end && size % UInt64(blockSize) == 0 {
                drop(number)
            }
            if let block = seen.blocks[end] {
                let kept = Int(size % UInt64(blockSize))
                seen.blocks[end] = Array(block[..<kept]) + Self.zeros[kept...]
                dirty.insert(end)
            }
            reserved = reserved.filter { $0 < end }
        }
        seen.size = size
    }

    private func drop(_ number: UInt64) {
        seen.blocks[number] = nil
        dirty.insert(number)
    }

    func punch(at offset: UInt64, length: UInt64) {
        precondition(offset % UInt64(blockSize) == 0 && length % UInt64(blockSize) == 0)
        for number in offset / UInt64(blockSize)..<(offset + length) / UInt64(blockSize) {
            reserved.remove(number)
            if seen.blocks[number] != nil { drop(number) }
        }
    }

    func reserve(at offset: UInt64, length: UInt64) {
        guard length > 0 else { return }
        for number in offset / UInt64(blockSize)...(offset + length - 1) / UInt64(blockSize) { reserved.insert(number) }
    }

    func dataRanges(upTo size: UInt64) -> [Range<UInt64>] {
        var ranges: [Range<UInt64>] = []
        for number in seen.blocks.keys.sorted() {
            let start = number * UInt64(blockSize)
            guard start < min(size, seen.size) else { break }
            let end = min(start + UInt64(blockSize), min(size, seen.size))
            if let last = ranges.last, last.upperBound == start {
                ranges[ranges.count - 1] = last.lowerBound..<end
            } else {
                ranges.append(start..<end)
            }
        }
        return ranges
    }

    /// What a sync that begins now will make durable.
    struct Snapshot {
        let number: Int
        var blocks: [UInt64: [UInt8]?] = [:]
        let size: UInt64
    }

    func snapshot() -> Snapshot {
        snapshots += 1
        var snapshot = Snapshot(number: snapshots, size: seen.size)
        for number in dirty { snapshot.blocks.updateValue(seen.blocks[number], forKey: number) }
        return snapshot
    }

    func makeDurable(_ snapshot: Snapshot) {
        // A later sync that ended before covers this one.
        guard snapshot.number > lastDurableSnapshot else { return }
        lastDurableSnapshot = snapshot.number
        for (number, block) in snapshot.blocks {
            durable.blocks[number] = block
            if seen.blocks[number] == block { dirty.remove(number) }
        }
        durable.size = snapshot.size
    }

    /// Each dirty block is old, new, or, where it overwrites a durable one, torn between sectors. A block that is new
    /// to the file is there or not: file systems make a fresh extent visible only when all of it is written.
    func loseUnsynced(_ generator: inout SeededGenerator) {
        var size = generator.chance(0.5) ? seen.size : durable.size
        for number in dirty.sorted() {
            switch (durable.blocks[number], seen.blocks[number]) {
            case (let old?, let new?):
                durable.blocks[number] = Self.torn(old, new, &generator)
            case (_, let new):
                guard generator.chance(0.5) else { continue }
                durable.blocks[number] = new
                if new != nil { size = max(size, min(seen.size, (number + 1) * UInt64(blockSize))) }
            }
        }
        durable.size = size
        seen = durable
        dirty = []
        reserved = []
    }

    private static func torn(_ old: [UInt8], _ new: [UInt8], _ generator: inout SeededGenerator) -> [UInt8] {
        switch generator.below(4) {
        case 0: return old
        case 1: return new
        default:
            var result = old
            for start in stride(from: 0, to: blockSize, by: sectorSize) where generator.chance(0.5) {
                result.replaceSubrange(start..<start + sectorSize, with: new[start..<start + sectorSize])
            }
            return result
        }
    }

    /// Changes one bit on the medium and, as the block is read again from there, in memory.
    func flipBit(at offset: UInt64, _ bit: Int) {
        let number = offset / UInt64(blockSize)
        let position = Int(offset % UInt64(blockSize))
        guard var block = seen.blocks[number] else { return }
        block[position] ^= 1 << UInt8(bit)
        seen.blocks[number] = block
        if durable.blocks[number] != nil { durable.blocks[number]![position] ^= 1 << UInt8(bit) }
    }
}
