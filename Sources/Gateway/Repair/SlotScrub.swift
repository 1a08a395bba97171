import ObjectModel
import ObjectStore
import SheepProtocol

extension RecoverySource {
    /// One sheep's part in a check or scrub of a slot.
    func scrub(_ request: ScrubSlot, reply: @escaping PeerCompletion) {
        admit(boot: request.receiverBoot, index: request.logIndex, reply: reply) { [self] store in
            summarize(request.slot, in: store, verify: request.verify, outvoted: request.outvoted) { [weak self] summary in
                self?.node.whenLeaseHeld { reply(.success(PeerReply(body: summary.wire))) }
            }
        }
    }

    /// Reads the slot's objects, repairs what is damaged, then tells what is there.
    func summarize(
        _ slot: ObjectSlot, in store: ObjectStore<Env.StoreDisk>, verify: Bool, outvoted: [ObjectName],
        completion: @escaping (SlotSummary) -> Void
    ) {
        let objects = store.births(family: slot.family, index: slot.index)
        guard outvoted.isEmpty else {
            return node.repairer.rebuild(outvoted) { [self] outcome in
                describe(objects[...], slot, in: store, SlotSummary(lost: outcome == .lost ? 1 : 0, isBusy: true), completion)
            }
        }
        guard verify else { return describe(objects[...], slot, in: store, SlotSummary(), completion) }
        self.verify(objects.filter { !$0.isHole }[...], SlotSummary()) { [self] summary in
            describe(store.births(family: slot.family, index: slot.index)[...], slot, in: store, summary, completion)
        }
    }

    private func verify(
        _ objects: ArraySlice<StoredObject>, _ summary: SlotSummary, _ completion: @escaping (SlotSummary) -> Void
    ) {
        guard let object = objects.first else { return completion(summary) }
        node.repairer.repair(object.name) { [self] outcome in
            var summary = summary
            summary.bytesRead += UInt64(object.objectShift.objectSize)
            switch outcome {
            case .sound: break
            case .mended: summary.repaired += 1
            case .rebuilding: summary.isBusy = true
            case .lost: summary.lost += 1
            }
            verify(objects.dropFirst(), summary, completion)
        }
    }

    private func describe(
        _ objects: ArraySlice<StoredObject>, _ slot: ObjectSlot, in store: ObjectStore<Env.StoreDisk>,
        _ summary: SlotSummary, _ completion: @escaping (SlotSummary) -> Void
    ) {
        var summary = summary
        guard let object = objects.first else {
            summary.unsettled = node.replica.unsettled(at: slot)
            summary.isBusy = summary.isBusy || node.repairer.isRebuilding(slot)
            return completion(summary)
        }
        let add: ([UInt32]) -> Void = { [self] table in
            summary.objects.append(
                SourceObject(
                    name: object.name, version: object.version, objectShift: object.objectShift.rawValue,
                    isHole: object.isHole, table: table))
            describe(objects.dropFirst(), slot, in: store, summary, completion)
        }
        if object.isHole { return add([]) }
        store.table(of: object.name) { [self] result in
            if case .success(let table) = result { return add(table) }
            describe(objects.dropFirst(), slot, in: store, summary, completion)
        }
    }
}
