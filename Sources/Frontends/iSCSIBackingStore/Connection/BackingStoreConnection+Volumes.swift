import NIOCore
import ObjectModel

/// Requests by name, and those that make and end volumes.
extension BackingStoreConnection {
    /// Without a tag and an id the working volume, else a snapshot.
    private func find(_ payload: NamePayload, snapshotID: UInt32) -> Result<SheepdogVolume, ResultCode> {
        let snapshots = backend.snapshots(ofVolumeNamed: payload.name)
        let working = backend.volume(named: payload.name)
        guard !payload.tag.isEmpty || snapshotID != 0 else {
            return working.map { .success($0) } ?? .failure(.noVolume)
        }
        guard working != nil || !snapshots.isEmpty else { return .failure(.noVolume) }
        let found =
            payload.tag.isEmpty ? snapshots.last { $0.snapshotID == snapshotID } : snapshots.last { $0.tag == payload.tag }
        return found.map { .success($0) } ?? .failure(.noTag)
    }

    private func withVolume(
        named payload: ByteBuffer, _ request: RequestHeader, _ body: @escaping (SheepdogVolume) -> Void
    ) {
        guard let name = NamePayload(from: payload) else { return completed(request, .invalidParameters) }
        // QEMU zeroes slots of the working volume, looks the snapshot up, and deletes it: whether it finds it or not, it meant no discard. None
        // waits here of a volume that is not known here.
        if !name.tag.isEmpty || request.snapshotID != 0 { backend.keepDiscarded(ofVolumeNamed: name.name) }
        backend.whenCurrent { [self] in
            switch find(name, snapshotID: request.snapshotID) {
            case .failure(let result): completed(request, result)
            case .success(let volume): body(volume)
            }
        }
    }

    private func completed(_ request: RequestHeader, with volume: SheepdogVolume) {
        var reply = ReplyHeader(to: request, epoch: server.epoch)
        reply.setVolume(vid: volume.vid.rawValue, copies: volume.copies, objectShift: volume.objectShift.rawValue)
        completed(request, reply)
    }

    // MARK: Finding and locking

    /// A lock admits; it orders nothing. A snapshot never changes, so it is open to everybody.
    func findVolume(_ request: RequestHeader, _ payload: ByteBuffer, lock: Bool) {
        withVolume(named: payload, request) { [self] volume in
            guard lock, volume.isWorking, backend.cluster.usesLocks else { return completed(request, with: volume) }
            guard request.lockType <= 1 else { return completed(request, .invalidParameters) }
            backend.lock(volume, shared: request.lockType == 1) { [self] error in
                if let error { completed(request, error) } else { completed(request, with: volume) }
            }
        }
    }

    /// Succeeds always: what is not locked, or not there any more, is released.
    func releaseVolume(_ request: RequestHeader) {
        guard let volume = backend.volume(VID(rawValue: request.baseVID)), backend.cluster.usesLocks else {
            return completed(request, .success)
        }
        backend.unlock(volume) { [self] _ in completed(request, .success) }
    }

    // MARK: Making

    func newVolume(_ request: RequestHeader, _ payload: ByteBuffer) {
        // Erasure coding has a policy other than 0.
        guard let name = NamePayload(from: payload)?.name, request.copyPolicy == 0,
            request.copies == 0 || Redundancy.allowedCopies.contains(request.copies),
            request.objectShift == 0 || ObjectShift.allowed.contains(request.objectShift)
        else { return completed(request, .invalidParameters) }
        backend.whenCurrent { [self] in
            if request.snapshotID != 0 { return snapshot(name, request) }
            if request.baseVID != 0 { return clone(name, request) }
            backend.create(
                name: name, size: request.volumeSize, copies: request.copies, objectShift: request.objectShift
            ) { [self] in made($0, request) }
        }
    }

    private func made(_ result: Result<SheepdogVolume, SheepError>, _ request: RequestHeader) {
        switch result {
        case .success(let volume): completed(request, with: volume)
        case .failure(let error): completed(request, error)
        }
    }

    /// The base becomes the snapshot, under the tag that was written into its inode; what goes on has another VID.
    private func snapshot(_ name: String, _ request: RequestHeader) {
        guard let base = backend.volume(VID(rawValue: request.baseVID)) else { return completed(request, .noBaseVolume) }
        guard base.isWorking, base.name == name else { return completed(request, .invalidParameters) }
        let tag = server.volumes.tag(of: base) ?? ""
        backend.snapshot(base, tag: tag) { [self] result in
            if case .success = result { _ = server.volumes.takeTag(of: base) }
            made(result, request)
        }
    }

    private func clone(_ name: String, _ request: RequestHeader) {
        guard let base = backend.volume(VID(rawValue: request.baseVID)) else { return completed(request, .noBaseVolume) }
        guard base.state == .snapshot, request.volumeSize == 0 || request.volumeSize >= base.size else {
            return completed(request, .invalidParameters)
        }
        backend.clone(base, name: name, copies: request.copies) { [self] result in
            guard case .success(let volume) = result, request.volumeSize > volume.size else { return made(result, request) }
            grow(volume, request)
        }
    }

    /// A clone of the wrong size would stand in the way of the next try.
    private func grow(_ clone: SheepdogVolume, _ request: RequestHeader) {
        backend.resize(clone, to: request.volumeSize) { [self] error in
            guard let error else { return completed(request, with: clone) }
            backend.delete(clone) { [self] _ in completed(request, error) }
        }
    }

    // MARK: Deleting

    func deleteVolume(_ request: RequestHeader, _ payload: ByteBuffer) {
        withVolume(named: payload, request) { [self] volume in
            backend.delete(volume) { [self] error in
                if let error { completed(request, error) } else { completed(request, with: volume) }
            }
        }
    }
}
