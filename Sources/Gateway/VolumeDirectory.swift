import Cluster
package import FrontendKit
package import ObjectModel
package import SheepProtocol

/// Finds volumes and snapshots by the names that clients use.
package final class VolumeDirectory<Env: NodeEnvironment>: BlockDeviceProvider {
    package typealias Device = VolumeDevice<Env>

    private let node: SheepNode<Env>

    package init(node: SheepNode<Env>) { self.node = node }

    package func list(completion: @escaping (Result<[BlockDeviceInformation], SheepError>) -> Void) {
        node.whenCurrent { [node] in
            let volumes = node.control.state.volumes
            completion(.success(volumes.map { Self.information(of: $0, name: Self.exportName($0)) }.sorted { $0.name < $1.name }))
        }
    }

    package func open(_ name: String, completion: @escaping (Result<VolumeDevice<Env>, SheepError>) -> Void) {
        open(name, continuing: nil, completion: completion)
    }

    /// Opens a volume or snapshot by name; with `origin` what that volume has become.
    package func open(
        _ name: String, continuing origin: DeviceOrigin?,
        completion: @escaping (Result<VolumeDevice<Env>, SheepError>) -> Void
    ) {
        let asked = node.clock.now()
        whenServing(since: asked) { [self] in openNow(name, origin, completion: completion) }
    }

    /// A sheep that starts listens before it has joined: clients that come back to it wait for that.
    private func whenServing(since asked: UInt64, _ action: @escaping () -> Void) {
        if node.isServing || node.clock.now() - asked >= NodeTiming.joiningWait { return action() }
        node.clock.schedule(after: NodeTiming.retry) { [weak self] in self?.whenServing(since: asked, action) }
    }

    private func openNow(
        _ name: String, _ origin: DeviceOrigin?, completion: @escaping (Result<VolumeDevice<Env>, SheepError>) -> Void
    ) {
        node.whenCurrent { [self] in
            do throws(SheepError) {
                completion(.success(try device(name, origin)))
            } catch {
                completion(.failure(error))
            }
        }
    }

    /// Opens what has a birth: a working volume or a snapshot; of what is deleted, now or later, every read fails. Not attached.
    package func open(_ birth: Birth) throws(SheepError) -> VolumeDevice<Env> {
        if let refusal = node.refusal { throw refusal }
        guard let volume = node.control.state.volume(birth) else {
            throw SheepError(.noSuchVolume, "no volume of birth \(birth)")
        }
        return try device(volume, name: Self.exportName(volume), isAttached: false)
    }

    private func device(_ name: String, _ origin: DeviceOrigin?) throws(SheepError) -> VolumeDevice<Env> {
        if let refusal = node.refusal { throw refusal }
        guard let origin else { return try device(try find(name), name: name, isAttached: true) }
        let state = node.control.state
        if origin.isSnapshot {
            guard let frozen = state.volume(origin.birth), !frozen.isDeleted else {
                throw SheepError(.noSuchSnapshot, "snapshot \(name) was deleted")
            }
            return try device(frozen, name: Self.exportName(frozen), isAttached: true)
        }
        guard let present = state.successor(of: origin.birth, named: name, in: origin.family) else {
            throw SheepError(.noSuchVolume, "volume \(name) was deleted")
        }
        return try device(present, name: present.name, isAttached: true)
    }

    private func device(
        _ volume: Cluster.VolumeRecord, name: String, isAttached: Bool
    ) throws(SheepError) -> VolumeDevice<Env> {
        guard !volume.isFrozen else {
            return VolumeDevice(node: node, reader: SnapshotReader(node: node, volume: volume), name: name)
        }
        guard let session = node.session(for: volume.birth) else {
            throw SheepError(.noSuchVolume, "volume \(name) does not exist")
        }
        return VolumeDevice(node: node, session: session, name: name, isAttached: isAttached)
    }

    /// `NAME` is a working volume, also when it has an @ in it; else `NAME@TAG` or `NAME@ID` is a snapshot.
    private func find(_ name: String) throws(SheepError) -> Cluster.VolumeRecord {
        let state = node.control.state
        if let volume = state.volume(named: name) { return volume }
        guard let at = name.lastIndex(of: "@") else { throw SheepError(.noSuchVolume, "volume \(name) does not exist") }
        let (base, selector) = (String(name[..<at]), String(name[name.index(after: at)...]))
        if let id = UInt32(selector), let found = state.snapshot(ofVolumeNamed: base, id: id) { return found }
        if let found = state.snapshot(ofVolumeNamed: base, tag: selector) { return found }
        throw SheepError(.noSuchSnapshot, "volume \(base) has no snapshot \(selector)")
    }

    static func exportName(_ volume: Cluster.VolumeRecord) -> String {
        guard volume.isFrozen else { return volume.name }
        return "\(volume.name)@\(volume.tag.isEmpty ? String(volume.snapshotID) : volume.tag)"
    }

    static func information(of volume: Cluster.VolumeRecord, name: String) -> BlockDeviceInformation {
        let copies = volume.copies == 1 ? "1 copy" : "\(volume.copies) copies"
        let description =
            volume.isFrozen
            ? "snapshot \(volume.snapshotID) of volume \(volume.name), \(copies)" : "volume \(volume.name), \(copies)"
        return BlockDeviceInformation(
            name: name, description: description, size: volume.size, isReadOnly: volume.isFrozen,
            maximumRequest: UInt32(VolumeLimits.largestRequest))
    }
}

extension SheepNode {
    /// Why volumes cannot be served at all now; nil when they can.
    package var refusal: SheepError? {
        guard control.state.cluster != nil else {
            return SheepError(.notFormatted, "the cluster is not formatted: run 'dog cluster format'")
        }
        guard isServing else { return SheepError(.waitingForNodes, "\(name) is joining the cluster") }
        return nil
    }
}
