import Cluster
import FrontendKit
import Gateway
import NIOCore
import ObjectModel
import ObjectStore
import SheepProtocol
import iSCSIBackingStoreFrontend

extension VolumeDevice: SheepdogDevice {}

/// The gateway's volumes and cluster as the front-end for Sheepdog's own clients wants them.
final class GatewayVolumes<Env: NodeEnvironment>: SheepdogVolumes {
    typealias Device = VolumeDevice<Env>

    private let node: SheepNode<Env>
    private let directory: VolumeDirectory<Env>
    private let store: String

    init(node: SheepNode<Env>, directory: VolumeDirectory<Env>, store: String) {
        (self.node, self.directory, self.store) = (node, directory, store)
    }

    var revision: UInt64 { node.revision }

    var readiness: SheepdogReadiness {
        // Of a former shutdown the log tells until a new run has joined.
        guard node.isServing else { return .waitingForNodes }
        if node.control.state.isShutDown { return .shuttingDown }
        if node.refusal == nil { return .serving }
        return .waitingForFormat
    }

    func whenCurrent(_ action: @escaping () -> Void) { node.whenCurrent(action) }

    // MARK: The cluster

    var cluster: SheepdogCluster {
        let state = node.control.state
        var cluster = SheepdogCluster()
        if let record = state.cluster {
            (cluster.createdAt, cluster.copies) = (record.createdAt, record.copies)
            (cluster.objectShift, cluster.flags) = (record.objectShift, record.flags)
        }
        cluster.epochs = state.epochs.reversed().map { epoch in
            let nodes = epoch.members.map { member in
                SheepdogNode(
                    host: member.address.host, port: member.address.port, virtualNodes: UInt16(clamping: member.virtualNodes),
                    zone: member.zone)
            }
            return SheepdogEpoch(
                epoch: UInt32(truncatingIfNeeded: epoch.epoch.rawValue), time: epoch.time, nodes: nodes.byAddress)
        }
        return cluster
    }

    var nodes: [SheepdogNode] {
        let state = node.control.state
        let placed = state.epochs.last?.members ?? []
        return state.nodes.values.filter(\.isUp).map { row in
            let weight = row.isGateway ? 0 : placed.first { $0.node == row.id }?.virtualNodes ?? UInt32(row.virtualNodes ?? 128)
            return described(row, virtualNodes: weight)
        }.byAddress
    }

    private func described(_ row: NodeRow, virtualNodes: UInt32) -> SheepdogNode {
        SheepdogNode(
            host: row.address.host, port: row.address.port, virtualNodes: UInt16(clamping: virtualNodes), zone: row.zone,
            space: row.diskIDs.reduce(0) { $0 + (node.control.state.disks[$1]?.capacity ?? 0) },
            data: row.dataAddress.map { .init(host: $0.host, port: $0.port) })
    }

    var locks: [VID: SheepdogLock] {
        let state = node.control.state
        var locks: [VID: SheepdogLock] = [:]
        for (birth, lock) in state.locks {
            guard let volume = state.volume(birth) else { continue }
            let owners = lock.owners.compactMap { state.nodes[$0] }.map { described($0, virtualNodes: UInt32($0.virtualNodes ?? 128)) }
            locks[volume.vid] = SheepdogLock(isShared: lock.isShared, owners: owners)
        }
        return locks
    }

    var space: (path: String, total: UInt64, free: UInt64) {
        guard let space = try? node.store?.space() else { return (store, 0, 0) }
        return (store, space.total, space.free)
    }

    // MARK: Volumes

    private func described(_ row: VolumeRow) -> SheepdogVolume {
        let state = node.control.state
        let heir = row.isDeleted ? state.livingHeir(of: row.birth) : nil
        return SheepdogVolume(
            vid: row.vid, birth: row.birth, family: row.family, state: Self.state(of: row, heir: heir?.record), name: row.name,
            tag: row.tag, snapshotID: row.snapshotID, createdAt: row.createdAt, snapshotAt: row.snapshotAt ?? 0, size: row.size,
            objectShift: row.shift, copies: row.copies, parent: row.parent.flatMap { state.volume($0)?.vid },
            heir: heir.flatMap { row.isSnapshot && !$0.wasRolledBack ? $0.record.vid : nil })
    }

    private static func state(of row: VolumeRow, heir: VolumeRow?) -> SheepdogVolume.State {
        if row.isWorking { return .working }
        guard row.isDeleted else { return .snapshot }
        return heir.map { .replaced(by: $0.name) } ?? .deleted
    }

    func volume(_ vid: VID) -> SheepdogVolume? { node.control.state.volume(vid).map(described) }
    func volume(named name: String) -> SheepdogVolume? { node.control.state.volume(named: name).map(described) }
    func snapshots(ofVolumeNamed name: String) -> [SheepdogVolume] {
        node.control.state.snapshots(ofVolumeNamed: name).map(described)
    }

    var allVolumes: [SheepdogVolume] {
        let state = node.control.state
        return (state.volumes + state.deletedVolumes).map(described)
    }

    func open(_ volume: SheepdogVolume) throws(SheepError) -> VolumeDevice<Env> { try directory.open(volume.birth) }

    func objects(
        of volume: SheepdogVolume, indices: Range<UInt32>, completion: @escaping (Result<[SlotRun], SheepError>) -> Void
    ) {
        guard let row = node.control.state.volume(volume.birth), let last = indices.last else { return completion(.success([])) }
        node.mapObjects(of: row, from: indices.lowerBound, through: last, limit: .max) { [self] result in
            let living = livingOwners(volume)
            completion(result.map { $0.runs.map { SlotRun(first: $0.first, count: $0.count, vid: living[$0.vid] ?? $0.vid) } })
        }
    }

    /// Of the volume's ancestors that are deleted, the oldest living one below each: it shows what they left, and may be read.
    private func livingOwners(_ volume: SheepdogVolume) -> [VID: VID] {
        let state = node.control.state
        var (owners, youngest): ([VID: VID], VID) = ([:], volume.vid)
        for record in state.ancestry(of: volume.birth).compactMap({ state.volume($0) }) {
            if record.isDeleted { owners[record.vid] = youngest } else { youngest = record.vid }
        }
        return owners
    }

    func keepDiscarded(ofVolumeNamed name: String) {
        if let family = node.control.state.volume(named: name)?.family { node.forgetDelayedTrims(of: family) }
    }

    // MARK: Changes

    func create(
        name: String, size: UInt64, copies: UInt8, objectShift: UInt8,
        completion: @escaping (Result<SheepdogVolume, SheepError>) -> Void
    ) {
        propose(.createVolume(.init(name: name, size: size, copies: copies, objectShift: objectShift)), completion)
    }

    func clone(
        _ snapshot: SheepdogVolume, name: String, copies: UInt8,
        completion: @escaping (Result<SheepdogVolume, SheepError>) -> Void
    ) {
        propose(.cloneVolume(.init(source: snapshot.birth, name: name, copies: copies)), completion)
    }

    private func propose(_ order: ControlOrder, _ completion: @escaping (Result<SheepdogVolume, SheepError>) -> Void) {
        node.control.propose(order) { [self] result in
            switch result {
            case .volume(let birth): completion(described(birth))
            case .refused(let error): completion(.failure(error))
            case .done, .lease: preconditionFailure("\(order) gave \(result)")
            }
        }
    }

    private func described(_ birth: Birth) -> Result<SheepdogVolume, SheepError> {
        guard let row = node.control.state.volume(birth) else {
            return .failure(SheepError(.noSuchVolume, "the volume of birth \(birth) is gone already"))
        }
        return .success(described(row))
    }

    func snapshot(
        _ volume: SheepdogVolume, tag: String, completion: @escaping (Result<SheepdogVolume, SheepError>) -> Void
    ) {
        node.administer(.volumeSnapshot(VolumeSnapshot(name: volume.name, tag: tag))) { [self] result in
            switch result {
            case .failure(let error): completion(.failure(error))
            case .success(.created(let created)): completion(described(created.birth))
            case .success: completion(self.volume(named: volume.name).map { .success($0) } ?? .failure(Self.gone(volume)))
            }
        }
    }

    private static func gone(_ volume: SheepdogVolume) -> SheepError {
        SheepError(.noSuchVolume, "volume \(volume.name) does not exist any more")
    }

    /// Refused where another sheep's clients have the lock, or other front-ends' clients have it open.
    func delete(_ volume: SheepdogVolume, completion: @escaping (SheepError?) -> Void) {
        let selector: VolumeReference.Selector = volume.isWorking ? .working : .id(volume.snapshotID)
        let order = VolumeDelete(volume: VolumeReference(name: volume.name, selector: selector), onlyBirth: volume.birth, lockHolder: node.identity)
        node.administer(.volumeDelete(order)) { completion(Self.error(of: $0)) }
    }

    func resize(_ volume: SheepdogVolume, to size: UInt64, completion: @escaping (SheepError?) -> Void) {
        node.administer(.volumeResize(VolumeResize(name: volume.name, size: size))) { completion(Self.error(of: $0)) }
    }

    private static func error(of result: Result<AdministrationReply, SheepError>) -> SheepError? {
        switch result {
        case .success: nil
        case .failure(let error): error
        }
    }

    func rename(_ volume: SheepdogVolume, to name: String, completion: @escaping (SheepError?) -> Void) {
        let order = VolumeRename(name: volume.name, newName: name, onlyBirth: volume.birth)
        node.administer(.volumeRename(order)) { completion(Self.error(of: $0)) }
    }

    func lock(_ volume: SheepdogVolume, shared: Bool, completion: @escaping (SheepError?) -> Void) {
        order(.lockVolume(volume.birth, owner: node.identity, shared: shared), completion)
    }

    func unlock(_ volume: SheepdogVolume, completion: @escaping (SheepError?) -> Void) {
        order(.unlockVolume(volume.birth, owner: node.identity), completion)
    }

    private func order(_ order: ControlOrder, _ completion: @escaping (SheepError?) -> Void) {
        node.control.propose(order) { result in
            if case .refused(let error) = result { completion(error) } else { completion(nil) }
        }
    }
}
