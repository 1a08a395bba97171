package import ObjectModel

extension ObjectStore {
    /// Raises the version of an object, a hole or a remembered removal without changing what it holds: a member that
    /// left may lack its last change, and will look at it.
    package func touch(_ name: ObjectName, version: LogIndex) {
        if let file = cache.find(name) {
            _ = touch(file, version)
            return
        }
        guard var entry = index.find(name) else {
            removed[name] = max(removed[name] ?? .zero, version)
            return
        }
        guard entry.version < version, refusesChanges == nil else { return }
        entry.version = version
        let record =
            catalogue.isBeingReplaced
            ? CatalogueContents.record(name, entry) : LogRecord(kind: .touch, name: name, version: version)
        do { _ = try catalogue.append(record) } catch {
            _ = refusal(error)
            return
        }
        index.set(name, entry)
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
            if case .wouldBlock = error {} else { failure = refusal(error) }
        }
        if let failure { throw failure }
        guard isDone else { return false }
        // What does not match goes the long way, which says what is damaged.
        return file.table.firstMismatch(first: offset / blockSize, buffer) == nil
    }

    package func hasObject(_ name: ObjectName) -> Bool {
        if cache.find(name) != nil { return true }
        return index.find(name).map { !$0.isHole } ?? false
    }
}
