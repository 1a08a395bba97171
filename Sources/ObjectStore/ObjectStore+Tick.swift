import ObjectModel

/// How far the catalogue's compaction is.
enum CatalogueCompaction {
    case idle
    /// Names up to and including this one are in the replacement.
    case copying(after: ObjectName?)
    case finishing
}

/// Housekeeping, in small steps.
extension ObjectStore {
    private static var retiredAtOnce: Int { 64 }
    /// Whoever waits for the store meanwhile waits for a millisecond or so.
    private static var verifiedAtOnce: Int { 1 }
    private static var writtenBackAtOnce: Int { 4 }
    private static var compactedAtOnce: Int { 16_384 }

    /// Called every so often (sixteen times a second) with a clock that does not go back, in nanoseconds.
    ///
    /// Each call does a bounded amount: writes tables of idle regions back and retires these from the intent log, recomputes some tables after
    /// an unclean stop, compacts the logs, removes files of removed objects.
    package func tick(now: UInt64) {
        time = max(time, now)
        guard case .open = phase else { return }
        verifySuspects(Self.verifiedAtOnce)
        retireIdleRegions()
        compactIntents()
        compactCatalogue()
        sweepFolder()
        if !doomed.isEmpty, !isSettling { settleRemovals { _ in } }
    }

    // MARK: - The intent log

    private func canRetire(_ region: Region<D>) -> Bool {
        region.state == .listed && !region.isSuspect && !region.isRetiring && region.users == 0
    }

    private func retireIdleRegions() {
        let idle = regions.values.filter {
            canRetire($0) && $0.lastWrite + configuration.retireAfter <= time && mayRetire($0.key)
        }
        guard !idle.isEmpty else { return }
        // In order, so that a simulated run repeats exactly.
        let inOrder = idle.sorted { $0.key < $1.key }
        writeBackTables(of: inOrder)
        for region in inOrder.lazy.filter(\.dirtyTables.isEmpty).prefix(Self.retiredAtOnce) {
            region.isRetiring = true
            nextBatch.regions.append((region, region.generation))
        }
        startBatch()
    }

    /// Those of a region that was written whole are as many as it has objects: to write all at once would hold everybody up. Where more become idle
    /// than a few at a time, it is a part of them: of ten thousand the last one waits for twenty seconds.
    private func writeBackTables(of idle: [Region<D>]) {
        var left = max(Self.writtenBackAtOnce, idle.reduce(0) { $0 + $1.dirtyTables.count } / 64)
        for region in idle {
            for file in region.dirtyTables.prefix(left) {
                left -= 1
                // Where the disk is full, another region's tables may have their space.
                if !writeBack(file) { break }
            }
            if left == 0 || hasFailed { return }
        }
    }

    private func compactIntents() {
        let listed = regions.values.filter { $0.state != .clean }
        guard isMarkedUnclean, !intents.isBeingReplaced,
            Int(intents.slots) > 2 * listed.count + configuration.compactionSlack
        else { return }
        do { try intents.beginReplacement() } catch {
            _ = refusal(error)
            return
        }
        intents.appendToReplacement(listed.sorted { $0.key < $1.key }.map { intentRecord(.listed, $0.key) })
        inFlight += 1
        intents.finishReplacement { [self] error in
            inFlight -= 1
            if let error { _ = refusal(error) }
            closeIfIdle()
        }
    }

    // MARK: - The catalogue

    private func compactCatalogue() {
        switch catalogueCompaction {
        case .idle:
            // A clean store's state counts its records, so that only an unclean one's may be replaced.
            let needed = index.count + removed.count
            guard isMarkedUnclean, Int(catalogue.slots) > 2 * needed + configuration.compactionSlack else { return }
            do { try catalogue.beginReplacement() } catch {
                _ = refusal(error)
                return
            }
            catalogueCompaction = .copying(after: nil)
        case .copying(let last):
            guard catalogue.isBeingReplaced else { return catalogueCompaction = .idle }
            let slice = index.slice(after: last, limit: Self.compactedAtOnce)
            catalogue.appendToReplacement(slice.map { CatalogueContents.record($0, $1) })
            if let next = slice.last?.0 { catalogueCompaction = .copying(after: next) } else { finishCompaction() }
        case .finishing:
            return
        }
    }

    private func finishCompaction() {
        catalogue.appendToReplacement(removed.sorted { $0.key < $1.key }.map { CatalogueContents.removal($0, $1) })
        catalogueCompaction = .finishing
        inFlight += 1
        catalogue.finishReplacement { [self] error in
            inFlight -= 1
            catalogueCompaction = .idle
            if let error { _ = refusal(error) }
            closeIfIdle()
        }
    }

    // MARK: - After an unclean stop

    /// Opens objects of suspect regions, which recomputes their tables, until a region is verified or `limit` are done.
    private func verifySuspects(_ limit: Int) {
        guard !isVerifying, limit > 0, case .open = phase, let region = suspects.last else { return }
        guard let name = nextUnverified(in: region) else { return lastSuspectIsVerified() }
        isVerifying = true
        withFile(name) { [self] _ in
            isVerifying = false
            // Damage is found again by whoever reads it.
            region.verified.insert(name)
            verifySuspects(limit - 1)
        }
    }

    private func lastSuspectIsVerified() {
        let region = suspects.removeLast()
        if hasInterrupted(region) {
            // Stays suspect until the integrator has decided about them.
            suspects.insert(region, at: 0)
        } else {
            (region.isSuspect, region.verified, region.lastWrite) = (false, [], time)
        }
    }

    /// The same for all of them, as long as `goesOn` says so: before anybody uses the store, whose first write to each object would wait.
    package func verifySuspects(while goesOn: @escaping () -> Bool, completion: @escaping () -> Void) {
        givesWay = true
        verifySuspects(suspects.count, while: goesOn) { [self] in
            givesWay = false
            completion()
        }
    }

    private func verifySuspects(_ regions: Int, while goesOn: @escaping () -> Bool, completion: @escaping () -> Void) {
        var left = regions
        while left > 0, !isVerifying, case .open = phase, let region = suspects.last, goesOn() {
            guard let name = nextUnverified(in: region) else {
                lastSuspectIsVerified()
                left -= 1
                continue
            }
            isVerifying = true
            // What is in memory is done before it returns.
            var (isInside, isDone) = (true, false)
            let rest = left
            withFile(name) { [self] _ in
                (isVerifying, isDone) = (false, true)
                region.verified.insert(name)
                if !isInside { verifySuspects(rest, while: goesOn, completion: completion) }
            }
            isInside = false
            guard isDone else { return }
        }
        completion()
    }

    private func nextUnverified(in region: Region<D>) -> ObjectName? {
        var result: ObjectName?
        index.forEach(in: region.key.family, region.key.indices) { name, entry in
            guard name.birth == region.key.birth, !entry.isHole, !entry.flags.contains(.interrupted),
                !region.verified.contains(name)
            else { return true }
            result = name
            return false
        }
        return result
    }

    private func hasInterrupted(_ region: Region<D>) -> Bool {
        var result = false
        index.forEach(in: region.key.family, region.key.indices) { name, entry in
            if name.birth == region.key.birth, entry.flags.contains(.interrupted) { result = true }
            return !result
        }
        return result
    }

    /// Marks files that no name is for: of creates and removals that the stop interrupted. False when all folders are
    /// done or the disk does not list one.
    @discardableResult
    func sweepFolder() -> Bool {
        guard let number = foldersToSweep.first else { return false }
        let folder = ObjectPath.folder(UInt8(number))
        do {
            for text in try disk.list(folder) {
                guard let name = ObjectPath.parse(text), index.find(name).map({ $0.isHole }) ?? true,
                    doomed[name] == nil, gates[GateKey(name)] == nil
                else { continue }
                doom(name)
                counters.orphans += 1
            }
            foldersToSweep.removeFirst()
            return true
        } catch {
            _ = refusal(error)
            return false
        }
    }
}
