package import ObjectModel

extension ObjectStore {
    /// Ends the store: what is under way is finished, everything is made durable, and the state says clean.
    ///
    /// New changes are refused from the call on. After an error the state stays unclean and the next start recomputes.
    package func close(completion: @escaping (SheepError?) -> Void) {
        if case .closed = phase, closeCompletion == nil { return completion(nil) }
        let former = closeCompletion
        closeCompletion = { error in
            former?(error)
            completion(error)
        }
        if former != nil { return }
        if case .open = phase { phase = .closing }
        startBatch()
        closeIfIdle()
    }

    /// Of a process that is dead as it is: lets go of what refers to itself. Nothing is finished or made durable, and nothing may come to the
    /// store after this.
    package func dismantle() {
        for region in regions.values {
            region.forgetDirty()
            region.waiters = []
        }
        (regions, gates, newlyListed, endWhenUnused) = ([:], [:], [], nil)
    }

    /// Ends the store and marks it so that the next ``open(disk:configuration:completion:)`` empties it: its node's and
    /// disk's identities stay, the cluster's goes.
    package func wipe(completion: @escaping (SheepError?) -> Void) {
        shallWipe = true
        close(completion: completion)
    }

    /// Writes the cluster's identity, once, when the cluster is formatted. Durable at the completion.
    package func setCluster(_ cluster: ClusterID, completion: @escaping (SheepError?) -> Void) {
        if let refusal = refusesChanges { return completion(refusal) }
        if let own = identity.cluster {
            let text = "the store belongs to cluster \(own), not to \(cluster); wipe it to reuse the disk"
            return completion(own == cluster ? nil : SheepError(.versionMismatch, text))
        }
        var changed = identity
        changed.cluster = cluster
        inFlight += 1
        Self.replaceIdentity(disk, changed) { [self] error in
            inFlight -= 1
            if error == nil { identity.cluster = cluster }
            completion(error.map { refusal($0) })
            closeIfIdle()
        }
    }

    /// Ends a close when nothing is under way any more.
    func closeIfIdle() {
        if let again = endWhenUnused {
            endWhenUnused = nil
            return again()
        }
        guard closeCompletion != nil, gates.isEmpty, loading.isEmpty, runningBatch == nil, !nextBatch.isWanted,
            !intentSyncIsRunning, !isSettling, inFlight == 0
        else { return }
        switch phase {
        case .failed(let error): return end(error)
        case .closing: break
        case .open, .closed: return
        }
        if shallWipe { return markForWipe() }
        if !isMarkedUnclean { return end(nil) }
        inFlight += 1
        syncEverything()
    }

    private func markForWipe() {
        var changed = identity
        (changed.isBeingWiped, changed.cluster) = (true, nil)
        inFlight += 1
        Self.replaceIdentity(disk, changed) { [self] error in
            inFlight -= 1
            end(error.map { refusal($0) })
        }
    }

    private func syncEverything() {
        while sweepFolder() {}
        for file in cache.all.sorted(by: { $0.name < $1.name }) where !writeBack(file) {
            return end(SheepError(.noSpace, "no space left for the checksums of disk \(identity.disk)"))
        }
        disk.syncAll { [self] error in
            if let error { return end(fail(error)) }
            syncCatalogue { [self] error in
                if let error { return end(error) }
                settleRemovals { [self] error in
                    if let error { return end(error) }
                    retireAll()
                }
            }
        }
    }

    private func retireAll() {
        do {
            for region in regions.values.sorted(by: { $0.key < $1.key })
            where region.state == .listed && !region.isSuspect && mayRetire(region.key) {
                try intents.append(intentRecord(.retired, region.key))
            }
        } catch {
            return end(refusal(error))
        }
        intents.sync { [self] error in
            if let error { return end(fail(error)) }
            // What was not verified is left to the next run.
            guard suspects.isEmpty, foldersToSweep.isEmpty else { return end(nil) }
            let state = StoreState(isClean: true, catalogueRecords: catalogue.slots, intentRecords: intents.slots)
            do throws(DiskError) { try write(state) } catch { return end(refusal(error)) }
            disk.sync(files: [stateFile], directories: []) { [self] error in end(error.map { fail($0) }) }
        }
    }

    private func end(_ error: SheepError?) {
        phase = .closed
        // A read that came while all was made durable still has its file.
        guard loading.isEmpty, cache.all.allSatisfy({ $0.pins == 0 }) else {
            endWhenUnused = { [self] in end(error) }
            return
        }
        for file in cache.all {
            cache.remove(file)
            disk.close(file.handle)
        }
        catalogue.close()
        intents.close()
        disk.close(stateFile)
        if let file = notes.file { disk.close(file) }
        notes.file = nil
        let completion = closeCompletion
        closeCompletion = nil
        completion?(error)
    }
}
