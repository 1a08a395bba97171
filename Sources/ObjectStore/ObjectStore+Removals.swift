import ObjectModel

/// The files of names that are gone, in this order: the removal's record durable, the file unlinked, its folder
/// durable. Only then the name may have a file again: otherwise a power cut could give a new name's record the old file.
extension ObjectStore {
    private static var unlinkedAtOnce: Int { 32 }

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
        // A bounded number at a time: a busy file system takes its time for each, and the loop has others to serve.
        let ready = doomed.filter { $0.value <= catalogue.durable }.keys.sorted().prefix(Self.unlinkedAtOnce)
        guard !ready.isEmpty else { return end(nil) }
        for name in ready {
            do throws(DiskError) {
                try disk.remove(ObjectPath.path(name))
            } catch .missing {
                continue
            } catch {
                return end(refusal(error))
            }
        }
        let folders = Set(ready.map(ObjectPath.folderNumber)).sorted().map(ObjectPath.folder)
        counters.syncs += 1
        disk.sync(files: [], directories: folders) { [self] error in
            if let error { return end(fail(error)) }
            for name in ready { doomed[name] = nil }
            unlinkDoomed(end)
        }
    }
}
