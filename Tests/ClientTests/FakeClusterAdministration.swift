import ObjectModel
import SheepProtocol

extension FakeCluster.State {
    mutating func administer(_ request: AdministrationRequest) throws -> AdministrationReply {
        requests.append(request)
        if let canned = canned[request] { return try canned.get() }
        if let refusal { throw refusal }
        switch request {
        case .volumeCreate(let create): return .created(try self.create(create))
        case .volumeDelete(let delete): volumes.remove(at: try index(of: delete.volume, onlyBirth: delete.onlyBirth))
        case .volumeList(let name): return .volumes(volumes.map(\.record).filter { name == nil || $0.name == name })
        case .volumeFind(let reference): return .volume(volumes[try index(of: reference)].record)
        case .volumeSnapshot(let snapshot): return .created(try self.snapshot(snapshot))
        case .volumeClone(let clone): return .created(try self.clone(clone))
        case .volumeResize(let resize):
            let place = try index(of: VolumeReference(name: resize.name))
            volumes[place].record.size = resize.size
        case .volumeHandOver(let order): volumes[try index(of: VolumeReference(name: order.name))].record.owner = order.owner
        case .volumeRename(let rename):
            _ = try index(of: VolumeReference(name: rename.name))
            guard !volumes.contains(where: { $0.record.name == rename.newName }) else { throw SheepError(.volumeExists, "") }
            for place in volumes.indices where volumes[place].record.name == rename.name {
                volumes[place].record.name = rename.newName
            }
        case .attributeSet(let set): try setAttribute(set)
        case .attributeGet(let get):
            guard let value = volumes[try index(of: get.volume)].attributes[get.key] else {
                throw SheepError(.noSuchAttribute, "")
            }
            return .attribute(value)
        case .attributeList(let reference):
            let attributes = volumes[try index(of: reference)].attributes
            return .attributeKeys(attributes.keys.sorted().map {
                AttributeKey(key: $0, valueLength: UInt32(attributes[$0]!.count))
            })
        case .clusterFormat, .clusterShutdown, .nodeKill, .nodeEnd, .nodeRemove, .lockUnlock: break
        default: throw SheepError(.notSupported, "nothing canned")
        }
        return .done
    }

    func index(of reference: VolumeReference, onlyBirth: Birth? = nil) throws -> Int {
        let named = volumes.indices.filter { volumes[$0].record.name == reference.name }
        guard !named.isEmpty else { throw SheepError(.noSuchVolume, "no volume \(reference.name)") }
        let found = named.first { place in
            let record = volumes[place].record
            return switch reference.selector {
            case .working: !record.isSnapshot
            case .id(let id): record.isSnapshot && record.snapshotID == id
            case .tag(let tag): record.isSnapshot && record.tag == tag
            }
        }
        guard let found else {
            throw SheepError(reference.selector == .working ? .noSuchVolume : .noSuchSnapshot, "")
        }
        guard onlyBirth == nil || onlyBirth == volumes[found].record.birth else { throw SheepError(.noSuchVolume, "") }
        return found
    }

    mutating func create(_ request: VolumeCreate, parent: Birth? = nil) throws -> VolumeCreated {
        if (try? index(of: VolumeReference(name: request.name))) != nil { throw SheepError(.volumeExists, "it exists") }
        lastBirth += 1
        let birth = Birth(rawValue: lastBirth)
        let vid = VID.preferred(for: request.name)
        volumes.append(.init(
            record: VolumeRecord(
                name: request.name, isSnapshot: false, snapshotID: 0, tag: "", size: request.size,
                usage: VolumeUsage(own: 0, shared: 0), createdAt: 1_700_000_000_000_000_000, snapshotAt: 0, vid: vid,
                birth: birth, parent: parent, isClone: parent != nil, copies: request.copies == 0 ? 3 : request.copies,
                objectShift: request.objectShift == 0 ? 22 : request.objectShift, attributeCount: 0, owner: nil)))
        return VolumeCreated(birth: birth, vid: vid)
    }

    private mutating func snapshot(_ request: VolumeSnapshot) throws -> VolumeCreated {
        let place = try index(of: VolumeReference(name: request.name))
        let reference = VolumeReference(name: request.name, selector: .tag(request.tag))
        if (try? index(of: reference)) != nil { throw SheepError(.snapshotExists, "") }
        lastBirth += 1
        var frozen = volumes[place]
        let id = UInt32(volumes.filter { $0.record.name == request.name && $0.record.isSnapshot }.count + 1)
        (frozen.record.isSnapshot, frozen.record.snapshotID, frozen.record.tag) = (true, id, request.tag)
        frozen.record.snapshotAt = 1_700_000_060_000_000_000
        volumes[place].record.parent = frozen.record.birth
        volumes[place].record.birth = Birth(rawValue: lastBirth)
        volumes[place].record.vid = VID(rawValue: frozen.record.vid.rawValue + 1)
        volumes.append(frozen)
        return VolumeCreated(
            birth: Birth(rawValue: lastBirth), vid: volumes[place].record.vid,
            snapshot: SnapshotCreated(vid: frozen.record.vid, id: id))
    }

    private mutating func clone(_ request: VolumeClone) throws -> VolumeCreated {
        let source = volumes[try index(of: request.source)]
        let created = try create(
            VolumeCreate(name: request.name, size: source.record.size), parent: source.record.birth)
        volumes[volumes.count - 1].units = source.units
        return created
    }

    private mutating func setAttribute(_ request: AttributeSet) throws {
        let place = try index(of: request.volume)
        let exists = volumes[place].attributes[request.key] != nil
        if request.exclusive && exists { throw SheepError(.attributeExists, "") }
        if request.value == nil && !exists { throw SheepError(.noSuchAttribute, "") }
        volumes[place].attributes[request.key] = request.value
    }
}
