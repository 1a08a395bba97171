import ObjectModel

/// Opening object files and closing them again.
extension ObjectStore {
    /// Hands over the open file of a name that has one; at once when it is open already.
    func withFile(_ name: ObjectName, _ completion: @escaping (Result<OpenFile<D>, SheepError>) -> Void) {
        if let file = cache.find(name) { return completion(.success(file)) }
        if loading[name] != nil {
            loading[name]!.append(completion)
            return
        }
        loading[name] = [completion]
        load(name) { [self] result in
            if case .success(let file) = result { cache.insert(file) }
            let waiters = loading.removeValue(forKey: name) ?? []
            // Pinned so that one waiter's work cannot close it under the next.
            if case .success(let file) = result { file.pins += 1 }
            for waiter in waiters { waiter(result) }
            if case .success(let file) = result { unpin(file) }
            trimCache()
            closeIfIdle()
        }
    }

    private func load(_ name: ObjectName, _ completion: @escaping (Result<OpenFile<D>, SheepError>) -> Void) {
        if case .closed = phase { return completion(.failure(SheepError(.shuttingDown, "the store is closed"))) }
        guard let entry = index.find(name), !entry.isHole else {
            return completion(.failure(SheepError(.noSuchObject, "no object \(name) on disk \(identity.disk)")))
        }
        if entry.flags.contains(.interrupted) {
            return completion(.failure(damage(name, "its creation was interrupted")))
        }
        let file: OpenFile<D>
        do {
            let handle = try disk.open(ObjectPath.path(name), create: false)
            file = OpenFile(
                name: name, handle: handle, shift: entry.shift, region: knownRegion(of: name), version: entry.version)
        } catch .missing {
            counters.missingFiles += 1
            return completion(.failure(damage(name, "its file is missing")))
        } catch {
            return completion(.failure(refusal(error, reading: name)))
        }
        if file.region.isTrusted(name) {
            readTrailer(file, completion)
        } else {
            recompute(file, completion)
        }
    }

    private func readTrailer(
        _ file: OpenFile<D>, _ completion: @escaping (Result<OpenFile<D>, SheepError>) -> Void
    ) {
        let bytes = AlignedBytes(count: ObjectFile.trailerSize(file.shift))
        read(file, at: ObjectFile.headerOffset(file.shift), bytes) { [self] error in
            if let error {
                disk.close(file.handle)
                return completion(.failure(error))
            }
            guard ObjectFile.decodeTrailer(bytes.bytes, file.name, file.shift, into: file.table) else {
                disk.close(file.handle)
                counters.checksumFailures += 1
                return completion(.failure(damage(file.name, "its header or checksum table is damaged")))
            }
            completion(.success(file))
        }
    }

    /// Reads from memory or, failing that, in the background, where the device may begin with what follows up to `end`. Nil: nothing does.
    func read(
        _ file: OpenFile<D>, at offset: UInt64, _ bytes: AlignedBytes, aheadTo end: UInt64? = nil,
        _ completion: @escaping (SheepError?) -> Void
    ) {
        do {
            try disk.tryRead(file.handle, at: offset, into: bytes.buffer)
            completion(nil)
        } catch .wouldBlock {
            counters.backgroundReads += 1
            let end = end ?? offset + UInt64(bytes.buffer.count)
            disk.readInBackground(file.handle, at: offset, into: bytes.buffer, aheadTo: end) { [self] error in
                // The closure keeps the memory until here.
                withExtendedLifetime(bytes) { completion(error.map { refusal($0, reading: file.name) }) }
            }
        } catch {
            completion(refusal(error, reading: file.name))
        }
    }

    func unpin(_ file: OpenFile<D>) {
        file.pins -= 1
        if file.pins == 0, file.isDetached { disk.close(file.handle) }
    }

    /// Closes files until the cache is within its bounds.
    func trimCache() {
        while let file = cache.candidate() {
            guard writeBack(file) else { return }
            if file.isUnsynced {
                let volume = volume(of: file.name)
                volume.remove(file)
                volume.needsFullSync = true
                volume.catalogueNumber = max(volume.catalogueNumber, file.catalogueNumber)
                file.region.needsFullSync = true
            }
            cache.remove(file)
            disk.close(file.handle)
        }
    }

    /// Writes header and table if they are newer than the file's; false when the disk does not take them.
    ///
    /// Not durable; a store that stops before it is recomputes the table, for the region is listed.
    @discardableResult
    func writeBack(_ file: OpenFile<D>) -> Bool {
        guard file.tableIsDirty else { return true }
        guard !hasFailed else { return false }
        precondition(file.region.state == .listed)
        let bytes = UnsafeMutableRawBufferPointer(rebasing: trailer.buffer[..<ObjectFile.trailerSize(file.shift)])
        ObjectFile.encodeTrailer(file.name, file.shift, file.table, into: bytes)
        do {
            try disk.write(
                file.handle, at: ObjectFile.headerOffset(file.shift), from: UnsafeRawBufferPointer(bytes))
        } catch {
            _ = refusal(error)
            return false
        }
        file.region.removeDirty(file)
        if !file.isUnsynced { volume(of: file.name).insert(file) }
        return true
    }

    /// Drops the file of a name that is gone; what it holds is not wanted any more.
    func forget(_ name: ObjectName) {
        guard let file = cache.find(name) else { return }
        if file.isUnsynced { volume(of: name).remove(file) }
        if file.tableIsDirty { file.region.removeDirty(file) }
        cache.remove(file)
        if file.pins == 0 { disk.close(file.handle) }
    }
}
