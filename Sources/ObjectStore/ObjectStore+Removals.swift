import ObjectModel

private let unlinkedAtOnce = 64

/// The files of names that are gone, in this order: the removal's record durable, the file unlinked, its folder
/// durable. Only then the name may have a file again: otherwise a power cut could give a new name's record the old file.
extension ObjectStore {
    /// Marks a file that no record names.
    func doom(_ name: ObjectName, after number: UInt64 = 0) { doomed[name] = number }

    /// Gets rid of all doomed files there are at the call.
    func settleRemovals(_ completion: @escaping (SheepError?) -> Void) {
        removalWaiters.append(completion)
        startSettling()
    }

    /// One round at a time; those who come meanwhile share the next.
    private func startSettling() {
        guard !isSettling, !removalWaiters.isEmpty else { return }
        isSettling = true
        let waiters = removalWaiters
        removalWaiters = []
        let end: (SheepError?) -> Void = { [self] error in
            isSettling = false
            for waiter in waiters { waiter(error) }
            startSettling()
            closeIfIdle()
        }
        if case .failed(let error) = phase { return end(error) }
        if doomed.values.contains(where: { $0 > catalogue.durable }) {
            syncCatalogue { [self] error in
                if let error { end(error) } else { unlinkDoomed(end) }
            }
        } else {
            unlinkDoomed(end)
        }
    }

    private func unlinkDoomed(_ end: @escaping (SheepError?) -> Void) {
        unlink(doomed.filter { $0.value <= catalogue.durable }.keys.sorted()[...], end)
    }

    /// Some at a time: each takes the file system a while, and others wait for this thread.
    private func unlink(_ names: ArraySlice<ObjectName>, _ end: @escaping (SheepError?) -> Void) {
        let some = names.prefix(unlinkedAtOnce)
        guard !some.isEmpty else { return end(nil) }
        for name in some {
            do throws(DiskError) {
                try disk.remove(ObjectPath.path(name))
            } catch .missing {
                continue
            } catch {
                return end(refusal(error))
            }
        }
        let folders = Set(some.map(ObjectPath.folderNumber)).sorted().map(ObjectPath.folder)
        counters.syncs += 1
        disk.sync(files: [], directories: folders) { [self] error in
            if let error { return end(fail(error)) }
            for name in some { doomed[name] = nil }
            unlink(names.dropFirst(unlinkedAtOnce), end)
        }
    }
}
