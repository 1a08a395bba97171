import Cluster
package import ObjectModel
package import ObjectStore
package import SheepProtocol

/// What another process of this machine needs to read an object of an open volume by itself, for as long as the stamp holds.
package struct ReadGrant {
    /// Whose bytes the volume shows; nil: all of it reads as zeros.
    package let object: ObjectName?
    /// Of its blocks; none when nothing is stored.
    package let checksums: [UInt32]
    package let stamp: ReadStamp

    /// As the client gets it, with the checksums as payload.
    package var message: DeviceReadGranted {
        DeviceReadGranted(object: object, place: stamp.place, changes: stamp.changes, generation: stamp.generation)
    }
}

extension VolumeDevice {
    /// Nil when this sheep would not answer a read of any part of the object at once, from its own copy: then it is asked as before.
    package func readGrant(index: UInt32) -> ReadGrant? {
        // A look at the log may change anything: it comes first.
        guard node.leaseHeld else { return nil }
        return switch target {
        case .volume(let session): session.readGrant(index: index)
        case .snapshot(let reader): reader.readGrant(index: index)
        }
    }
}

extension VolumeSession {
    /// Under the conditions of a local read (``readObject(index:offset:length:buffer:since:completion:)``), of all of the object: the owner, no
    /// change under way, a copy in sync. Whatever ends one of them ends the stamp: ``mode``, the next change, an entry of the log.
    func readGrant(index: UInt32) -> ReadGrant? {
        guard case .owned = mode, window.conflict(index: index, offset: 0, length: objectSize, coversObject: true) == nil else { return nil }
        return node.readGrant(of: volume, birth: birth, index: index)
    }
}

extension SnapshotReader {
    /// A snapshot does not change; its deletion is an entry of the log.
    func readGrant(index: UInt32) -> ReadGrant? { gone == nil ? node.readGrant(of: volume, birth: volume.birth, index: index) : nil }
}

extension SheepNode {
    /// What `birth` shows at an index of this sheep's own copy, if it is in sync.
    fileprivate func readGrant(of volume: Cluster.VolumeRecord, birth: Birth, index: UInt32) -> ReadGrant? {
        let slot = ObjectSlot(family: volume.family, index: index)
        guard let readBoard, let store, holdsCurrent(slot, copies: volume.copies) else { return nil }
        let stamp = readBoard.stamp(family: slot.family, index: index)
        switch store.resolve(family: slot.family, index: index, ancestry: ancestry(of: birth)) {
        case .absent, .hole: return ReadGrant(object: nil, checksums: [], stamp: stamp)
        case .object(let name): return store.openTable(of: name).map { ReadGrant(object: name, checksums: $0, stamp: stamp) }
        }
    }
}
