import NIOCore
import ObjectModel
import ObjectStore
import SheepProtocol

/// One sheep's service to those that catch up: what changed, what it holds, and the bytes.
package final class RecoverySource<Env: NodeEnvironment> {
    unowned(unsafe) let node: SheepNode<Env>

    init(node: SheepNode<Env>) { self.node = node }

    func admit(
        boot: BootID, index: LogIndex, reply: @escaping PeerCompletion,
        accepted: @escaping (ObjectStore<Env.StoreDisk>) -> Void
    ) {
        guard boot == node.boot, let store = node.store else {
            return reply(.failure(SheepError(.stale, "the request was meant for an earlier run of \(node.name)")))
        }
        node.control.whenApplied(index) { accepted(store) }
    }

    func list(_ request: RecoveryListing, reply: @escaping PeerCompletion) {
        admit(boot: request.receiverBoot, index: request.logIndex, reply: reply) { [self] store in
            var slots: Set<ObjectSlot> = []
            let wanted = { (group: PlacementGroup) in request.firstGroup <= group.rawValue && group.rawValue <= request.lastGroup }
            for object in store.objects(changedSince: request.since, in: wanted) {
                slots.insert(ObjectSlot(family: object.name.family, index: object.name.index))
            }
            for removal in store.removals(since: request.since) where wanted(removal.name.group) {
                slots.insert(ObjectSlot(family: removal.name.family, index: removal.name.index))
            }
            slots.formUnion(node.recovery.startSlots(in: wanted))
            let noted = node.replica.noted { wanted($0.group) && !slots.contains($0) }
            let listed = RecoveryListing.Listed(slots: slots.sorted(), noted: noted)
            node.whenLeaseHeld { reply(.success(PeerReply(body: listed.wire))) }
        }
    }

    func slot(_ request: RecoverySlot, reply: @escaping PeerCompletion) {
        admit(boot: request.receiverBoot, index: request.logIndex, reply: reply) { [self] store in
            // What is done before the objects are looked at is in them; what is under way after that may be.
            let noted = node.replica.noted { $0 == request.slot }
            describe(request.slot, in: store, verify: request.verify) { [weak self] result in
                self?.node.whenLeaseHeld { [weak self] in
                    guard let unsettled = self?.node.replica.records(at: request.slot) else { return }
                    reply(result.map { PeerReply(body: RecoverySlot.Held(objects: $0, unsettled: unsettled, noted: noted).wire) })
                }
            }
        }
    }

    /// Everything that this sheep holds at a slot, with checksum tables.
    func describe(
        _ slot: ObjectSlot, in store: ObjectStore<Env.StoreDisk>, verify: Bool,
        completion: @escaping (Result<[SourceObject], SheepError>) -> Void
    ) {
        describe(store.births(family: slot.family, index: slot.index)[...], in: store, verify: verify, known: [], completion: completion)
    }

    private func describe(
        _ remaining: ArraySlice<StoredObject>, in store: ObjectStore<Env.StoreDisk>, verify: Bool,
        known: [SourceObject], completion: @escaping (Result<[SourceObject], SheepError>) -> Void
    ) {
        guard let next = remaining.first else { return completion(.success(known)) }
        let add: ([UInt32]) -> Void = { [self] table in
            let object = SourceObject(
                name: next.name, version: next.version, objectShift: next.objectShift.rawValue, isHole: next.isHole, table: table)
            describe(remaining.dropFirst(), in: store, verify: verify, known: known + [object], completion: completion)
        }
        if next.isHole { return add([]) }
        verified(next.name, in: store, wanted: verify) { error in
            if let error { return completion(.failure(error)) }
            store.table(of: next.name) { result in
                switch result {
                case .success(let table): add(table)
                case .failure(let error): completion(.failure(error))
                }
            }
        }
    }

    private func verified(
        _ name: ObjectName, in store: ObjectStore<Env.StoreDisk>, wanted: Bool, completion: @escaping (SheepError?) -> Void
    ) {
        guard wanted else { return completion(nil) }
        store.verify(name) { result in
            switch result {
            case .success(let bad) where bad.isEmpty: completion(nil)
            case .success(let bad): completion(SheepError(.damaged, "object \(name) has \(bad.count) damaged blocks, the first is \(bad[0])"))
            case .failure(let error): completion(error)
            }
        }
    }

    func read(_ request: RecoveryRead, reply: @escaping PeerCompletion) {
        admit(boot: request.receiverBoot, index: .zero, reply: reply) { [self] _ in
            let buffer = ByteBufferAllocator().buffer(capacity: request.ranges.reduce(0) { $0 + Int($1.length) })
            readNext(request.ranges[...], of: request.object, into: buffer) { [weak self] result in
                self?.node.whenLeaseHeld { reply(result.map { PeerReply(payload: $0) }) }
            }
        }
    }

    private func readNext(
        _ ranges: ArraySlice<RecoveryRead.Range>, of object: ObjectName, into buffer: consuming ByteBuffer,
        completion: @escaping (Result<ByteBuffer, SheepError>) -> Void
    ) {
        guard let range = ranges.first else { return completion(.success(buffer)) }
        node.replica.readObject(object, offset: Int(range.offset), length: Int(range.length), appendingTo: buffer) { [weak self] result in
            switch result {
            case .success(let buffer): self?.readNext(ranges.dropFirst(), of: object, into: buffer, completion: completion)
            case .failure(let failure): completion(.failure(failure.error))
            }
        }
    }

    func digest(_ request: RecoveryDigest, reply: @escaping PeerCompletion) {
        admit(boot: request.receiverBoot, index: .zero, reply: reply) { [self] store in
            store.digests(of: request.object, in: request.range.bytes) { [weak self] result in
                self?.node.whenLeaseHeld { reply(result.map { PeerReply(body: RecoveryDigests($0).wire) }) }
            }
        }
    }
}
