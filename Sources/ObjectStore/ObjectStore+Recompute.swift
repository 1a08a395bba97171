import ObjectModel

/// Tables of objects that were being written when the store stopped.
extension ObjectStore {
    /// Fills the table from the data: what the file holds was written, what is a hole never was.
    ///
    /// Every block of the file is taken as the object's, for a file never holds other bytes.
    func recompute(_ file: OpenFile<D>, _ completion: @escaping (Result<OpenFile<D>, SheepError>) -> Void) {
        let parts: [Range<Int>]
        do {
            parts = try recomputeParts(file)
        } catch {
            disk.close(file.handle)
            return completion(.failure(refusal(error, reading: file.name)))
        }
        counters.recomputedTables += 1
        recompute(file, parts[...]) { [self] error in
            if let error {
                disk.close(file.handle)
                return completion(.failure(error))
            }
            file.region.verified.insert(file.name)
            markTableDirty(file)
            completion(.success(file))
        }
    }

    /// The blocks that hold data, cut into reads of 256 KiB.
    private func recomputeParts(_ file: OpenFile<D>) throws(DiskError) -> [Range<Int>] {
        let most = 64
        var parts: [Range<Int>] = []
        for range in try disk.dataRanges(of: file.handle, upTo: UInt64(file.shift.objectSize)) {
            var first = Int(range.lowerBound) / blockSize
            // A file system with smaller blocks may report the end of one range and the start of the next in one of ours.
            if let last = parts.last { first = max(first, last.upperBound) }
            let end = (Int(range.upperBound) + blockSize - 1) / blockSize
            while first < end {
                parts.append(first..<min(end, first + most))
                first = min(end, first + most)
            }
        }
        return parts
    }

    /// Bytes that the disk is asked for together. Each part by itself would make it wait for the next.
    private static var readAhead: UInt64 { 4 << 20 }

    private func recompute(
        _ file: OpenFile<D>, _ parts: ArraySlice<Range<Int>>, _ completion: @escaping (SheepError?) -> Void
    ) {
        var rest = parts
        // Parts in memory are done in this loop; one that is not goes on from its completion.
        while let part = rest.popFirst() {
            do {
                try recomputeNow(file, part)
            } catch .wouldBlock {
                let later = rest
                let bytes = AlignedBytes(count: part.count * blockSize)
                let start = UInt64(part.lowerBound * blockSize)
                return read(file, at: start, bytes, aheadTo: start + Self.readAhead) { [self] error in
                    if let error { return completion(error) }
                    file.table.record(first: part.lowerBound, bytes.bytes)
                    recompute(file, later, completion)
                }
            } catch {
                return completion(refusal(error, reading: file.name))
            }
        }
        completion(nil)
    }

    /// By way of little memory that stays: to get new pages for all of an object takes longer than to read it.
    private func recomputeNow(_ file: OpenFile<D>, _ part: Range<Int>) throws(DiskError) {
        let most = scratch.buffer.count / blockSize
        var first = part.lowerBound
        while first < part.upperBound {
            let count = min(most, part.upperBound - first)
            let bytes = UnsafeMutableRawBufferPointer(rebasing: scratch.buffer[..<(count * blockSize)])
            try disk.tryRead(file.handle, at: UInt64(first * blockSize), into: bytes)
            file.table.record(first: first, UnsafeRawBufferPointer(bytes))
            first += count
            if givesWay { disk.giveWay() }
        }
    }

    /// After a write that failed halfway: notes what the blocks hold now, whichever bytes these are.
    func recomputeBlocks(_ file: OpenFile<D>, _ blocks: Range<Int>) {
        let bytes = AlignedBytes(count: blockSize)
        for block in blocks {
            do {
                try disk.read(file.handle, at: UInt64(block * blockSize), into: bytes.buffer)
            } catch {
                fail(error)
                return
            }
            let isZero = bytes.bytes.allSatisfy { $0 == 0 }
            if isZero, file.table[block] == ChecksumTable.neverWritten { continue }
            file.table.record(first: block, bytes.bytes)
        }
        markWritten(file)
    }
}
