import Cluster
package import FrontendKit
package import NIOCore
package import ObjectModel
package import SheepProtocol

/// An open volume or snapshot for front-ends and `dog`.
package final class VolumeDevice<Env: NodeEnvironment>: BlockDevice {
    enum Target {
        case volume(VolumeSession<Env>)
        case snapshot(SnapshotReader<Env>)
    }

    let node: SheepNode<Env>
    let target: Target
    private let exportName: String
    private var isClosed = false
    private let client = VolumeClient()
    /// The losses of acknowledged writes that this client, and those that share the device with it, were told of.
    private let told: LossesTold
    private final class LossesTold {
        var count: Int
        init(_ count: Int) { self.count = count }
    }
    /// The user stands in the way of the volume's deletion.
    package var isAttached: Bool {
        didSet {
            guard isAttached != oldValue, !isClosed, case .volume(let session) = target else { return }
            session.users += isAttached ? 1 : -1
        }
    }

    init(node: SheepNode<Env>, session: VolumeSession<Env>, name: String, isAttached: Bool = true) {
        (self.node, target, exportName, self.isAttached) = (node, .volume(session), name, isAttached)
        told = LossesTold(session.unflushedHere.known)
        if isAttached { session.users += 1 }
    }

    private init(sharing device: VolumeDevice) {
        (node, target, exportName, told, isAttached) = (device.node, device.target, device.exportName, device.told, false)
    }

    /// The same volume for one more client, which counts for no user: when that one is gone (``abandon()``), what it had asked for goes with
    /// it, and nobody else's. What was lost of acknowledged writes is told once to all of them together.
    package func forAnotherClient() -> VolumeDevice { VolumeDevice(sharing: self) }

    init(node: SheepNode<Env>, reader: SnapshotReader<Env>, name: String) {
        (self.node, target, exportName, told, isAttached) = (node, .snapshot(reader), name, LossesTold(0), false)
    }

    /// The size of the volume's objects.
    package var objectShift: ObjectShift { volume.shift }

    /// What the volume is, for who opens it again elsewhere.
    package var origin: DeviceOrigin {
        let isSnapshot = if case .snapshot = target { true } else { false }
        return DeviceOrigin(birth: volume.birth, family: volume.family, isSnapshot: isSnapshot)
    }

    private var volume: Cluster.VolumeRecord {
        switch target {
        case .volume(let session): session.volume
        case .snapshot(let reader): reader.volume
        }
    }

    package var information: BlockDeviceInformation {
        VolumeDirectory<Env>.information(of: volume, name: exportName)
    }

    package func read(
        at offset: UInt64, length: Int, appendingTo buffer: consuming ByteBuffer,
        completion: @escaping (Result<ByteBuffer, SheepError>) -> Void
    ) {
        node.requests.countRead(length)
        switch target {
        case .volume(let session):
            session.submitRead(at: offset, length: length, buffer: buffer, completion: completion)
        case .snapshot(let reader):
            reader.read(at: offset, length: length, buffer: buffer, completion: completion)
        }
    }

    package func write(_ data: ByteBuffer, at offset: UInt64, durable: Bool, completion: @escaping (SheepError?) -> Void) {
        submit(.write, at: offset, length: UInt64(data.readableBytes), data: data, durable: durable, completion: completion)
    }

    package func trim(at offset: UInt64, length: UInt64, durable: Bool, completion: @escaping (SheepError?) -> Void) {
        submit(.trim, at: offset, length: length, data: ByteBuffer(), durable: durable, completion: completion)
    }

    package func zero(
        at offset: UInt64, length: UInt64, mayDeallocate: Bool, durable: Bool, completion: @escaping (SheepError?) -> Void
    ) {
        submit(
            mayDeallocate ? .trim : .zero, at: offset, length: length, data: ByteBuffer(), durable: durable,
            completion: completion)
    }

    /// Runs `change` once for all copies of it that a client sends; each gets the answer.
    package func once(
        _ identity: WriteIdentity, completion: @escaping (SheepError?) -> Void, change: (@escaping (SheepError?) -> Void) -> Void
    ) {
        switch target {
        case .volume(let session): session.submitOnce(identity, completion, change: change)
        case .snapshot: change(completion)
        }
    }

    /// Giving space back is quick; reserved zeros are written.
    package func zeroIsFast(at offset: UInt64, length: UInt64, mayDeallocate: Bool) -> Bool { mayDeallocate }

    package func flush(completion: @escaping (SheepError?) -> Void) {
        switch target {
        case .volume(let session):
            node.requests.countFlush()
            session.unflushedHere.flushBegins()
            let ended = { [told, known = told.count] error in
                let error = session.flushEnded(error, known: known)
                if error != nil { told.count = session.unflushedHere.losses }
                completion(error)
            }
            session.submit(VolumeRequest(offset: 0, work: .flush(ended), receivedAt: session.usedHere()))
        case .snapshot: completion(nil)
        }
    }

    /// The page cache of the replicas reads ahead by itself.
    package func prefetch(at offset: UInt64, length: UInt64, completion: @escaping (SheepError?) -> Void) { completion(nil) }

    package func status(
        at offset: UInt64, length: UInt64, limit: Int, completion: @escaping (Result<[BlockExtent], SheepError>) -> Void
    ) {
        let answer: (Result<[StoredExtent], SheepError>) -> Void = { result in
            completion(result.map { extents in
                extents.prefix(max(1, limit)).map {
                    BlockExtent(length: $0.length, isAllocated: $0.isStored, isZero: !$0.isStored)
                }
            })
        }
        switch target {
        case .volume(let session):
            session.submit(
                VolumeRequest(offset: offset, work: .status(length: length, completion: answer), receivedAt: session.usedHere()))
        case .snapshot(let reader): reader.status(at: offset, length: length, completion: answer)
        }
    }

    private func submit(
        _ kind: ChangeKind, at offset: UInt64, length: UInt64, data: ByteBuffer, durable: Bool,
        completion: @escaping (SheepError?) -> Void
    ) {
        switch target {
        case .volume(let session):
            guard length > 0 else { return completion(nil) }
            node.requests.countChange(kind, length)
            session.submit(
                VolumeRequest(
                    offset: offset, work: .change(kind, length: length, data: data, durable: durable, completion: completion),
                    receivedAt: session.usedHere(), client: client))
        case .snapshot(let reader):
            completion(SheepError(.readOnly, "\(exportName) is a snapshot of volume \(reader.volume.name) and read-only"))
        }
    }

    /// Trims a range within one object after the delay, unless the object changes before, the volume goes over to another
    /// owner, or a snapshot of its family is deleted. Completes, always, when whatever comes for the object ends it, or it will not be done.
    package func trimUnlessChanged(
        at offset: UInt64, length: UInt64, afterNanoseconds delay: UInt64, completion: @escaping () -> Void
    ) {
        guard case .volume(let session) = target else { return completion() }
        session.trimUnlessChanged(at: offset, length: length, after: delay, client: client, completion: completion)
    }

    package func abandon() {
        client.isGone = true
        close()
        if case .volume(let session) = target { session.forgetGoneClients() }
    }

    package func close() {
        guard !isClosed else { return }
        isAttached = false
        isClosed = true
    }
}

extension RequestCounters {
    fileprivate mutating func countRead(_ bytes: Int) {
        (total, reads, bytesRead) = (total + 1, reads + 1, bytesRead + UInt64(bytes))
    }

    fileprivate mutating func countChange(_ kind: ChangeKind, _ bytes: UInt64) {
        total += 1
        switch kind {
        case .write: (writes, bytesWritten) = (writes + 1, bytesWritten + bytes)
        case .zero: writes += 1
        case .trim: removes += 1
        }
    }

    fileprivate mutating func countFlush() { (total, flushes) = (total + 1, flushes + 1) }
}

extension VolumeSession {
    /// The short way of a read: no request object while the volume is open here.
    func submitRead(
        at offset: UInt64, length: Int, buffer: consuming ByteBuffer,
        completion: @escaping (Result<ByteBuffer, SheepError>) -> Void
    ) {
        let now = usedHere()
        if case .owned = mode {
            let within = Int(offset % UInt64(objectSize))
            if within + length <= objectSize {
                return readObject(
                    index: UInt32(offset / UInt64(objectSize)), offset: within, length: length, buffer: buffer,
                    completion: completion)
            }
        }
        submit(
            VolumeRequest(
                offset: offset, work: .read(length: length, buffer: buffer, completion: completion), receivedAt: now))
    }
}
