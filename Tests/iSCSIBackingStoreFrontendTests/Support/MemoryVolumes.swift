import FrontendKit
import NIOCore
import ObjectModel
import iSCSIBackingStoreFrontend

/// Volumes in memory with their snapshots and clones, in Sheepdog's terms. To be used on one thread.
final class MemoryVolumes: SheepdogVolumes {
    private final class Row {
        var volume: SheepdogVolume
        var data: MemoryBlockDevice.Volume
        let attachments = AttachableDevice.Attachments()
        /// As which the volume went on after a snapshot.
        var next: VID?
        init(_ volume: SheepdogVolume, _ data: MemoryBlockDevice.Volume) { (self.volume, self.data) = (volume, data) }
    }

    private var rows: [VID: Row] = [:]
    private var lockTable: [Birth: (shared: Bool, count: Int)] = [:]
    private var nextBirth: UInt64 = 100
    var revision: UInt64 = 0
    var readiness = SheepdogReadiness.serving
    var cluster = SheepdogCluster()
    var nodes: [SheepdogNode] = []
    var space: (path: String, total: UInt64, free: UInt64) = ("/store", 1 << 40, 1 << 39)

    init() {
        (cluster.createdAt, cluster.copies, cluster.objectShift) = (1_700_000_000_000_000_005, 3, 22)
        nodes = (0..<3).map { SheepdogNode(host: "127.0.0.1", port: 7000 + $0, virtualNodes: 128, zone: UInt32($0)) }
        cluster.epochs = [SheepdogEpoch(epoch: 1, time: 1_700_000_000_000_000_000, nodes: nodes)]
    }

    /// Durable requests that a working volume got.
    func durableRequests(_ name: String) -> Int { rows.values.first { $0.volume.isWorking && $0.volume.name == name }!.data.durableRequests }
    func users(_ vid: VID) -> Int { rows[vid]?.data.users ?? 0 }
    /// Of the VID's volume: clients that are there and have asked for something, and those that are gone.
    func clients(_ vid: VID) -> (there: Int, gone: Int) { rows[vid].map { ($0.attachments.clients, $0.attachments.gone) } ?? (0, 0) }

    var locks: [VID: SheepdogLock] {
        var locks: [VID: SheepdogLock] = [:]
        for row in rows.values {
            guard let lock = self.lockTable[row.volume.birth] else { continue }
            locks[row.volume.vid] = SheepdogLock(isShared: lock.shared, owners: Array(nodes.prefix(lock.count)))
        }
        return locks
    }

    func whenCurrent(_ action: @escaping () -> Void) { action() }
    func volume(_ vid: VID) -> SheepdogVolume? {
        guard var volume = rows[vid]?.volume, volume.snapshotAt != 0, volume.state == .deleted else { return rows[vid]?.volume }
        guard let heir = livingHeir(of: vid) else { return volume }
        (volume.state, volume.heir) = (.replaced(by: heir.name), heir.vid)
        return volume
    }

    private func livingHeir(of vid: VID) -> SheepdogVolume? {
        var next = rows[vid]?.next
        while let vid = next {
            if let volume = rows[vid]?.volume, volume.state != .deleted { return volume }
            next = rows[vid]?.next
        }
        return nil
    }

    func volume(named name: String) -> SheepdogVolume? { rows.values.first { $0.volume.isWorking && $0.volume.name == name }?.volume }
    func snapshots(ofVolumeNamed name: String) -> [SheepdogVolume] {
        rows.values.map(\.volume).filter { $0.state == .snapshot && $0.name == name }.sorted { $0.birth < $1.birth }
    }
    var allVolumes: [SheepdogVolume] { rows.values.map(\.volume) }

    func open(_ volume: SheepdogVolume) throws(SheepError) -> AttachableDevice {
        let row = rows[volume.vid]!
        guard row.volume.snapshotAt == 0 || row.volume.state == .snapshot else { throw SheepError(.noSuchSnapshot, "deleted") }
        return AttachableDevice(row.data, row.attachments) { [self] in
            let during = duringRead
            duringRead = nil
            during?()
            return row.volume.state == .deleted ? SheepError(.noSuchSnapshot, "deleted") : nil
        }
    }

    /// Done in the middle of the next read.
    var duringRead: (() -> Void)?
    /// Names that somebody asked a snapshot of.
    private(set) var kept: [String] = []
    func keepDiscarded(ofVolumeNamed name: String) { kept.append(name) }

    /// The ancestor's own objects are not told apart: what a child shows is its parent's until the child was written to.
    func objects(
        of volume: SheepdogVolume, indices: Range<UInt32>, completion: @escaping (Result<[SlotRun], SheepError>) -> Void
    ) {
        let device = MemoryBlockDevice(rows[volume.vid]!.data)
        defer { device.close() }
        let size = UInt64(volume.objectShift.objectSize)
        var runs: [SlotRun] = []
        for index in indices {
            let start = UInt64(index) * size
            device.status(at: start, length: min(size, volume.size - start), limit: 1) { result in
                if case .success(let extents) = result, extents[0].isAllocated {
                    runs.append(SlotRun(first: index, count: 1, vid: volume.parent ?? volume.vid))
                }
            }
        }
        completion(.success(runs))
    }

    private func insert(_ name: String, _ data: MemoryBlockDevice.Volume, parent: SheepdogVolume?) -> SheepdogVolume {
        var vid = VID.preferred(for: name)
        while rows[vid] != nil { vid = VID(rawValue: vid.rawValue + 1) }
        nextBirth += 1
        let snapshotID = (rows.values.map(\.volume).filter { $0.name == name }.map(\.snapshotID).max() ?? 0) + 1
        let volume = SheepdogVolume(
            vid: vid, birth: Birth(rawValue: nextBirth), family: parent?.family ?? Family(rawValue: nextBirth), state: .working,
            name: name, snapshotID: snapshotID, createdAt: 1_700_000_001_000_000_007, size: data.size, copies: 3, parent: parent?.vid)
        rows[vid] = Row(volume, data)
        revision += 1
        return volume
    }

    func create(
        name: String, size: UInt64, copies: UInt8, objectShift: UInt8,
        completion: @escaping (Result<SheepdogVolume, SheepError>) -> Void
    ) {
        guard volume(named: name) == nil else { return completion(.failure(SheepError(.volumeExists, name))) }
        completion(.success(insert(name, MemoryBlockDevice.Volume(name: name, size: size), parent: nil)))
    }

    func clone(
        _ snapshot: SheepdogVolume, name: String, copies: UInt8,
        completion: @escaping (Result<SheepdogVolume, SheepError>) -> Void
    ) {
        guard volume(named: name) == nil else { return completion(.failure(SheepError(.volumeExists, name))) }
        completion(.success(insert(name, writableCopy(rows[snapshot.vid]!.data, name), parent: snapshot)))
    }

    private func writableCopy(_ source: MemoryBlockDevice.Volume, _ name: String) -> MemoryBlockDevice.Volume {
        let copy = MemoryBlockDevice.Volume(name: name, size: source.size)
        let (reader, writer) = (MemoryBlockDevice(source), MemoryBlockDevice(copy))
        for start in stride(from: 0, to: source.size, by: 4 << 20) {
            let length = min(4 << 20, source.size - start)
            reader.status(at: start, length: length, limit: 1) { status in
                guard case .success(let extents) = status, extents[0].isAllocated else { return }
                reader.read(at: start, length: Int(length), appendingTo: ByteBuffer()) { result in
                    writer.write(try! result.get(), at: start, durable: false) { _ in }
                }
            }
        }
        reader.close()
        writer.close()
        return copy
    }

    func snapshot(_ volume: SheepdogVolume, tag: String, completion: @escaping (Result<SheepdogVolume, SheepError>) -> Void) {
        let row = rows[volume.vid]!
        let working = row.data
        row.data = MemoryBlockDevice.Volume(snapshotOf: working, name: "\(volume.name)@\(tag)")
        (row.volume.state, row.volume.tag, row.volume.snapshotAt) = (.snapshot, tag, 1_700_000_002_000_000_000)
        let new = insert(volume.name, working, parent: row.volume)
        row.next = new.vid
        completion(.success(new))
    }

    func delete(_ volume: SheepdogVolume, completion: @escaping (SheepError?) -> Void) {
        let row = rows[volume.vid]!
        guard row.attachments.count == 0 else { return completion(SheepError(.volumeLocked, "in use")) }
        (row.volume.state, row.volume.name, row.volume.tag) = (.deleted, "", "")
        revision += 1
        completion(nil)
    }

    /// As a rollback to a snapshot does it: the working volume goes, another takes its place.
    func rollBack(_ name: String, to tag: String) {
        let (old, snapshot) = (volume(named: name)!, snapshots(ofVolumeNamed: name).first { $0.tag == tag }!)
        (rows[old.vid]!.volume.state, rows[old.vid]!.volume.name) = (.replaced(by: name), "")
        _ = insert(name, writableCopy(rows[snapshot.vid]!.data, name), parent: snapshot)
    }

    /// Nothing needs a deleted volume any more.
    func forget(_ vid: VID) {
        rows[vid] = nil
        revision += 1
    }

    /// No volume grows beyond it.
    var largestSize = UInt64.max

    func resize(_ volume: SheepdogVolume, to size: UInt64, completion: @escaping (SheepError?) -> Void) {
        if size > largestSize { return completion(SheepError(.invalidArgument, "too large")) }
        (rows[volume.vid]!.volume.size, rows[volume.vid]!.data.size) = (size, size)
        revision += 1
        completion(nil)
    }

    func rename(_ volume: SheepdogVolume, to name: String, completion: @escaping (SheepError?) -> Void) {
        rows[volume.vid]!.volume.name = name
        revision += 1
        completion(nil)
    }

    func lock(_ volume: SheepdogVolume, shared: Bool, completion: @escaping (SheepError?) -> Void) {
        if let lock = lockTable[volume.birth], !lock.shared || !shared { return completion(SheepError(.volumeLocked, volume.name)) }
        lockTable[volume.birth] = (shared, (lockTable[volume.birth]?.count ?? 0) + 1)
        completion(nil)
    }

    func unlock(_ volume: SheepdogVolume, completion: @escaping (SheepError?) -> Void) {
        lockTable[volume.birth] = nil
        completion(nil)
    }
}

/// A device in memory that knows whether it is attached.
final class AttachableDevice: SheepdogDevice {
    private let device: MemoryBlockDevice
    private let attachments: Attachments
    private let volume: MemoryBlockDevice.Volume
    var isAttached = false { didSet { attachments.count += (isAttached ? 1 : 0) - (oldValue ? 1 : 0) } }

    final class Attachments {
        var count = 0
        /// Devices of clients that are there, and of those that are gone.
        var (clients, gone) = (0, 0)
    }

    /// Asked at the end of each read.
    private let failure: () -> SheepError?

    init(_ volume: MemoryBlockDevice.Volume, _ attachments: Attachments, failure: @escaping () -> SheepError?) {
        (device, self.volume, self.attachments, self.failure) = (MemoryBlockDevice(volume), volume, attachments, failure)
    }

    func forAnotherClient() -> AttachableDevice {
        attachments.clients += 1
        return AttachableDevice(volume, attachments, failure: failure)
    }

    func abandon() {
        attachments.clients -= 1
        attachments.gone += 1
        close()
    }

    /// The delay is the gateway's to keep.
    func trimUnlessChanged(at offset: UInt64, length: UInt64, afterNanoseconds delay: UInt64, completion: @escaping () -> Void) {
        trim(at: offset, length: length, durable: false) { _ in completion() }
    }

    func close() {
        isAttached = false
        device.close()
    }

    var information: BlockDeviceInformation { device.information }
    func read(
        at offset: UInt64, length: Int, appendingTo buffer: consuming ByteBuffer,
        completion: @escaping (Result<ByteBuffer, SheepError>) -> Void
    ) {
        device.read(at: offset, length: length, appendingTo: buffer) { [failure] result in
            if let error = failure() { completion(.failure(error)) } else { completion(result) }
        }
    }
    func write(_ data: ByteBuffer, at offset: UInt64, durable: Bool, completion: @escaping (SheepError?) -> Void) {
        device.write(data, at: offset, durable: durable, completion: completion)
    }
    func flush(completion: @escaping (SheepError?) -> Void) { device.flush(completion: completion) }
    func trim(at offset: UInt64, length: UInt64, durable: Bool, completion: @escaping (SheepError?) -> Void) {
        device.trim(at: offset, length: length, durable: durable, completion: completion)
    }
    func zero(
        at offset: UInt64, length: UInt64, mayDeallocate: Bool, durable: Bool, completion: @escaping (SheepError?) -> Void
    ) { device.zero(at: offset, length: length, mayDeallocate: mayDeallocate, durable: durable, completion: completion) }
    func zeroIsFast(at offset: UInt64, length: UInt64, mayDeallocate: Bool) -> Bool { mayDeallocate }
    func prefetch(at offset: UInt64, length: UInt64, completion: @escaping (SheepError?) -> Void) { completion(nil) }
    func status(
        at offset: UInt64, length: UInt64, limit: Int, completion: @escaping (Result<[BlockExtent], SheepError>) -> Void
    ) { device.status(at: offset, length: length, limit: limit, completion: completion) }
}
