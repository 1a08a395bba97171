import ObjectModel

/// Creating objects: the file first, its contents, durable if they hide an ancestor's, and the name last.
extension ObjectStore {
    /// Creates the request's target, which is absent or a hole, with the request applied.
    func create(_ request: WriteRequest, in region: Region<D>, _ done: @escaping (SheepError?) -> Void) {
        let target = request.target
        if isOrphan(target) {
            // Left by a create or a removal that a stop interrupted; no name is its.
            counters.orphans += 1
            doom(target)
        }
        if doomed[target] != nil {
            // The name's former file goes first.
            return settleRemovals { [self] error in
                if let error { done(error) } else { create(request, in: region, done) }
            }
        }
        switch source(of: request) {
        case .object(let source) where !request.coversObject:
            copy(source, for: request, in: region, done)
        case .object:
            build(request, in: region) { [self] result in name(result, request, hidesAncestor: true, done) }
        case .absent, .hole:
            if case .hole = request.content { return done(nil) }
            build(request, in: region) { [self] result in name(result, request, hidesAncestor: false, done) }
        }
    }

    /// What an absent target's contents come from. A hole of its own hides all ancestors.
    func source(of request: WriteRequest) -> Resolution {
        if index.find(request.target) != nil { return .absent }
        let target = request.target
        return index.resolve(
            target.family, target.index, request.ancestry.lazy.filter { $0 != target.birth }, target.kind)
    }

    /// Whether a file has the name's path though the name has none.
    private func isOrphan(_ target: ObjectName) -> Bool {
        guard doomed[target] == nil else { return false }
        return (try? disk.exists(ObjectPath.path(target))) ?? false
    }

    /// Makes a new file with the request's bytes in it; nothing is left of it after an error.
    private func build(
        _ request: WriteRequest, in region: Region<D>, _ completion: (Result<OpenFile<D>, SheepError>) -> Void
    ) {
        do {
            let file = try newFile(request.target, request.shift, region, request.version)
            fill(file, request, completion)
        } catch {
            completion(.failure(refusal(error)))
        }
    }

    private func fill(
        _ file: OpenFile<D>, _ request: WriteRequest, _ completion: (Result<OpenFile<D>, SheepError>) -> Void
    ) {
        if let error = apply(request, to: file) {
            discard(file)
            completion(.failure(error))
        } else {
            completion(.success(file))
        }
    }

    private func newFile(
        _ name: ObjectName, _ shift: ObjectShift, _ region: Region<D>, _ version: LogIndex
    ) throws(DiskError) -> OpenFile<D> {
        let handle = try disk.open(ObjectPath.path(name), create: true)
        unnamed.insert(name)
        let file = OpenFile(name: name, handle: handle, shift: shift, region: region, version: version)
        file.folderIsDirty = true
        return file
    }

    /// Undoes a create whose name is not in the catalogue.
    private func discard(_ file: OpenFile<D>) {
        if file.isUnsynced { volume(of: file.name).remove(file) }
        if file.tableIsDirty { file.region.removeDirty(file) }
        file.isDetached = true
        if file.pins == 0 { disk.close(file.handle) }
        unnamed.remove(file.name)
        doom(file.name)
    }

    private func copy(
        _ source: ObjectName, for request: WriteRequest, in region: Region<D>,
        _ done: @escaping (SheepError?) -> Void
    ) {
        withFile(source) { [self] result in
            let from: OpenFile<D>
            switch result {
            case .success(let file): from = file
            case .failure(let error): return done(error)
            }
            guard from.shift == request.shift else {
                return done(SheepError(.invalidArgument, "object \(source) has another size than its descendant"))
            }
            let file: OpenFile<D>
            do throws(DiskError) {
                file = try newFile(request.target, request.shift, region, request.version)
            } catch {
                return done(refusal(error))
            }
            counters.copies += 1
            from.pins += 1
            disk.copyInBackground(from: from.handle, to: file.handle, length: UInt64(request.shift.objectSize)) {
                [self] error in
                // The source is frozen: its table has not changed meanwhile.
                file.table.bytes.copyMemory(from: UnsafeRawBufferPointer(from.table.bytes))
                unpin(from)
                if let error {
                    discard(file)
                    // Whether it was the source's reading or the copy's writing, the next change will tell.
                    return done(refusal(error, reading: source))
                }
                fill(file, request) { [self] result in name(result, request, hidesAncestor: true, done) }
            }
        }
    }

    /// Gives a built file its name.
    private func name(
        _ result: Result<OpenFile<D>, SheepError>, _ request: WriteRequest, hidesAncestor: Bool,
        _ done: @escaping (SheepError?) -> Void
    ) {
        guard case .success(let file) = result else {
            if case .failure(let error) = result { done(error) }
            return
        }
        guard hidesAncestor else { return done(appendCreate(file)) }
        // Else a power cut could leave the name with half a copy, and what the ancestor held durably would be lost.
        counters.syncs += 1
        file.pins += 1
        disk.sync(files: [file.handle], directories: []) { [self] error in
            file.pins -= 1
            if let error {
                let failure = fail(error)
                discard(file)
                return done(failure)
            }
            done(appendCreate(file))
        }
    }

    private func appendCreate(_ file: OpenFile<D>) -> SheepError? {
        if case .failed(let error) = phase {
            discard(file)
            return error
        }
        let name = file.name
        // Touched while it was being made: a member that left meanwhile has to find it.
        if let touched = removed[name] { file.version = max(file.version, touched) }
        let flags: ObjectIndex.Flags = index.find(name) != nil ? .overHole : []
        let entry = ObjectIndex.Entry(name, shift: file.shift, version: file.version, flags: flags)
        do {
            file.catalogueNumber = try catalogue.append(CatalogueContents.record(name, entry))
        } catch {
            discard(file)
            return refusal(error)
        }
        index.set(name, entry)
        removed[name] = nil
        unnamed.remove(name)
        counters.creates += 1
        file.region.verified.insert(name)
        cache.insert(file)
        markWritten(file)
        trimCache()
        return nil
    }
}
