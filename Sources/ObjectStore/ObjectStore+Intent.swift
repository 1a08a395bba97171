import ObjectModel

/// The intent log: which regions may be in the middle of a write.
extension ObjectStore {
    func region(of name: ObjectName) -> Region<D> {
        let key = ListedRegion(name)
        if let region = regions[key] { return region }
        let region = Region<D>(key)
        regions[key] = region
        return region
    }

    /// For those who only read: a clean region is not remembered for them.
    func knownRegion(of name: ObjectName) -> Region<D> {
        let key = ListedRegion(name)
        return regions[key] ?? Region<D>(key)
    }

    /// Calls back when the region's record is durable; at once when it is already.
    func list(_ region: Region<D>, _ completion: @escaping (SheepError?) -> Void) {
        switch region.state {
        case .listed:
            region.lastWrite = time
            completion(nil)
        case .listing:
            region.waiters.append(completion)
        case .clean:
            do {
                try intents.append(intentRecord(.listed, region.key))
            } catch {
                return completion(refusal(error))
            }
            region.state = .listing
            region.lastWrite = time
            region.waiters.append(completion)
            newlyListed.append(region)
            syncIntents()
        }
    }

    func intentRecord(_ kind: LogRecord.Kind, _ key: ListedRegion) -> LogRecord {
        LogRecord(kind: kind, name: ObjectName(family: key.family, index: key.number, birth: key.birth))
    }

    /// One sync for all regions that wait; those that come meanwhile share the next.
    private func syncIntents() {
        guard !intentSyncIsRunning, !newlyListed.isEmpty else { return }
        let batch = newlyListed
        newlyListed = []
        intentSyncIsRunning = true
        let marksUnclean = !isMarkedUnclean
        if marksUnclean {
            do {
                try write(.unclean)
            } catch {
                intentSyncIsRunning = false
                return endListing(batch, refusal(error))
            }
        }
        counters.syncs += 1
        intents.sync(with: marksUnclean ? [stateFile] : []) { [self] error in
            intentSyncIsRunning = false
            if error == nil { isMarkedUnclean = true }
            endListing(batch, error.map { fail($0) })
            syncIntents()
            closeIfIdle()
        }
    }

    private func endListing(_ batch: [Region<D>], _ error: SheepError?) {
        for region in batch {
            // A failed store keeps the region out of reach; a full one tries again.
            region.state = error == nil ? .listed : .clean
            let waiters = region.waiters
            region.waiters = []
            for waiter in waiters { waiter(error) }
        }
    }

    func write(_ state: StoreState) throws(DiskError) {
        let bytes = AlignedBytes(count: StoreState.size)
        bytes.buffer.copyBytes(from: state.encoded())
        try disk.write(stateFile, at: 0, from: bytes.bytes)
    }

    /// The regions in the intent log at this moment, in order.
    package var listedRegions: [ListedRegion] {
        regions.values.filter { $0.state == .listed }.map(\.key).sorted()
    }
}
