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
            mapObjects(of: volume, from: request.from, through: .max, limit: Int(max(1, request.limit))) { result in
                completion(result.map { .objectMap($0) })
            }
        }
    }

    /// The runs of objects with indices in `from...last` that a volume or snapshot shows, by the births they are of.
    package func mapObjects(
        of volume: VolumeRow, from: UInt32, through last: UInt32, limit: Int,
        completion: @escaping (Result<ObjectMap, SheepError>) -> Void
    ) {
        // Of one object its members tell, without all the others.
        if from == last {
            return mapNext([ObjectSlot(family: volume.family, index: from)], volume: volume, limit: limit, runs: [], completion: completion)
        }
        allSlots(of: [volume.family]) { [self] result in
            guard case .success(let slots) = result else { return completion(.failure(result.failure!)) }
            mapNext(
                slots.filter { from...last ~= $0.index }[...], volume: volume, limit: limit, runs: [], completion: completion)
        }
    }

    /// Objects that other sheep are asked for side by side.
    private static var mapWidth: Int { 64 }

    private func mapNext(
        _ slots: ArraySlice<ObjectSlot>, volume: VolumeRow, limit: Int, runs: [ObjectRun],
        completion: @escaping (Result<ObjectMap, SheepError>) -> Void
    ) {
        var (slots, runs) = (slots, runs)
        while let slot = slots.first {
            if runs.count > limit { break }
            guard holdsCurrent(slot, copies: volume.copies), let store else {
                return mapElsewhere(slots, volume: volume, limit: limit, runs: runs, completion: completion)
            }
            slots.removeFirst()
            if case .object(let name) = store.resolve(family: slot.family, index: slot.index, ancestry: ancestry(of: volume.birth)) {
                runs.extend(slot.index, vid: control.state.volume(name.birth)?.vid ?? volume.vid)
            }
        }
        let next = runs.count > limit ? runs[limit].first : nil
        completion(.success(ObjectMap(runs: Array(runs.prefix(limit)), next: next)))
    }

    /// Asks for the next of the slots at sheep that have them, then goes on with the others.
    private func mapElsewhere(
        _ slots: ArraySlice<ObjectSlot>, volume: VolumeRow, limit: Int, runs: [ObjectRun],
        completion: @escaping (Result<ObjectMap, SheepError>) -> Void
    ) {
        let asked = slots.prefix(Self.mapWidth)
        var shown = [VID?](repeating: nil, count: asked.count)
        var failure: SheepError?
        var remaining = asked.count + 1
        let done = { [self] in
            remaining -= 1
            guard remaining == 0 else { return }
            if let failure { return completion(.failure(failure)) }
            var runs = runs
            for (slot, vid) in zip(asked, shown) { if let vid { runs.extend(slot.index, vid: vid) } }
            mapNext(slots.dropFirst(asked.count), volume: volume, limit: limit, runs: runs, completion: completion)
        }
        for (place, slot) in asked.enumerated() {
            guard let member = replicaSet(of: slot.group, copies: volume.copies).inSync.first, let row = control.state.nodes[member.node] else {
                failure = SheepError(.unavailable, "object \(slot.index) has no copy in sync; see 'dog cluster info'")
                done()
                continue
            }
            describe(slot, at: row, verify: false) { [self] result in
                switch result {
                case .failure(let error): failure = failure ?? error
                case .success(let objects):
                    let top = ancestry(of: volume.birth).lazy.compactMap { birth in objects.first { $0.name.birth == birth } }.first
                    if let top, !top.isHole { shown[place] = control.state.volume(top.name.birth)?.vid ?? volume.vid }
                }
                done()
            }
        }
        done()
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

extension Array where Element == ObjectRun {
    fileprivate mutating func extend(_ index: UInt32, vid: VID) {
        if let last, last.vid == vid, last.first + last.count == index { self[count - 1].count += 1 } else {
            append(ObjectRun(first: index, count: 1, vid: vid))
        }
    }
}
