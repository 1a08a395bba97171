import Cluster
import ObjectModel
import ObjectStore
import SheepProtocol

extension SheepNode {
    func create(_ create: VolumeCreate, _ completion: @escaping AdministrationCompletion) {
        propose(
            .createVolume(.init(name: create.name, size: create.size, copies: create.copies, objectShift: create.objectShift)),
            completion, reply: created)
    }

    func clone(_ clone: VolumeClone, _ completion: @escaping AdministrationCompletion) {
        withVolume(clone.source, completion) { source in
            propose(.cloneVolume(.init(source: source.birth, name: clone.name)), completion, reply: created)
        }
    }

    /// The owner of an open volume is not asked: who has it open goes on, by birth.
    func rename(_ rename: VolumeRename, _ completion: @escaping AdministrationCompletion) {
        withVolume(VolumeReference(name: rename.name), completion) { volume in
            if let only = rename.onlyBirth, only != volume.birth {
                return completion(.failure(SheepError(.noSuchVolume, "volume \(volume.name) is another one by now")))
            }
            propose(.renameVolume(.init(volume: volume.birth, name: rename.newName)), completion) { _ in .done }
        }
    }

    private func created(_ birth: Birth?) -> AdministrationReply {
        guard let birth, let volume = control.state.volume(birth) else { return .done }
        return .created(VolumeCreated(birth: birth, vid: volume.vid))
    }

    // MARK: What the owner of an open volume does

    /// Commands on a working volume: done here when nobody holds its lease or this sheep does, else by the owner.
    ///
    /// A lease that changes hands meanwhile refuses the command or leaves it unanswered: then again, for two seconds.
    func administerOwned(
        _ request: AdministrationRequest, forwardedBy run: BootID?, until given: UInt64? = nil,
        completion: @escaping AdministrationCompletion
    ) {
        guard run == nil else { return administerOnce(request, forwardedBy: run, completion: completion) }
        let end = given ?? clock.now() + 2_000_000_000
        administerOnce(request, forwardedBy: nil) { [weak self] result in
            guard let self, case .failure(let error) = result, clock.now() < end,
                [.stale, .notOwner, .busy].contains(error.code) || error.code == .unavailable && request.mayBeRepeated
            else { return completion(result) }
            clock.schedule(after: 5 * NodeTiming.retry) { [weak self] in
                self?.administerOwned(request, forwardedBy: nil, until: end, completion: completion)
            }
        }
    }

    private func administerOnce(
        _ request: AdministrationRequest, forwardedBy run: BootID?, completion: @escaping AdministrationCompletion
    ) {
        if isOver(run) { return completion(.failure(Self.gatewayIsGone)) }
        let reference: VolumeReference
        switch request {
        case .volumeDelete(let delete): reference = delete.volume
        case .volumeSnapshot(let snapshot): reference = VolumeReference(name: snapshot.name)
        case .volumeRollback(let target): reference = VolumeReference(name: target.name)
        case .volumeResize(let resize): reference = VolumeReference(name: resize.name)
        case .volumeHandOver(let order): reference = VolumeReference(name: order.name)
        default: preconditionFailure("\(request) is no command on a working volume")
        }
        withVolume(reference, completion) { volume in
            if let owner = control.state.owner(of: volume.birth)?.owner, owner != identity {
                guard run == nil else { return completion(.failure(SheepError(.notOwner, "volume \(volume.name) is changing hands: try again"))) }
                guard network.isLinked(to: owner) else {
                    return completion(.failure(SheepError(.busy, "the owner of volume \(volume.name) is not within reach: try again")))
                }
                return network.send(.administer, body: request.wire, payload: nil, to: owner) { [weak self] result in
                    let reply = Self.administrationReply(result)
                    guard let self else { return completion(reply) }
                    // What the owner did is in the log; who asked looks for it here.
                    whenCurrent { completion(reply) }
                }
            }
            switch request {
            case .volumeDelete(let delete): self.delete(volume, delete, completion)
            case .volumeSnapshot(let snapshot): self.snapshot(volume, tag: snapshot.tag, for: run, completion)
            case .volumeRollback(let target): self.rollback(volume, to: target, for: run, completion)
            case .volumeResize(let resize):
                propose(
                    .resizeVolume(.init(volume: volume.birth, size: resize.size, term: term(of: volume.birth))), completion
                ) { _ in .done }
            case .volumeHandOver(let order): handOver(volume, to: order.owner, for: run, completion)
            default: preconditionFailure("refused above")
            }
        }
    }

    static func administrationReply(_ result: Result<PeerReply, SheepError>) -> Result<AdministrationReply, SheepError> {
        result.flatMap { reply in
            do throws(WireError) { return .success(try AdministrationReply(wire: reply.body)) } catch {
                return .failure(SheepError(.unknown, "the owner's answer cannot be read: \(error.text)"))
            }
        }
    }

    private func term(of birth: Birth) -> Term? {
        guard let lease = control.state.leases[birth], lease.owner == identity else { return nil }
        return lease.term
    }

    /// Who asked through that run was told that it failed, and went on through another one: nothing of it may be done any more.
    private func isOver(_ run: BootID?) -> Bool { run.map { !upBoots.contains($0) } ?? false }

    private static var gatewayIsGone: SheepError { SheepError(.stale, "the gateway that asked for it is gone") }

    /// As the volume's owner, which this sheep becomes if nobody is: holds new requests, lets those under way end, makes everything
    /// durable, then runs `order` with the birth and the term; refused after 5 s.
    ///
    /// Without an owner too something may be unsettled, of one that died: a birth is frozen only when its members are equal.
    private func whileQuiet(
        _ volume: VolumeRow, for run: BootID?, _ completion: @escaping AdministrationCompletion,
        order: @escaping (Birth, Term, @escaping AdministrationCompletion) -> Void
    ) {
        guard let session = session(for: volume.birth) else {
            return completion(.failure(SheepError(.readOnly, "volume \(volume.name) is a snapshot, or was deleted")))
        }
        var isOver = false
        var end: (() -> Void)?
        let finish: AdministrationCompletion = { result in
            guard !isOver else { return }
            isOver = true
            // Only what this order drained: while it waited for its turn another one may have.
            if case .failure = result, end != nil { session.resume() }
            completion(result)
            end?()
        }
        let limit = clock.schedule(after: NodeTiming.draining) {
            finish(.failure(SheepError(.busy, "volume \(volume.name): writes under way did not end within 5 seconds; try again")))
        }
        session.order { granted, ended in
            if isOver { return ended() }
            guard case .success(let term) = granted else { return finish(granted.map { _ in .done }) }
            end = ended
            // Most of the data becomes durable while writes go on; what is left for the pause is little.
            session.flush { _ in
                guard !isOver else { return }
                session.drain {
                    session.flush { error in
                        guard !isOver else { return }
                        if let error { return finish(.failure(error)) }
                        if self.isOver(run) { return finish(.failure(Self.gatewayIsGone)) }
                        // From here on the control log decides, however long it takes.
                        limit.cancel()
                        order(session.birth, term, finish)
                    }
                }
            }
        }
    }

    private func snapshot(_ volume: VolumeRow, tag: String, for run: BootID?, _ completion: @escaping AdministrationCompletion) {
        whileQuiet(volume, for: run, completion) { [self] frozenBirth, term, completion in
            control.propose(.snapshotVolume(.init(volume: frozenBirth, tag: tag, term: term))) { [self] result in
                switch result {
                case .volume(let birth):
                    guard let working = control.state.volume(birth), let frozen = control.state.volume(frozenBirth) else {
                        return completion(.success(.done))
                    }
                    let snapshot = SnapshotCreated(vid: frozen.vid, id: frozen.snapshotID)
                    completion(.success(.created(VolumeCreated(birth: birth, vid: working.vid, snapshot: snapshot))))
                case .refused(let error): completion(.failure(error))
                case .done, .lease: preconditionFailure("a snapshot gave \(result)")
                }
            }
        }
    }

    private func rollback(
        _ volume: VolumeRow, to reference: VolumeReference, for run: BootID?, _ completion: @escaping AdministrationCompletion
    ) {
        withVolume(reference, completion) { snapshot in
            guard snapshot.isFrozen else {
                return completion(.failure(SheepError(.noSuchSnapshot, "name a snapshot of \(volume.name) to roll back to")))
            }
            whileQuiet(volume, for: run, completion) { [self] birth, term, completion in
                control.propose(.rollbackVolume(.init(volume: birth, snapshot: snapshot.birth, term: term))) { [self] result in
                    switch result {
                    case .volume(let birth): completion(.success(created(birth)))
                    case .refused(let error): completion(.failure(error))
                    case .done, .lease: preconditionFailure("a rollback gave \(result)")
                    }
                }
            }
        }
    }

    /// Another sheep orders the volume's writes from now on.
    func handOver(_ volume: VolumeRow, to heir: NodeID, for run: BootID?, _ completion: @escaping AdministrationCompletion) {
        guard control.state.nodes[heir]?.isUp == true else {
            return completion(.failure(SheepError(.noSuchNode, "\(addresses([heir])) is not up; 'dog node list' tells who is")))
        }
        whileQuiet(volume, for: run, completion) { [self] birth, term, completion in
            let session = session(for: birth)
            if heir == identity {
                session?.resume()
                return completion(.success(.done))
            }
            // The heir need not do again what is on all members.
            session?.tellSettled()
            propose(.handOverLease(birth, identity, term, to: heir), completion) { _ in .done }
        }
    }

    private func delete(_ volume: VolumeRow, _ delete: VolumeDelete, _ completion: @escaping AdministrationCompletion) {
        if let only = delete.onlyBirth, only != volume.birth {
            return completion(.failure(SheepError(.noSuchVolume, "volume \(volume.name) is another one by now")))
        }
        if let lock = control.state.locks[volume.birth], !(delete.lockHolder.map(lock.owners.contains) ?? false) {
            return completion(.failure(SheepError(.volumeLocked, "volume \(volume.name) is locked by clients of \(addresses(lock.owners))")))
        }
        whenUnused(volume, completion) { [self] in
            propose(.deleteVolume(.init(volume: volume.birth, term: term(of: volume.birth))), completion) { _ in .done }
        }
    }

    /// Runs `action` if no client has the volume attached, here or at any other sheep that is up; what was attached at a dead one
    /// is forgotten with it. Who attaches while the others are asked finds the volume gone.
    private func whenUnused(_ volume: VolumeRow, _ completion: @escaping AdministrationCompletion, action: @escaping () -> Void) {
        guard volume.isWorking else { return action() }
        askAll(.volumeUse, body: VolumeUse(volume: volume.birth).wire, as: VolumeUse.self) { [self] answers in
            var users = answers.mapValues { Int($0.users) }
            users[identity] = self.users(of: volume.birth)
            let using = users.filter { $0.value > 0 }
            guard using.isEmpty else {
                let count = using.values.reduce(0, +)
                return completion(
                    .failure(
                        SheepError(
                            .volumeLocked,
                            "volume \(volume.name) is attached by \(count) client\(count == 1 ? "" : "s") of \(addresses(using.keys.sorted())): detach them first")))
            }
            let silent = control.state.nodes.values.filter { $0.isUp && users[$0.id] == nil }.map(\.id).sorted()
            guard silent.isEmpty else {
                return completion(
                    .failure(
                        SheepError(
                            .unavailable,
                            "\(addresses(silent)) does not say whether clients have volume \(volume.name) attached there: try again")))
            }
            action()
        }
    }

    /// Clients that have the volume attached at this sheep.
    func users(of birth: Birth) -> Int { sessions[birth]?.users ?? 0 }

    private func addresses(_ nodes: [NodeID]) -> String {
        nodes.map { control.state.nodes[$0]?.address.description ?? $0.description }.joined(separator: ", ")
    }

    // MARK: Lists

    func listVolumes(named name: String?, _ completion: @escaping AdministrationCompletion) {
        askAll(.usage, as: WireList<BirthUsage>.self) { [self] answers in
            var own: [Birth: UInt64] = [:]
            var shared: [Birth: UInt64] = [:]
            for usage in answers.values.flatMap(\.elements) + localUsage() {
                own[usage.birth, default: 0] += usage.own
                shared[usage.birth, default: 0] += usage.shared
            }
            let rows = control.state.volumes.filter { !$0.isDeleted && (name == nil || $0.name == name) }
                .sorted { ($0.name, $0.birth) < ($1.name, $1.birth) }
            completion(
                .success(
                    .volumes(
                        rows.map { row in
                            let size = UInt64(row.shift.objectSize)
                            return record(
                                row, usage: VolumeUsage(own: (own[row.birth] ?? 0) * size, shared: (shared[row.birth] ?? 0) * size))
                        })))
        }
    }

    func record(_ row: VolumeRow, usage: VolumeUsage?) -> SheepProtocol.VolumeRecord {
        let parent = row.parent.flatMap { control.state.volume($0) }
        return SheepProtocol.VolumeRecord(
            name: row.name, isSnapshot: row.isFrozen, snapshotID: row.isFrozen ? row.snapshotID : 0,
            tag: row.isFrozen ? row.tag : "", size: row.size, usage: usage, createdAt: row.createdAt,
            snapshotAt: row.snapshotAt ?? 0, vid: row.vid, birth: row.birth, parent: row.parent,
            isClone: row.parent != nil && (parent.map { $0.name != row.name && !$0.name.isEmpty } ?? true),
            copies: row.copies, objectShift: row.objectShift, attributeCount: UInt32(row.attributes.count),
            owner: control.state.owner(of: row.birth)?.owner)
    }

    /// Counts the objects whose group names this sheep as its first in-sync member, so that all counts add up.
    func localUsage() -> [BirthUsage] {
        guard let store else { return [] }
        let state = control.state
        var usage: [Birth: BirthUsage] = [:]
        for family in store.families {
            let members = state.volumesInFamily(family).compactMap { state.volume($0) }
            for index in Set(store.objects(inFamily: family, indices: 0..<(1 << 32)).map(\.name.index)) {
                let slot = ObjectSlot(family: family, index: index)
                for volume in members where replicaSet(of: slot.group, copies: volume.copies).inSync.first?.node == identity {
                    guard case .object(let name) = store.resolve(family: family, index: index, ancestry: ancestry(of: volume.birth)),
                        !volume.isDeleted || name.birth == volume.birth
                    else { continue }
                    var count = usage[volume.birth] ?? BirthUsage(birth: volume.birth, own: 0, shared: 0)
                    if name.birth == volume.birth { count.own += 1 } else { count.shared += 1 }
                    usage[volume.birth] = count
                }
            }
        }
        return usage.values.sorted { $0.birth < $1.birth }
    }

    // MARK: Attributes and locks

    func setAttribute(_ set: AttributeSet, _ completion: @escaping AdministrationCompletion) {
        withVolume(set.volume, completion) { volume in
            propose(
                .setAttribute(.init(volume: volume.birth, key: set.key, value: set.value, exclusive: set.exclusive)), completion
            ) { _ in .done }
        }
    }

    func getAttribute(_ get: AttributeGet, _ completion: @escaping AdministrationCompletion) {
        withVolume(get.volume, completion) { volume in
            guard let value = volume.attributes[get.key] else {
                return completion(.failure(SheepError(.noSuchAttribute, "volume \(volume.name) has no attribute \(get.key)")))
            }
            completion(.success(.attribute(value)))
        }
    }

    func listAttributes(_ reference: VolumeReference, _ completion: @escaping AdministrationCompletion) {
        withVolume(reference, completion) { volume in
            let keys = volume.attributes.map { AttributeKey(key: $0.key, valueLength: UInt32($0.value.count)) }
            completion(.success(.attributeKeys(keys.sorted { $0.key < $1.key })))
        }
    }

    func lockList() -> [SheepProtocol.LockRecord] {
        let state = control.state
        return state.locks.compactMap { birth, lock -> SheepProtocol.LockRecord? in
            guard let volume = state.volume(birth) else { return nil }
            let owners = lock.owners.compactMap { state.nodes[$0]?.address.description }
            return SheepProtocol.LockRecord(
                name: volume.name, snapshotID: volume.isFrozen ? volume.snapshotID : 0, tag: volume.tag, vid: volume.vid,
                isShared: lock.isShared, owners: owners)
        }.sorted { $0.name < $1.name }
    }

    func unlock(_ reference: VolumeReference, _ completion: @escaping AdministrationCompletion) {
        withVolume(reference, completion) { volume in
            propose(.unlockVolume(volume.birth, owner: nil), completion) { _ in .done }
        }
    }
}

extension AdministrationRequest {
    /// An owner whose answer is lost may have carried it out. Whatever it made, a second time is refused or changes nothing; but a second
    /// rollback undoes what was written since the first.
    fileprivate var mayBeRepeated: Bool { if case .volumeRollback = self { false } else { true } }
}
