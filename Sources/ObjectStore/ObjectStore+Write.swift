package import ObjectModel

/// A change to an object's bytes.
struct WriteRequest {
    let target: ObjectName
    let shift: ObjectShift
    /// Nearest first; the target's own birth may be among them.
    let ancestry: [Birth]
    let version: LogIndex
    let offset: Int
    let content: Content

    enum Content {
        case bytes(AlignedBytes)
        /// The range reads as zeros and is given back to the file system.
        case hole(length: Int)
        /// Nothing but blocks of the file system for the whole object.
        case reservation
    }

    var length: Int {
        switch content {
        case .bytes(let bytes): bytes.buffer.count
        case .hole(let length): length
        case .reservation: 0
        }
    }

    var coversObject: Bool { offset == 0 && length == shift.objectSize }
}

extension ObjectStore {
    /// Writes whole blocks of an object, which is created if it is not there.
    ///
    /// - Parameters:
    ///   - ancestry: the births to look for contents in, nearest first; used only with `copyOnWrite`.
    ///   - version: the group version of the write; kept as the object's.
    ///   - buffer: whole blocks, valid during the call only.
    ///   - copyOnWrite: an absent target begins as a copy of the nearest ancestor's object.
    ///   - durable: complete only when the write outlives a power cut; such writes share their syncs.
    ///   - completion: nil when the write is applied: every later read sees it, after a kill of the process too.
    ///     `noSpace`: nothing has changed. `busy` (no space to overwrite shared blocks) and `inputOutput` may leave any of the
    ///     blocks old, new or torn.
    @_specialize(where D == FileDisk)
    package func write(
        _ target: ObjectName, objectShift: ObjectShift, ancestry: [Birth] = [], version: LogIndex, at offset: Int,
        from buffer: UnsafeRawBufferPointer, copyOnWrite: Bool = false, durable: Bool = false,
        completion: @escaping (SheepError?) -> Void
    ) {
        checkAligned(objectShift, offset, buffer.count)
        guard let file = writable(target) else {
            let request = WriteRequest(
                target: target, shift: objectShift, ancestry: copyOnWrite ? ancestry : [], version: version,
                offset: offset, content: .bytes(AlignedBytes(copying: buffer)))
            return submit(request, durable: durable, completion)
        }
        precondition(file.shift == objectShift)
        var error = touch(file, version)
        if error == nil { error = overwrite(file, at: offset, buffer) }
        if durable, error == nil { flush(file, completion) } else { completion(error) }
    }

    /// The same for consecutive chunks, which together are whole blocks; their borders may be anywhere.
    package func write(
        _ target: ObjectName, objectShift: ObjectShift, ancestry: [Birth] = [], version: LogIndex, at offset: Int,
        chunks: [UnsafeRawBufferPointer], copyOnWrite: Bool = false, durable: Bool = false,
        completion: @escaping (SheepError?) -> Void
    ) {
        if chunks.count == 1 {
            return write(
                target, objectShift: objectShift, ancestry: ancestry, version: version, at: offset, from: chunks[0],
                copyOnWrite: copyOnWrite, durable: durable, completion: completion)
        }
        checkAligned(objectShift, offset, chunks.reduce(0) { $0 + $1.count })
        guard let file = writable(target) else {
            let request = WriteRequest(
                target: target, shift: objectShift, ancestry: copyOnWrite ? ancestry : [], version: version,
                offset: offset, content: .bytes(AlignedBytes(joining: chunks)))
            return submit(request, durable: durable, completion)
        }
        precondition(file.shift == objectShift)
        var error = touch(file, version)
        if error == nil { error = overwrite(file, at: offset, chunks) }
        if durable, error == nil { flush(file, completion) } else { completion(error) }
    }

    @inline(__always)
    func checkAligned(_ shift: ObjectShift, _ offset: Int, _ length: Int) {
        precondition(offset >= 0 && length > 0 && (offset | length) % blockSize == 0)
        precondition(offset <= shift.objectSize && length <= shift.objectSize - offset, "a write beyond the object's end")
    }

    /// The target's file when nothing stands between the call and the disk.
    @inline(__always)
    private func writable(_ target: ObjectName) -> OpenFile<D>? {
        guard case .open = phase, gates.isEmpty || gates[GateKey(target)] == nil, let file = cache.find(target),
            file.region.state == .listed
        else { return nil }
        return file
    }

    /// Notes the first write under a new group version.
    @inline(__always)
    func touch(_ file: OpenFile<D>, _ version: LogIndex) -> SheepError? {
        version <= file.version ? nil : appendTouch(file, version)
    }

    private func appendTouch(_ file: OpenFile<D>, _ version: LogIndex) -> SheepError? {
        // A file being built is not in the catalogue yet; its create record will say the version.
        guard var entry = index.find(file.name), !unnamed.contains(file.name) else {
            file.version = version
            return nil
        }
        // A member left while the file was being opened: what it has to look at is newer than the change that waited for that.
        guard version > entry.version else {
            file.version = entry.version
            return nil
        }
        entry.version = version
        // While the log is being replaced the name may not be in the replacement yet: all of it is said again.
        let record =
            catalogue.isBeingReplaced
            ? CatalogueContents.record(file.name, entry)
            : LogRecord(kind: .touch, name: file.name, version: version)
        do {
            file.catalogueNumber = try catalogue.append(record)
        } catch {
            return refusal(error)
        }
        file.version = version
        index.set(file.name, entry)
        return nil
    }

    /// One `pwrite`, its checksums, the marks.
    @_specialize(where D == FileDisk)
    @inline(__always)
    func overwrite(_ file: OpenFile<D>, at offset: Int, _ buffer: UnsafeRawBufferPointer) -> SheepError? {
        if buffer.count > blockSize, file.table.isMixed(offset / blockSize..<(offset + buffer.count) / blockSize),
            let error = writeFreshBlocks(file, at: offset, buffer)
        {
            return error
        }
        do {
            try disk.write(file.handle, at: UInt64(offset), from: buffer)
        } catch {
            return interrupted(file, at: offset, buffer.count, error)
        }
        file.table.record(first: offset / blockSize, buffer)
        wrote(file, buffer.count)
        return nil
    }

    private func overwrite(_ file: OpenFile<D>, at offset: Int, _ chunks: [UnsafeRawBufferPointer]) -> SheepError? {
        let length = chunks.reduce(0) { $0 + $1.count }
        if file.table.isMixed(offset / blockSize..<(offset + length) / blockSize) {
            let joined = AlignedBytes(joining: chunks)
            return withExtendedLifetime(joined) { overwrite(file, at: offset, joined.bytes) }
        }
        var end = offset
        for chunk in chunks where !chunk.isEmpty {
            do {
                try disk.write(file.handle, at: UInt64(end), from: chunk)
            } catch {
                return interrupted(file, at: offset, chunks.reduce(0) { $0 + $1.count }, error)
            }
            end += chunk.count
        }
        file.table.record(first: offset / blockSize, chunks)
        wrote(file, end - offset)
        return nil
    }

    /// Of a write over blocks that are there and others that are not: the latter alone need space, so they go first, and when
    /// they are refused nothing has been overwritten yet.
    private func writeFreshBlocks(
        _ file: OpenFile<D>, at offset: Int, _ buffer: UnsafeRawBufferPointer
    ) -> SheepError? {
        for run in file.table.freshRuns(in: offset / blockSize..<(offset + buffer.count) / blockSize) {
            let start = run.lowerBound * blockSize - offset
            do {
                try disk.write(
                    file.handle, at: UInt64(run.lowerBound * blockSize),
                    from: UnsafeRawBufferPointer(rebasing: buffer[start..<start + run.count * blockSize]))
            } catch {
                return interrupted(file, at: offset, buffer.count, error)
            }
        }
        return nil
    }

    /// A write that the disk refused halfway leaves bytes that no checksum knows. A full disk takes them back.
    private func interrupted(_ file: OpenFile<D>, at offset: Int, _ length: Int, _ error: DiskError) -> SheepError {
        let refusal = refusal(error)
        let blocks = offset / blockSize..<(offset + length) / blockSize
        guard refusal.code == .noSpace, !takeBack(file, blocks) else {
            if refusal.code != .noSpace { recomputeBlocks(file, blocks) }
            return refusal
        }
        recomputeBlocks(file, blocks)
        return SheepError(.busy, refusal.message + " to write blocks anew that are shared with a copy; it is tried again")
    }

    /// Punches what was a hole before a refused write; true when all blocks are as they were.
    private func takeBack(_ file: OpenFile<D>, _ blocks: Range<Int>) -> Bool {
        let fresh = file.table.freshRuns(in: blocks)
        do {
            for run in fresh {
                try disk.punch(
                    file.handle, at: UInt64(run.lowerBound * blockSize), length: UInt64(run.count * blockSize))
            }
            let bytes = AlignedBytes(count: blockSize)
            for block in blocks where file.table[block] != ChecksumTable.neverWritten {
                try disk.read(file.handle, at: UInt64(block * blockSize), into: bytes.buffer)
                let isOld = withExtendedLifetime(bytes) { file.table.firstMismatch(first: block, bytes.buffer) == nil }
                if !isOld { return false }
            }
            return true
        } catch {
            return false
        }
    }

    @inline(__always)
    private func wrote(_ file: OpenFile<D>, _ length: Int) {
        counters.writes += 1
        counters.writtenBytes += UInt64(length)
        markWritten(file)
    }

    @inline(__always)
    func markWritten(_ file: OpenFile<D>) {
        let region = file.region
        region.generation &+= 1
        region.lastWrite = time
        if !file.isUnsynced { volume(of: file.name).insert(file) }
        if !file.tableIsDirty { markTableDirty(file) }
    }

    func markTableDirty(_ file: OpenFile<D>) {
        guard !file.tableIsDirty else { return }
        precondition(file.region.state == .listed)
        file.region.insertDirty(file)
    }

    func volume(of name: ObjectName) -> UnsyncedVolume<D> {
        if let volume = volumes[name.birth] { return volume }
        let volume = UnsyncedVolume<D>()
        volumes[name.birth] = volume
        return volume
    }

    // MARK: - What may have to wait

    /// Orders a change, lists its region, applies it, and flushes it when asked.
    func submit(_ request: WriteRequest, durable: Bool, _ completion: @escaping (SheepError?) -> Void) {
        let finish: (SheepError?) -> Void = { [self] error in
            if durable, error == nil { flush(request.target, completion) } else { completion(error) }
        }
        change(request.target, completion: finish) { [self] region, done in
            if let entry = index.find(request.target), !entry.isHole {
                withFile(request.target) { [self] result in
                    switch result {
                    case .success(let file):
                        file.region = region
                        done(apply(request, to: file))
                    case .failure(let error): done(error)
                    }
                }
            } else {
                create(request, in: region, done)
            }
        }
    }

    func apply(_ request: WriteRequest, to file: OpenFile<D>) -> SheepError? {
        if case .failed(let error) = phase { return error }
        guard file.shift == request.shift else {
            return SheepError(.invalidArgument, "object \(file.name) has another size than the write says")
        }
        if let error = touch(file, request.version) { return error }
        switch request.content {
        case .bytes(let bytes): return overwrite(file, at: request.offset, bytes.bytes)
        case .hole(let length): return punch(file, at: request.offset, length)
        case .reservation: return reserve(file)
        }
    }

    private func punch(_ file: OpenFile<D>, at offset: Int, _ length: Int) -> SheepError? {
        let blocks = offset / blockSize..<(offset + length) / blockSize
        guard !file.table.neverWritten(blocks) else {
            // Reserved blocks may go, too.
            try? disk.punch(file.handle, at: UInt64(offset), length: UInt64(length))
            return nil
        }
        do {
            try disk.punch(file.handle, at: UInt64(offset), length: UInt64(length))
        } catch {
            return interrupted(file, at: offset, length, error)
        }
        file.table.clear(blocks)
        markWritten(file)
        return nil
    }

    private func reserve(_ file: OpenFile<D>) -> SheepError? {
        do {
            try disk.reserve(
                file.handle, at: 0, length: UInt64(file.shift.objectSize + ObjectFile.trailerSize(file.shift)))
        } catch {
            return refusal(error)
        }
        markWritten(file)
        return nil
    }
}
