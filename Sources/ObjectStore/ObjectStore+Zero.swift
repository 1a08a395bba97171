package import ObjectModel

extension ObjectStore {
    /// Makes whole blocks read as zeros.
    ///
    /// A whole object without a visible ancestor's is removed, with one it becomes a hole; a part is punched, after a
    /// copy of the ancestor's object where the target is absent. With `deallocate` false the blocks are written as
    /// zeros instead and so stay allocated. Errors and durability as in `write`.
    package func zero(
        _ target: ObjectName, objectShift: ObjectShift, ancestry: [Birth] = [], version: LogIndex, at offset: Int,
        length: Int, deallocate: Bool = true, durable: Bool = false, completion: @escaping (SheepError?) -> Void
    ) {
        checkAligned(objectShift, offset, length)
        let request = WriteRequest(
            target: target, shift: objectShift, ancestry: ancestry, version: version, offset: offset,
            content: deallocate ? .hole(length: length) : .bytes(AlignedBytes(zeros: length)))
        guard deallocate, request.coversObject else { return submit(request, durable: durable, completion) }
        let finish: (SheepError?) -> Void = { [self] error in
            if durable, error == nil { flush(target, completion) } else { completion(error) }
        }
        change(target, completion: finish) { [self] _, done in
            afterLoading(target) { [self] in
                let ancestors = ancestry.lazy.filter { $0 != target.birth }
                if case .object = index.resolve(target.family, target.index, ancestors, target.kind) {
                    done(appendHole(target, objectShift, version))
                } else {
                    done(appendRemoval(target, version))
                }
            }
        }
    }

    /// Creates the object, as a copy of a visible ancestor's, and reserves blocks for all of it; it reads as before.
    package func preallocate(
        _ target: ObjectName, objectShift: ObjectShift, ancestry: [Birth] = [], version: LogIndex,
        durable: Bool = false, completion: @escaping (SheepError?) -> Void
    ) {
        let request = WriteRequest(
            target: target, shift: objectShift, ancestry: ancestry, version: version, offset: 0,
            content: .reservation)
        submit(request, durable: durable, completion)
    }

    /// Removes an object or hole and remembers the removal with its version until ``forgetRemovals(before:)``.
    /// A name that is not there stays so.
    package func remove(
        _ name: ObjectName, version: LogIndex, durable: Bool = false, completion: @escaping (SheepError?) -> Void
    ) {
        let finish: (SheepError?) -> Void = { [self] error in
            if durable, error == nil { flush(name, completion) } else { completion(error) }
        }
        guard index.find(name) != nil || gates[GateKey(name)] != nil else {
            return finish(refusesChanges)
        }
        change(name, completion: finish) { [self] _, done in
            counters.removes += 1
            afterLoading(name) { [self] in done(appendRemoval(name, version)) }
        }
    }

    /// Makes the name a hole whatever was there before, as a peer's names say.
    package func makeHole(
        _ name: ObjectName, objectShift: ObjectShift, version: LogIndex, completion: @escaping (SheepError?) -> Void
    ) {
        change(name, completion: completion) { [self] _, done in
            afterLoading(name) { [self] in done(appendHole(name, objectShift, version)) }
        }
    }

    /// Takes back an interrupted create: the name is as before, removed or a hole, and counts as changed under the version.
    package func withdraw(_ name: ObjectName, version: LogIndex, completion: @escaping (SheepError?) -> Void) {
        change(name, completion: completion) { [self] _, done in
            guard let entry = index.find(name), entry.flags.contains(.interrupted) else {
                return done(SheepError(.invalidArgument, "object \(name) is no interrupted create"))
            }
            done(entry.flags.contains(.overHole) ? appendHole(name, entry.shift, version) : appendRemoval(name, version))
        }
    }

    /// Empties a damaged object or an interrupted create before its contents are written anew from a peer's.
    /// Until all of them are, its region must stay listed (``mayRetire``).
    package func reset(
        _ name: ObjectName, objectShift: ObjectShift, version: LogIndex, completion: @escaping (SheepError?) -> Void
    ) {
        change(name, completion: completion) { [self] region, done in
            afterLoading(name) { [self] in
                // A removal, then a create of the same name that copies nothing.
                if let error = appendRemoval(name, version) { return done(error) }
                let request = WriteRequest(
                    target: name, shift: objectShift, ancestry: [], version: version, offset: 0,
                    content: .bytes(AlignedBytes(count: 0)))
                create(request, in: region, done)
            }
        }
    }

    /// Runs the body when no one is opening the name's file.
    private func afterLoading(_ name: ObjectName, _ body: @escaping () -> Void) {
        if loading[name] == nil { body() } else { loading[name]!.append { _ in body() } }
    }
}
