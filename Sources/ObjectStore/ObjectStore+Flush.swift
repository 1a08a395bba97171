package import ObjectModel

/// What is made durable together.
struct FlushBatch<D: Disk> {
    var number: UInt64 = 0
    /// Asked for: everything, whole volumes, single files, regions to be retired.
    var wantsAll = false
    var births: Set<Birth> = []
    var wantedFiles: [OpenFile<D>] = []
    var regions: [(region: Region<D>, generation: UInt64)] = []
    var waiters: [(SheepError?) -> Void] = []
    /// Collected when the batch starts.
    var files: [OpenFile<D>] = []
    var folders: Set<UInt8> = []
    var needsFullSync = false
    var catalogueNumber: UInt64 = 0

    var isWanted: Bool { wantsAll || !births.isEmpty || !wantedFiles.isEmpty || !regions.isEmpty || !waiters.isEmpty }
}

/// Durability: one batch runs at a time, all who come meanwhile share the next.
///
/// A batch syncs files and folders first, the catalogue after them. Tables are not part of it: their regions are
/// listed, so they are recomputed after a power cut; they are written when a region is retired.
extension ObjectStore {
    /// Makes every write to these volumes durable that was completed before the call; nil: of all volumes.
    /// Completes at once when there is nothing to do.
    package func flush(_ births: Set<Birth>? = nil, completion: @escaping (SheepError?) -> Void) {
        if case .failed(let error) = phase { return completion(error) }
        counters.flushes += 1
        let concerned = (births.map { $0.compactMap { volumes[$0] } } ?? Array(volumes.values)) + [inherited]
        if concerned.contains(where: { isUnsynced($0) }) {
            if let births { nextBatch.births.formUnion(births) } else { nextBatch.wantsAll = true }
            nextBatch.waiters.append(completion)
            startBatch()
        } else if let running = runningBatch?.number, concerned.contains(where: { $0.lastBatch == running }) {
            runningBatch!.waiters.append(completion)
        } else {
            completion(nil)
        }
    }

    private func isUnsynced(_ volume: UnsyncedVolume<D>) -> Bool {
        !volume.files.isEmpty || volume.needsFullSync || volume.catalogueNumber > catalogue.durable
    }

    /// Makes one file's writes durable.
    func flush(_ file: OpenFile<D>, _ completion: @escaping (SheepError?) -> Void) {
        if case .failed(let error) = phase { return completion(error) }
        guard file.isUnsynced, !file.isDetached else { return flush([file.name.birth], completion: completion) }
        // Pinned, so that it is not closed before the batch takes it.
        file.pins += 1
        nextBatch.wantedFiles.append(file)
        nextBatch.waiters.append(completion)
        startBatch()
    }

    /// Makes a name's last change durable, whatever it was.
    package func flush(_ name: ObjectName, _ completion: @escaping (SheepError?) -> Void) {
        if let file = cache.find(name) { flush(file, completion) } else { flush([name.birth], completion: completion) }
    }

    /// Completes when the disk has done a sync: it answers.
    package func probe(completion: @escaping (SheepError?) -> Void) {
        if let refusal = refusesChanges { return completion(refusal) }
        inFlight += 1
        disk.sync(files: [stateFile], directories: []) { [self] error in
            inFlight -= 1
            completion(error.map { fail($0) })
            closeIfIdle()
        }
    }

    func startBatch() {
        guard runningBatch == nil, nextBatch.isWanted else { return }
        var batch = nextBatch
        nextBatch = FlushBatch()
        batchCount += 1
        batch.number = batchCount
        collect(&batch)
        runningBatch = batch
        if batch.needsFullSync {
            counters.syncs += 1
            disk.syncAll { [self] error in syncedFiles(error) }
        } else if batch.files.isEmpty {
            syncedFiles(nil)
        } else {
            counters.syncs += 1
            disk.sync(files: batch.files.map(\.handle), directories: batch.folders.sorted().map(ObjectPath.folder)) {
                [self] error in syncedFiles(error)
            }
        }
    }

    private func collect(_ batch: inout FlushBatch<D>) {
        // Names and folders of files that an earlier run made are part of every batch.
        takeEvicted(inherited, &batch)
        for position in batch.regions.indices { collect(batch.regions[position].region, position, &batch) }
        for birth in (batch.wantsAll ? Set(volumes.keys) : batch.births).sorted() {
            guard let volume = volumes[birth] else { continue }
            takeEvicted(volume, &batch)
            while let file = volume.files.last { take(file, volume, &batch) }
        }
        for file in batch.wantedFiles {
            let volume = volume(of: file.name)
            if file.isUnsynced { take(file, volume, &batch) }
            // Closed before it was synced and opened again: its folder may not be durable.
            if volume.needsFullSync { takeEvicted(volume, &batch) }
            // Removed meanwhile: the removal, which hides the write, must be durable instead.
            if file.isDetached { take(volume, &batch) }
            unpin(file)
        }
        batch.wantedFiles = []
    }

    private func collect(_ region: Region<D>, _ position: Int, _ batch: inout FlushBatch<D>) {
        for file in region.dirtyTables { writeBack(file) }
        batch.regions[position].generation = region.generation
        batch.needsFullSync = batch.needsFullSync || region.needsFullSync
        region.needsFullSync = false
        guard let volume = volumes[region.key.birth] else { return }
        take(volume, &batch)
        for file in volume.files where file.region === region { take(file, volume, &batch) }
    }

    private func takeEvicted(_ volume: UnsyncedVolume<D>, _ batch: inout FlushBatch<D>) {
        take(volume, &batch)
        batch.needsFullSync = batch.needsFullSync || volume.needsFullSync
        volume.needsFullSync = false
    }

    private func take(_ volume: UnsyncedVolume<D>, _ batch: inout FlushBatch<D>) {
        batch.catalogueNumber = max(batch.catalogueNumber, volume.catalogueNumber)
        volume.lastBatch = batch.number
    }

    private func take(_ file: OpenFile<D>, _ volume: UnsyncedVolume<D>, _ batch: inout FlushBatch<D>) {
        volume.remove(file)
        volume.lastBatch = batch.number
        file.pins += 1
        batch.files.append(file)
        batch.catalogueNumber = max(batch.catalogueNumber, file.catalogueNumber)
        if file.folderIsDirty { batch.folders.insert(ObjectPath.folderNumber(file.name)) }
        file.folderIsDirty = false
    }

    private func syncedFiles(_ error: DiskError?) {
        if let error { return endBatch(fail(error)) }
        guard let number = runningBatch?.catalogueNumber, number > catalogue.durable else { return endBatch(nil) }
        syncCatalogue { [self] error in endBatch(error) }
    }

    private func endBatch(_ error: SheepError?) {
        guard let batch = runningBatch else { return }
        runningBatch = nil
        for file in batch.files { unpin(file) }
        for (region, generation) in batch.regions { endRetiring(region, generation, error) }
        for birth in batch.births { pruneVolume(birth) }
        for waiter in batch.waiters { waiter(error) }
        if let error = error, hasFailed {
            let dropped = nextBatch
            nextBatch = FlushBatch()
            for file in dropped.wantedFiles { unpin(file) }
            for waiter in dropped.waiters { waiter(error) }
        }
        startBatch()
        trimCache()
        closeIfIdle()
    }

    private func pruneVolume(_ birth: Birth) {
        if let volume = volumes[birth], !isUnsynced(volume) { volumes[birth] = nil }
    }

    /// Retires a region that stayed as it was while it was made durable.
    private func endRetiring(_ region: Region<D>, _ generation: UInt64, _ error: SheepError?) {
        region.isRetiring = false
        guard error == nil, region.generation == generation, region.users == 0, region.dirtyTables.isEmpty,
            !region.needsFullSync, region.state == .listed, !hasFailed
        else { return }
        do {
            try intents.append(intentRecord(.retired, region.key))
        } catch {
            _ = refusal(error)
            return
        }
        region.state = .clean
        regions[region.key] = nil
    }
}
