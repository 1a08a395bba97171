import Cluster
package import ObjectModel
import ObjectStore
package import SheepProtocol

extension SheepNode {
    /// Which nodes have the object that a volume shows at an index, and where placement wants it.
    func locate(_ request: ObjectLocationRequest, _ completion: @escaping AdministrationCompletion) {
        withVolume(request.volume, completion) { volume in
            let slot = ObjectSlot(family: volume.family, index: request.index)
            let set = replicaSet(of: slot.group, copies: volume.copies)
            var found: [NodeID: [ObjectName]] = [:]
            let storing = nodeList().filter { $0.row.isUp && !$0.row.isGateway }
            var remaining = storing.count + 1
            let done = { [self] in
                remaining -= 1
                guard remaining == 0 else { return }
                let ancestry = self.ancestry(of: volume.birth)
                let shown = ancestry.first { birth in found.values.contains { $0.contains { $0.birth == birth } } }
                let presences = storing.compactMap { entry -> NodePresence? in
                    guard let names = found[entry.row.id] else { return nil }
                    return NodePresence(
                        address: entry.row.address.description, hasObject: names.contains { $0.birth == shown })
                }
                let placed = (set.inSync + set.syncing + set.out).compactMap { control.state.nodes[$0.node]?.address.description }
                completion(
                    .success(
                        .objectLocation(
                            ObjectLocation(
                                vid: shown.flatMap { control.state.volume($0)?.vid }, copies: volume.copies,
                                nodes: presences, placed: placed))))
            }
            for entry in storing {
                describe(slot, at: entry.row, verify: false) { result in
                    if case .success(let objects) = result { found[entry.row.id] = objects.filter { !$0.isHole }.map(\.name) }
                    done()
                }
            }
            done()
        }
    }

    /// What one node holds at a slot.
    func describe(
        _ slot: ObjectSlot, at row: NodeRow, verify: Bool, completion: @escaping (Result<[SourceObject], SheepError>) -> Void
    ) {
        if row.id == identity {
            guard let store else { return completion(.success([])) }
            return source.describe(slot, in: store, verify: verify, completion: completion)
        }
        let request = RecoverySlot(receiverBoot: row.boot, logIndex: control.state.appliedIndex, slot: slot, verify: verify)
        network.send(.recoverySlot, body: request.wire, payload: nil, to: row.id) { result in
            completion(result.flatMap { reply in
                do throws(WireError) { return .success(try RecoverySlot.Held(wire: reply.body).objects) } catch {
                    return .failure(SheepError(.unknown, "the answer of \(row.address) cannot be read: \(error.text)"))
                }
            })
        }
    }

    /// The slots of some families, or all, that any node holds; ascending.
    func allSlots(of families: Set<Family>?, completion: @escaping (Result<[ObjectSlot], SheepError>) -> Void) {
        var slots: Set<ObjectSlot> = []
        var failure: SheepError?
        let storing = nodeList().map(\.row).filter { $0.isUp && !$0.isGateway }
        var remaining = storing.count + 1
        let done = {
            remaining -= 1
            guard remaining == 0 else { return }
            if let failure { completion(.failure(failure)) } else { completion(.success(slots.sorted())) }
        }
        for row in storing {
            if row.id == identity {
                for family in store?.families ?? [] where families?.contains(family) ?? true {
                    for object in store!.objects(inFamily: family, indices: 0..<(1 << 32)) {
                        slots.insert(ObjectSlot(family: family, index: object.name.index))
                    }
                }
                done()
                continue
            }
            let request = RecoveryListing(
                receiverBoot: row.boot, logIndex: control.state.appliedIndex, since: .zero, firstGroup: 0, lastGroup: .max)
            network.send(.recoveryListing, body: request.wire, payload: nil, to: row.id) { result in
                switch result.flatMap({ reply -> Result<RecoveryListing.Listed, SheepError> in
                    do throws(WireError) { return .success(try RecoveryListing.Listed(wire: reply.body)) } catch {
                        return .failure(SheepError(.unknown, "the answer of \(row.address) cannot be read: \(error.text)"))
                    }
                }) {
                case .success(let list): for slot in list.slots where families?.contains(slot.family) ?? true { slots.insert(slot) }
                case .failure(let error): failure = error
                }
                done()
            }
        }
        done()
    }

    /// The runs of objects that a volume shows, by the births they are of.
    func mapObjects(_ request: ObjectMapRequest, _ completion: @escaping AdministrationCompletion) {
        withVolume(request.volume, completion) { volume in
            mapObjects(of: volume, from: request.from, through: request.through, limit: Int(max(1, request.limit))) { result in
                completion(result.map { .objectMap($0) })
            }
        }
    }

    /// The runs of objects with indices in `from...last` that a volume or snapshot shows, by the births they are of; those after `limit`
    /// are left for the next question. Fails where a group of theirs has no copy in sync.
    package func mapObjects(
        of volume: VolumeRow, from: UInt32, through last: UInt32, limit: Int,
        completion: @escaping (Result<ObjectMap, SheepError>) -> Void
    ) {
        let count = (volume.size + UInt64(volume.shift.objectSize) - 1) / UInt64(volume.shift.objectSize)
        guard from <= last, UInt64(from) < count else { return completion(.success(ObjectMap(runs: [], next: nil))) }
        let end = UInt32(clamping: min(UInt64(last), count - 1))
        ObjectMapper(node: self, volume: volume, through: end, limit: limit, completion: completion).map(from: from)
    }
}

extension Result {
    var failure: Failure? {
        switch self {
        case .success: nil
        case .failure(let error): error
        }
    }
}
