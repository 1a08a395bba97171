package import ObjectModel

extension ObjectStore {
    /// Reads any bytes of an object; each block is held against its checksum.
    ///
    /// The buffer stays valid until the completion, which comes before the return when the bytes are in memory. A hole
    /// reads as zeros. Errors: `noSuchObject`; `damaged` when the bytes cannot be vouched for; `inputOutput`.
    @_specialize(where D == FileDisk)
    package func read(
        _ name: ObjectName, at offset: Int, into buffer: UnsafeMutableRawBufferPointer,
        completion: @escaping (SheepError?) -> Void
    ) {
        if let file = cache.find(name) { return read(file, at: offset, into: buffer, completion) }
        if let entry = index.find(name), entry.isHole {
            buffer.initializeMemory(as: UInt8.self, repeating: 0)
            return completion(nil)
        }
        withFile(name) { [self] result in
            switch result {
            case .success(let file): read(file, at: offset, into: buffer, completion)
            case .failure(let error): completion(error)
            }
        }
    }

    @_specialize(where D == FileDisk)
    private func read(
        _ file: OpenFile<D>, at offset: Int, into buffer: UnsafeMutableRawBufferPointer,
        _ completion: @escaping (SheepError?) -> Void
    ) {
        guard offset >= 0, buffer.count <= file.shift.objectSize, offset <= file.shift.objectSize - buffer.count else {
            return completion(SheepError(.invalidArgument, "a read beyond the end of object \(file.name)"))
        }
        counters.reads += 1
        counters.readBytes += UInt64(buffer.count)
        if (offset | buffer.count) % blockSize == 0 {
            return readBlocks(file, first: offset / blockSize, into: buffer, completion)
        }
        // Whole blocks into memory of our own, then the part that was asked for.
        let first = offset / blockSize
        let end = (offset + buffer.count + blockSize - 1) / blockSize
        let scratch = AlignedBytes(count: (end - first) * blockSize)
        readBlocks(file, first: first, into: scratch.buffer) { error in
            if error == nil {
                let start = offset - first * blockSize
                buffer.copyMemory(from: UnsafeRawBufferPointer(rebasing: scratch.bytes[start..<start + buffer.count]))
            }
            completion(error)
        }
    }

    @_specialize(where D == FileDisk)
    func readBlocks(
        _ file: OpenFile<D>, first: Int, into buffer: UnsafeMutableRawBufferPointer,
        _ completion: @escaping (SheepError?) -> Void
    ) {
        if file.table.neverWritten(first..<first + buffer.count / blockSize) {
            if let base = buffer.baseAddress { base.initializeMemory(as: UInt8.self, repeating: 0, count: buffer.count) }
            return completion(nil)
        }
        do {
            try disk.tryRead(file.handle, at: UInt64(first * blockSize), into: buffer)
        } catch {
            guard case .wouldBlock = error else { return completion(refusal(error, reading: file.name)) }
            return readBlocksInBackground(file, first: first, into: buffer, completion)
        }
        guard let block = file.table.firstMismatch(first: first, buffer) else { return completion(nil) }
        completion(mismatch(file, block))
    }

    private func readBlocksInBackground(
        _ file: OpenFile<D>, first: Int, into buffer: UnsafeMutableRawBufferPointer,
        _ completion: @escaping (SheepError?) -> Void
    ) {
        counters.backgroundReads += 1
        file.pins += 1
        inFlight += 1
        disk.readInBackground(file.handle, at: UInt64(first * blockSize), into: buffer) { [self] error in
            defer {
                unpin(file)
                inFlight -= 1
                closeIfIdle()
            }
            if let error { return completion(refusal(error, reading: file.name)) }
            guard file.table.firstMismatch(first: first, buffer) != nil else { return completion(nil) }
            // A write may have passed by; now the blocks are in memory and nothing passes.
            do throws(DiskError) { try disk.read(file.handle, at: UInt64(first * blockSize), into: buffer) } catch {
                return completion(refusal(error, reading: file.name))
            }
            completion(file.table.firstMismatch(first: first, buffer).map { mismatch(file, $0) })
        }
    }

    private func mismatch(_ file: OpenFile<D>, _ block: Int) -> SheepError {
        counters.checksumFailures += 1
        return damage(file.name, "the 4 KiB at \(block * blockSize) do not match their checksum")
    }

    /// The checksum of every block, 0 for those never written.
    package func table(of name: ObjectName, completion: @escaping (Result<[UInt32], SheepError>) -> Void) {
        withFile(name) { result in completion(result.map { $0.table.values }) }
    }

    /// The same of an object whose file is open; nil: it is not.
    package func openTable(of name: ObjectName) -> [UInt32]? { cache.find(name)?.table.values }

    /// The written bytes within a range of an object, ascending; a hole has none.
    package func allocation(
        of name: ObjectName, in range: Range<Int>, completion: @escaping (Result<[Range<Int>], SheepError>) -> Void
    ) {
        if let entry = index.find(name), entry.isHole { return completion(.success([])) }
        withFile(name) { result in
            completion(result.map { $0.table.writtenRanges(in: range.clamped(to: 0..<$0.shift.objectSize)) })
        }
    }

    /// Reads every written block from the disk and returns those that do not match their checksums or cannot be read.
    /// What is cached is read from the medium all the same; what was written and is not durable is made so before. `damaged`: its
    /// file or its table is gone.
    package func verify(_ name: ObjectName, completion: @escaping (Result<[Int], SheepError>) -> Void) {
        withFile(name) { [self] result in
            switch result {
            case .success(let file):
                if isUnlinked(name) {
                    counters.missingFiles += 1
                    return completion(.failure(damage(name, "its file is missing")))
                }
                file.pins += 1
                inFlight += 1
                let end = { [self] (result: Result<[Int], SheepError>) in
                    unpin(file)
                    inFlight -= 1
                    completion(result)
                    closeIfIdle()
                }
                if !file.isUnsynced { return verifyFromMedium(file, end) }
                flush(file) { [self] error in
                    if let error { end(.failure(error)) } else { verifyFromMedium(file, end) }
                }
            case .failure(let error): completion(.failure(error))
            }
        }
    }

    private func verifyFromMedium(_ file: OpenFile<D>, _ completion: @escaping (Result<[Int], SheepError>) -> Void) {
        disk.dropCached(file.handle, at: 0, length: UInt64(file.shift.objectSize))
        verify(file, from: 0, AlignedBytes(count: 64 * blockSize), []) { [self] result in
            if case .success = result { renewTrailer(file) }
            completion(result)
        }
    }

    /// Its file lost its path: it gives its bytes as long as it is open, and no longer.
    package func isUnlinked(_ name: ObjectName) -> Bool {
        cache.find(name) != nil && (try? disk.exists(ObjectPath.path(name))) == false
    }

    /// A table on the disk that is not the one in memory, though it was written back, was lost or rots: it is written again.
    private func renewTrailer(_ file: OpenFile<D>) {
        guard !file.tableIsDirty, !file.isDetached, case .open = phase else { return }
        let bytes = AlignedBytes(count: ObjectFile.trailerSize(file.shift))
        let found = ChecksumTable(blocks: file.shift.blocksPerObject)
        let isRead = (try? disk.read(file.handle, at: ObjectFile.headerOffset(file.shift), into: bytes.buffer)) != nil
        if isRead, ObjectFile.decodeTrailer(bytes.bytes, file.name, file.shift, into: found),
            UnsafeRawBufferPointer(found.bytes).elementsEqual(UnsafeRawBufferPointer(file.table.bytes))
        {
            return
        }
        counters.checksumFailures += 1
        change(file.name, completion: { _ in }) { [self] region, done in
            if cache.find(file.name) === file {
                file.region = region
                markTableDirty(file)
                region.generation &+= 1
            }
            done(nil)
        }
    }

    private func verify(
        _ file: OpenFile<D>, from block: Int, _ bytes: AlignedBytes, _ bad: [Int],
        _ completion: @escaping (Result<[Int], SheepError>) -> Void
    ) {
        var block = block
        while block < file.table.blocks, file.table[block] == ChecksumTable.neverWritten { block += 1 }
        guard block < file.table.blocks else { return completion(.success(bad)) }
        let first = block
        let count = min(64, file.table.blocks - first)
        let part = UnsafeMutableRawBufferPointer(rebasing: bytes.buffer[..<(count * blockSize)])
        disk.readInBackground(file.handle, at: UInt64(first * blockSize), into: part) { [self] error in
            if let error, !error.isUnreadable { return completion(.failure(refusal(error))) }
            var bad = bad
            for block in first..<first + count where !matches(file, block, part, first, isRead: error == nil) {
                counters.checksumFailures += 1
                bad.append(block)
            }
            verify(file, from: first + count, bytes, bad, completion)
        }
    }

    private func matches(
        _ file: OpenFile<D>, _ block: Int, _ part: UnsafeMutableRawBufferPointer, _ first: Int, isRead: Bool
    ) -> Bool {
        let start = (block - first) * blockSize
        let bytes = UnsafeMutableRawBufferPointer(rebasing: part[start..<start + blockSize])
        if isRead, file.table.firstMismatch(first: block, bytes) == nil { return true }
        if file.table[block] == ChecksumTable.neverWritten { return true }
        // A write may have passed by, or another block of the part could not be read.
        do { try disk.read(file.handle, at: UInt64(block * blockSize), into: bytes) } catch { return false }
        return file.table.firstMismatch(first: block, bytes) == nil
    }
}
