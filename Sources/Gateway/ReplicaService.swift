// Invariants
// 1. Nothing is done for a sender that is behind: in term, group version, incarnation, or that means another run of this
//    sheep. A sender that is ahead waits until this sheep has caught up with the control log.
// 2. The node lease is looked at after the work and before the reply.
// 3. A frozen or deleted birth is never written.
import Cluster
import NIOCore
package import ObjectModel
import ObjectStore
import SheepProtocol

/// One sheep's service to the owners of volumes: changes, reads and flushes of its own replicas.
package final class ReplicaService<Env: NodeEnvironment> {
    enum Verdict {
        case accept
        case catchUp(LogIndex)
        case refuse(SheepError)
    }

    unowned(unsafe) let node: SheepNode<Env>
    private var windows: [Birth: UnsettledWindow] = [:]
    private var notes = ForwardedNotes<Env.StoreDisk>()
    var deviceReads = DeviceReads()
    /// The silent disk was told of, and made to leave; once until it answers.
    var (toldOfSilence, leftForSilence) = (false, false)
    package internal(set) var counters = ReplicaCounters()

    init(node: SheepNode<Env>, lostPower: Bool) {
        self.node = node
        guard let store = node.store else { return }
        if lostPower { store.forgetNotes() } else { notes = ForwardedNotes(in: store) }
    }

    var store: ObjectStore<Env.StoreDisk> {
        guard let store = node.store else { preconditionFailure("a gateway was sent a replica's request") }
        return store
    }

    // MARK: Refusals

    /// All reasons not to serve a request for a volume's data, in one place.
    private func verdict(_ context: ReplicaContext, from sender: NodeID, birth: Birth) -> Verdict {
        let needed = max(context.groupVersion, context.volumeEntry)
        if needed > node.control.appliedIndex { return .catchUp(needed) }
        guard node.store != nil else { return .refuse(SheepError(.notSupported, "\(node.name) is a gateway and holds no data")) }
        guard context.receiverBoot == node.boot else { return .refuse(stale("was meant for an earlier run of \(node.name)")) }
        guard node.incarnations[sender] == context.senderIncarnation else {
            return .refuse(stale("comes from a node that was called down"))
        }
        guard let volume = node.facts(of: birth) else {
            return .refuse(SheepError(.noSuchVolume, "volume \(birth) does not exist"))
        }
        guard volume.lastEntry <= context.volumeEntry else {
            return .refuse(stale("does not know of entry \(volume.lastEntry) on its volume"))
        }
        return .accept
    }

    func stale(_ what: String) -> SheepError { SheepError(.stale, "the request \(what)") }

    /// Runs `accepted` when the request is in order, perhaps after catching up with the log; else refuses it.
    func admit(
        _ context: ReplicaContext, from sender: NodeID, birth: Birth, refused: @escaping PeerCompletion,
        accepted: @escaping () -> Void
    ) {
        switch verdict(context, from: sender, birth: birth) {
        case .accept: accepted()
        case .refuse(let error):
            counters.refused += 1
            refused(.failure(error))
        case .catchUp(let index):
            node.control.whenApplied(index) { [weak self] in
                self?.admit(context, from: sender, birth: birth, refused: refused, accepted: accepted)
            }
        }
    }

    /// This sheep's standing in the group of an object: its set and whether it may serve reads of it.
    func isCurrent(_ slot: ObjectSlot, copies: UInt8, version: LogIndex) -> ReplicaSetCache.Entry? {
        let entry = node.replicas(of: slot.group, copies: copies)
        return entry.set.version <= version ? entry : nil
    }

    // MARK: Changes

    func change(_ change: ReplicaChange, payload: ByteBuffer, from sender: NodeID, reply: @escaping PeerCompletion) {
        guard change.kind != .write || payload.readableBytes == Int(change.length) else {
            return reply(.failure(SheepError(.invalidArgument, "a write of \(change.length) bytes brought \(payload.readableBytes)")))
        }
        admit(change.context, from: sender, birth: change.object.birth, refused: reply) { [self] in
            let volume = node.facts(of: change.object.birth)!
            if let refusal = changeRefusal(change, volume: volume) {
                counters.refused += 1
                return reply(.failure(refusal))
            }
            windows[change.context.volume, default: UnsettledWindow()].began(change)
            apply(change, payload: payload, shift: volume.shift, copies: volume.copies) { [self] error in
                ended(change, failed: error != nil)
                node.whenLeaseHeld {
                    if let error { reply(.failure(error)) } else { reply(.success(PeerReply())) }
                }
            }
        }
    }

    private func changeRefusal(_ change: ReplicaChange, volume: VolumeFacts) -> SheepError? {
        guard !volume.isFrozen, change.context.volume == change.object.birth else {
            return SheepError(.readOnly, "birth \(change.object.birth) is frozen; the volume goes on under another")
        }
        guard change.objectShift == volume.objectShift else {
            return SheepError(.invalidArgument, "volume \(volume.name) has objects of 2^\(volume.objectShift) bytes")
        }
        let slot = ObjectSlot(family: change.object.family, index: change.object.index)
        guard isCurrent(slot, copies: volume.copies, version: change.context.groupVersion) != nil else {
            return stale("does not know the present members of group \(slot.group)")
        }
        if let term = volume.leaseTerm, term > change.context.term {
            return stale("comes from a former owner of the volume")
        }
        guard windows[change.context.volume, default: UnsettledWindow()].admit(change.context.term) else {
            return stale("comes from a former owner of the volume")
        }
        return nil
    }

    /// Puts a change into the local objects. The owner's own replica comes here directly.
    func apply(
        _ change: ReplicaChange, payload: ByteBuffer, shift: ObjectShift, copies: UInt8,
        completion: @escaping (SheepError?) -> Void
    ) {
        counters.changes += 1
        let slot = ObjectSlot(family: change.object.family, index: change.object.index)
        let partial = !node.recovery.isComplete(slot, copies: copies)
        let told = completion
        let durable = (change.durable || node.options.alwaysDurable) && !node.options.neverSyncs
        let ancestry = partial ? [change.object.birth] : node.ancestry(of: change.object.birth)
        let note = change.origin == nil ? nil : notes.begin(change, in: store) { signs(of: change, payload, ancestry) }
        let completion = { [weak self] (error: SheepError?) in
            if partial, let error { self?.node.recovery.failed(slot, change, error) }
            guard change.origin != nil, let self else { return told(error) }
            if error == nil { return noted(change, slot: note, durable: durable, told) }
            notes.failed(slot: note, in: store)
            told(error)
        }
        if partial { node.recovery.touched(slot, change) }
        let syncsAtOnce = durable && change.origin == nil
        let version = change.context.groupVersion
        switch change.kind {
        case .write:
            var done = completion
            if !store.hasObject(change.object) {
                // It hides its ancestors' objects: a deleted one of them may be nobody's now. And while it was being made the group
                // may have gone to other sheep.
                done = { [weak self] error in
                    completion(error)
                    self?.node.garbage.made(change.object)
                }
            }
            payload.withUnsafeReadableBytes { bytes in
                store.write(
                    change.object, objectShift: shift, ancestry: ancestry, version: version,
                    at: Int(change.offset), from: bytes, copyOnWrite: !partial, durable: syncsAtOnce, completion: done)
            }
        case .trim, .zero:
            let mayMake = !store.hasObject(change.object)
            store.zero(
                change.object, objectShift: shift, ancestry: ancestry, version: version,
                at: Int(change.offset), length: Int(change.length), deallocate: change.kind == .trim, durable: syncsAtOnce,
                completion: { [weak self] error in
                    completion(error)
                    if mayMake { self?.node.garbage.made(change.object) }
                    if !mayMake, error == nil, change.kind == .trim { self?.node.garbage.changed(slot) }
                })
        }
    }

    /// The change is in its object, and is noted before it is durable: whoever reads it here from now on finds the note as well.
    private func noted(_ change: ReplicaChange, slot: Int?, durable: Bool, _ completion: @escaping (SheepError?) -> Void) {
        notes.done(change, slot: slot, in: store)
        if durable { store.flush(change.object, completion) } else { completion(nil) }
    }

    private func signs(of change: ReplicaChange, _ payload: ByteBuffer, _ ancestry: [Birth]) -> ForwardedNote.Signs {
        let slot = ObjectSlot(family: change.object.family, index: change.object.index)
        let inherited = store.resolve(family: slot.family, index: slot.index, ancestry: Array(ancestry.dropFirst()))
        let isNothing = if case .object = inherited { false } else { true }
        let isInOrder = store.writesInOrder(change.object, at: Int(change.offset), length: Int(change.length))
        return ForwardedNote.Signs(of: change.kind, payload, isInOrder: isInOrder, readsAsZerosWhenAbsent: isNothing)
    }

    /// To be called before this run is up, while nobody else changes anything: looks whether what the former run had begun is in its object.
    func decideNotes(completion: @escaping () -> Void) {
        while let begun = notes.begun.first {
            // Most are in memory, and there may be thousands: no call within the other.
            var (isDecided, hasReturned) = (false, false)
            look(for: begun) { [self] memory in
                notes.decide(begun, memory, in: store)
                isDecided = true
                if hasReturned { decideNotes(completion: completion) }
            }
            hasReturned = true
            if !isDecided { return }
        }
        completion()
    }

    /// What begins as the change would have left it may have been done in part, and so may what cannot be read.
    private func look(for begun: ForwardedNotes<Env.StoreDisk>.Begun, answer: @escaping (ReplicaRecall.Memory) -> Void) {
        let (record, signs) = (begun.change.record, begun.signs)
        let judge = { (bytes: ByteBuffer) -> ReplicaRecall.Memory in
            if signs.areShown(by: bytes, of: record.kind) { return .done }
            return signs.mayBeBegun(in: bytes, of: record.kind) ? .inPart : .notDone
        }
        guard store.object(record.object) != nil else {
            let isDone = signs.readsAsZerosWhenAbsent && judge(ByteBuffer(repeating: 0, count: Int(record.length))) == .done
            return answer(isDone ? .done : .notDone)
        }
        readObject(record.object, offset: Int(record.offset), length: Int(record.length), appendingTo: ByteBuffer()) { result in
            answer((try? result.get()).map(judge) ?? .inPart)
        }
    }

    // MARK: Flush, gather, settle

    func flush(_ request: ReplicaFlush, from sender: NodeID, reply: @escaping PeerCompletion) {
        admit(request.context, from: sender, birth: request.context.volume, refused: reply) { [self] in
            flushLocally(request.context.volume) { [weak self] error in
                self?.node.whenLeaseHeld {
                    if let error { reply(.failure(error)) } else { reply(.success(PeerReply())) }
                }
            }
        }
    }

    func flushLocally(_ volume: Birth, completion: @escaping (SheepError?) -> Void) {
        counters.flushes += 1
        if node.options.neverSyncs { return completion(nil) }
        store.flush([volume], completion: completion)
    }

    func gather(_ request: ReplicaGather, from sender: NodeID, reply: @escaping PeerCompletion) {
        admit(request.context, from: sender, birth: request.context.volume, refused: reply) { [self] in
            gatherLocally(request.context.volume, term: request.context.term) { records in
                if let records { reply(.success(PeerReply(body: WireList(records).wire))) } else {
                    reply(.failure(SheepError(.stale, "the gather comes from a former owner of the volume")))
                }
            }
        }
    }

    /// Raises the volume's term here and tells what is unsettled; nil when the term is outdated.
    func gatherLocally(_ volume: Birth, term: Term, answer: @escaping ([UnsettledRecord]?) -> Void) {
        guard windows[volume, default: UnsettledWindow()].admit(term) else { return answer(nil) }
        // Answered outside of the window: what is done with the answer may come back to it.
        if let records = windows[volume]!.gather(answer) { answer(records) }
    }

    private func ended(_ change: ReplicaChange, failed: Bool) {
        guard let gathers = windows[change.context.volume]?.ended(change, failed: failed), !gathers.isEmpty else { return }
        let records = windows[change.context.volume]!.all
        for answer in gathers { answer(records) }
    }

    func settled(_ notice: ReplicaSettled) {
        if notice.settled > .zero { windows[notice.volume]?.settle(upTo: notice.settled, in: notice.term) } else {
            windows[notice.volume]?.opened(notice.term)
        }
        guard notes.has(notice.volume) else { return }
        // Notes of former terms are in no order with what is settled now: they wait for their gateways.
        let seen = Dictionary(notice.repliesSeen.map { ($0.boot, $0.below) }) { max($0, $1) }
        notes.remove(notice.volume, from: store) { record in
            record.term == notice.term && record.sequence <= notice.settled
                || record.origin.map { $0.request < seen[$0.boot, default: 0] } ?? true
        }
    }

    // MARK: What a gateway may send once more

    package func hasNotes(of volume: Birth) -> Bool { notes.has(volume) }
    package func hasNotesInPart(of volume: Birth) -> Bool { notes.records(of: volume).contains(where: \.isPartial) }
    /// Nothing is left of the former run that might be done or not.
    package var hasDecidedNotes: Bool { notes.begun.isEmpty }

    func recall(_ request: ReplicaRecall, from sender: NodeID, reply: @escaping PeerCompletion) {
        admit(request.context, from: sender, birth: request.context.volume, refused: reply) { [self] in
            recallLocally(request.origin, of: request.context.volume, durable: request.durable) { [weak self] result in
                self?.node.whenLeaseHeld { reply(result.map { PeerReply(body: $0.wire) }) }
            }
        }
    }

    func recallLocally(
        _ origin: ChangeOrigin, of volume: Birth, durable: Bool, answer: @escaping (Result<ReplicaRecall.Memory, SheepError>) -> Void
    ) {
        let memory = notes.memory(of: origin)
        guard durable || node.options.alwaysDurable else { return answer(.success(memory)) }
        flushLocally(volume) { error in answer(error.map { .failure($0) } ?? .success(memory)) }
    }

    /// Of groups that this sheep is in sync for, for those that copy them.
    func noted(at isWanted: (ObjectSlot) -> Bool) -> [ReplicaRecord] {
        var noted: [ReplicaRecord] = []
        for volume in notes.volumes {
            guard let copies = node.facts(of: volume)?.copies else { continue }
            for record in notes.records(of: volume) where isWanted(ObjectSlot(family: record.object.family, index: record.object.index)) {
                guard node.replicas(of: record.object.group, copies: copies).isCurrentHere else { continue }
                noted.append(ReplicaRecord(volume: volume, record: record))
            }
        }
        return noted
    }

    /// It is in this sheep's objects too, as it is in their source's. False: one of both does not know some volume yet, or no more.
    func learn(_ changes: [ReplicaRecord]) -> Bool {
        guard changes.allSatisfy({ node.facts(of: $0.volume) != nil }) else { return false }
        for change in changes { notes.add(change, to: store) }
        return true
    }

    /// That run is over, and repeats nothing.
    func forget(gateway boot: BootID) {
        for volume in notes.volumes { notes.remove(volume, from: store) { $0.origin?.boot == boot } }
    }

    /// This run is up: what a former one noted of runs that are gone is of no use.
    func joined() {
        for volume in notes.volumes { notes.remove(volume, from: store) { [node] in !node.upBoots.contains($0.origin!.boot) } }
    }

    // MARK: Control log

    /// The membership changed: what is not settled counts as changed under the new version, so that a member which
    /// left in the middle of it looks at it when it returns.
    func membershipChanged(_ index: LogIndex) {
        guard let store = node.store else { return }
        let names = Set(windows.values.flatMap(\.objects) + node.ownChanges.map(\.object))
        for name in names.sorted() { store.touch(name, version: index) }
    }

    /// Changes of a slot's objects that some member may lack.
    func unsettled(at slot: ObjectSlot) -> [UnsettledRecord] {
        windows.sorted { $0.key < $1.key }.flatMap(\.value.all).filter { $0.object.family == slot.family && $0.object.index == slot.index }
            + node.ownChanges.filter { $0.object.family == slot.family && $0.object.index == slot.index }
    }

    /// The same, with their volumes.
    func records(at slot: ObjectSlot) -> [ReplicaRecord] {
        let isThere = { (record: UnsettledRecord) in record.object.family == slot.family && record.object.index == slot.index }
        return windows.sorted { $0.key < $1.key }.flatMap { volume, window in
            window.all.filter(isThere).map { ReplicaRecord(volume: volume, record: $0) }
        } + node.ownChanges.filter(isThere).map { ReplicaRecord(volume: $0.object.birth, record: $0) }
    }

    /// An object was copied from a member with these records.
    func inherit(_ records: [ReplicaRecord]) {
        for one in records where node.facts(of: one.volume) != nil {
            windows[one.volume, default: UnsettledWindow()].inherit(one.record)
            notes.inherit(one, to: store)
        }
    }

    /// Volumes of which some member may lack a change.
    var unsettledVolumes: [Birth] { windows.filter { !$0.value.all.isEmpty }.keys.sorted() }

    /// Before the first change that comes to this disk as a syncing member of these groups: of volumes of some numbers of copies. What it
    /// has of others, for which it is in sync in the same group, stays.
    func beganSyncing(_ ranges: [GroupRange]) {
        for birth in Set(windows.keys).union(notes.volumes) {
            guard let copies = node.facts(of: birth)?.copies else { continue }
            let isOutdated = { [node] (group: PlacementGroup) in
                ranges.contains { $0.contains(group) } && !node.replicas(of: group, copies: copies).isCurrentHere
            }
            windows[birth]?.forget(where: isOutdated)
            if notes.has(birth) { notes.remove(birth, from: store) { isOutdated($0.object.group) } }
        }
    }

    /// Some change in the region is not on all members for certain: its intent stays.
    func hasUnsettled(in region: ListedRegion) -> Bool {
        windows[region.birth]?.all.contains { ListedRegion($0.object) == region } ?? false
            || node.isChanging(region)
    }

    /// The birth is gone: its owner drained it first, so nothing of it is unsettled. A note that is still filed under a snapshot is of the
    /// volume that went on from there.
    func forget(_ birth: Birth) {
        windows[birth] = nil
        if notes.has(birth), node.facts(of: birth)?.isFrozen != true { notes.remove(birth, from: store) }
    }

    /// The volume goes on under another birth: all members have all changes. Those that another gateway forwarded may be asked for
    /// once more as long as it has not told that it knows.
    func move(from old: Birth, to new: Birth) {
        if notes.has(old) { notes.move(from: old, to: new, in: store) }
        guard var window = windows.removeValue(forKey: old) else { return }
        window.keepForwarded()
        windows[new] = window
    }
}

/// What a replica counted since its start.
package struct ReplicaCounters: Hashable, Sendable {
    package var changes: UInt64 = 0
    package var reads: UInt64 = 0
    package var flushes: UInt64 = 0
    package var refused: UInt64 = 0
    package var failedReads: UInt64 = 0
}
