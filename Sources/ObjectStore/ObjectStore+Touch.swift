package import ObjectModel

extension ObjectStore {
    /// Raises the version of an object, a hole or a remembered removal without changing what it holds: a member that
    /// left may lack its last change, and will look at it. Survives a kill at once, a power cut after the next flush.
    package func touch(_ name: ObjectName, version: LogIndex) {
        guard refusesChanges == nil else { return }
        guard var entry = index.find(name) else {
            if removed[name] ?? .zero < version, appendTouch(name, CatalogueContents.removal(name, version)) {
                removed[name] = version
            }
            return
        }
        guard entry.version < version else { return }
        entry.version = version
        let record =
            catalogue.isBeingReplaced
            ? CatalogueContents.record(name, entry) : LogRecord(kind: .touch, name: name, version: version)
        guard appendTouch(name, record) else { return }
        index.set(name, entry)
        cache.find(name)?.version = version
    }

    private func appendTouch(_ name: ObjectName, _ record: LogRecord) -> Bool {
        markUnclean()
        let volume = volume(of: name)
        do {
            volume.catalogueNumber = max(volume.catalogueNumber, try catalogue.append(record))
            return true
        } catch {
            _ = refusal(error)
            return false
        }
    }

    /// For records outside listed regions: a clean store's state counts its records, and more would be cut off.
    private func markUnclean() {
        guard !isMarkedUnclean else { return }
        do { try write(.unclean) } catch {
            _ = refusal(error)
            return
        }
        inFlight += 1
        disk.sync(files: [stateFile], directories: []) { [self] error in
            inFlight -= 1
            if let error { fail(error) } else { isMarkedUnclean = true }
            closeIfIdle()
        }
    }

    /// The read of a request that must not wait: true when the bytes were in memory and are in the buffer now.
    @_specialize(where D == FileDisk)
    package func readNow(
        _ name: ObjectName, at offset: Int, into buffer: UnsafeMutableRawBufferPointer
    ) throws(SheepError) -> Bool {
        guard let file = cache.find(name), (offset | buffer.count) % blockSize == 0, offset >= 0,
            offset <= file.shift.objectSize - buffer.count
        else { return false }
        counters.reads += 1
        counters.readBytes += UInt64(buffer.count)
        var failure: SheepError?
        var isDone = false
        if file.table.neverWritten(offset / blockSize..<(offset + buffer.count) / blockSize) {
            if let base = buffer.baseAddress { base.initializeMemory(as: UInt8.self, repeating: 0, count: buffer.count) }
            return true
        }
        do throws(DiskError) {
            try disk.tryRead(file.handle, at: UInt64(offset), into: buffer)
            isDone = true
        } catch {
            if case .wouldBlock = error {} else { failure = refusal(error, reading: name) }
        }
        if let failure { throw failure }
        guard isDone else { return false }
        // What does not match goes the long way, which says what is damaged.
        return file.table.firstMismatch(first: offset / blockSize, buffer) == nil
    }

    /// A write to the range puts its blocks there from the first one on. False: it does not, or that is not known without looking.
    package func writesInOrder(_ name: ObjectName, at offset: Int, length: Int) -> Bool {
        guard let file = cache.find(name) else { return !hasObject(name) }
        return !file.table.isMixed(offset / blockSize..<(offset + length) / blockSize)
    }

    package func hasObject(_ name: ObjectName) -> Bool {
        if cache.find(name) != nil { return true }
        return index.find(name).map { !$0.isHole } ?? false
    }
}
