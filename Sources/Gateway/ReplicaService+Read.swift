import Cluster
import Logging
import NIOCore
import ObjectModel
import ObjectStore
import SheepProtocol

/// Reads of this sheep's own copies, for its gateway and for others', and what becomes of them when the disk gives no answer.
extension ReplicaService {
    func read(_ request: ReplicaRead, from sender: NodeID, reply: @escaping PeerCompletion) {
        serveRead(request, from: sender, reply: reply) { [self] volume in
            guard Int(request.offset) + Int(request.length) <= volume.shift.objectSize else {
                return reply(.failure(SheepError(.invalidArgument, "the read ends past the object")))
            }
            readLocally(
                family: request.family, birth: request.birth, index: request.index, offset: Int(request.offset),
                length: Int(request.length), appendingTo: ByteBuffer(), patience: request.isLastResort ? .full : .none
            ) { [weak self] result in
                self?.node.whenLeaseHeld { reply(result.map { PeerReply(payload: $0) }.mapError(\.error)) }
            }
        }
    }

    func status(_ request: ReplicaRead, from sender: NodeID, reply: @escaping PeerCompletion) {
        serveRead(request, from: sender, reply: reply) { [self] _ in
            storedRanges(family: request.family, birth: request.birth, index: request.index) { [weak self] result in
                self?.node.whenLeaseHeld { reply(result.map { PeerReply(body: WireList($0).wire) }) }
            }
        }
    }

    private func serveRead(
        _ request: ReplicaRead, from sender: NodeID, reply: @escaping PeerCompletion,
        body: @escaping (VolumeFacts) -> Void
    ) {
        admit(request.context, from: sender, birth: request.birth, refused: reply) { [self] in
            let volume = node.facts(of: request.birth)!
            let slot = ObjectSlot(family: request.family, index: request.index)
            guard let entry = isCurrent(slot, copies: volume.copies, version: request.context.groupVersion),
                entry.isCurrentHere
            else {
                counters.refused += 1
                return reply(.failure(stale("reads group \(slot.group) where \(node.name) is not in sync")))
            }
            body(volume)
        }
    }

    /// Reads what `birth` shows at an index of this sheep's own replica, appended to `buffer`. `unavailable`: the disk gives no answer, and
    /// the caller's patience, or time, is over.
    func readLocally(
        family: Family, birth: Birth, index: UInt32, offset: Int, length: Int, appendingTo buffer: consuming ByteBuffer,
        patience: DeviceReads.Patience = .whileAlone, completion: @escaping (Result<ByteBuffer, LocalReadFailure>) -> Void
    ) {
        counters.reads += 1
        switch store.resolve(family: family, index: index, ancestry: node.ancestry(of: birth)) {
        case .absent, .hole:
            buffer.writeRepeatingByte(0, count: length)
            completion(.success(buffer))
        case .object(let name):
            readObject(
                name, offset: offset, length: length, appendingTo: buffer, patience: patience, isForClient: true, completion: completion)
        }
    }

    func readObject(
        _ name: ObjectName, offset: Int, length: Int, appendingTo buffer: consuming ByteBuffer,
        patience: DeviceReads.Patience = .whileAlone, isForClient: Bool = false,
        completion: @escaping (Result<ByteBuffer, LocalReadFailure>) -> Void
    ) {
        do throws(SheepError) {
            var complete = false
            var failure: SheepError?
            buffer.writeWithUnsafeMutableBytes(minimumWritableBytes: length) { raw in
                let target = UnsafeMutableRawBufferPointer(rebasing: raw[..<length])
                do throws(SheepError) { complete = try store.readNow(name, at: offset, into: target) } catch { failure = error }
                return complete ? length : 0
            }
            if let failure { throw failure }
            if complete { return completion(.success(buffer)) }
        } catch {
            counters.failedReads += 1
            return completion(.failure(LocalReadFailure(error: error, buffer: buffer)))
        }
        readFromDevice(
            name, offset: offset, length: length, buffer: buffer, patience: patience, isForClient: isForClient, completion: completion)
    }

    /// The bytes are not in memory: they come by way of a scratch buffer that stays in place meanwhile.
    private func readFromDevice(
        _ name: ObjectName, offset: Int, length: Int, buffer: ByteBuffer, patience: DeviceReads.Patience, isForClient: Bool,
        completion: @escaping (Result<ByteBuffer, LocalReadFailure>) -> Void
    ) {
        let read = DeviceReads.Read(
            of: name, at: node.clock.now(), patience: patience, isForClient: isForClient, buffer: buffer, completion: completion)
        // One that answers nothing is asked for nothing more that others can give.
        if diskIsSilent, mayGiveUp(read) { return read.fail(silentDisk) }
        let scratch = UnsafeMutableRawBufferPointer.allocate(byteCount: length, alignment: blockSize)
        let number = deviceReads.began(read)
        store.read(name, at: offset, into: scratch) { [weak self] error in
            defer { scratch.deallocate() }
            self?.ended(number, read)
            guard let error else { return read.succeed(UnsafeRawBufferPointer(scratch)) }
            self?.counters.failedReads += 1
            read.fail(error)
        }
    }

    private func ended(_ number: UInt64, _ read: DeviceReads.Read) {
        let now = node.clock.now()
        deviceReads.ended(number, at: now)
        if read.isForClient { node.readLatencies.record(now - read.startedAt) }
    }

    /// This sheep's disk has owed the bytes of reads, and given none, for longer than one that works does.
    var diskIsSilent: Bool { deviceReads.isSilent(at: node.clock.now(), longerThan: MemberLatencies.shortestBound) }

    private var silentDisk: SheepError {
        SheepError(.unavailable, "the disk of \(node.name) gives no answer; look at it, and at 'dog cluster info'")
    }

    /// Who waits for a disk that gives no answer goes to another member, if there is one, and waits no longer than for anything else. The
    /// disk then leaves, where enough others stay.
    func tick(now: UInt64) {
        let limit = node.options.inputOutputTimeout
        if limit > 0 { for read in deviceReads.overdue(at: now, bound: limit) { read.fail(silentDisk) } }
        guard diskIsSilent else { return (toldOfSilence, leftForSilence) = (false, false) }
        if !toldOfSilence { node.logger.warning("disk \(store.identity.disk) takes reads and answers none") }
        toldOfSilence = true
        for read in deviceReads.overdue(at: now, bound: MemberLatencies.shortestBound) where mayGiveUp(read) { read.fail(silentDisk) }
        guard !leftForSilence, deviceReads.isSilent(at: now, longerThan: MemberLatencies.longestBound) else { return }
        leftForSilence = node.membership.slow(store.identity.disk, mayBeOwn: true)
    }

    private func mayGiveUp(_ read: DeviceReads.Read) -> Bool {
        switch read.patience {
        case .none: true
        case .whileAlone: isElsewhere(read.object)
        case .full: false
        }
    }

    /// Another member that can be reached has all of it.
    private func isElsewhere(_ object: ObjectName) -> Bool {
        guard let copies = node.facts(of: object.birth)?.copies else { return false }
        let set = node.replicaSet(of: ObjectSlot(family: object.family, index: object.index).group, copies: copies)
        return set.inSync.contains { $0.node != node.identity && node.network.isLinked(to: $0.node) }
    }

    /// The stored ranges of what `birth` shows at an index; empty for a hole.
    func storedRanges(
        family: Family, birth: Birth, index: UInt32, completion: @escaping (Result<[StoredRange], SheepError>) -> Void
    ) {
        guard case .object(let name) = store.resolve(family: family, index: index, ancestry: node.ancestry(of: birth))
        else { return completion(.success([])) }
        store.allocation(of: name, in: 0..<Int.max) { result in
            completion(result.map { ranges in
                ranges.map { StoredRange(offset: UInt32($0.lowerBound), length: UInt32($0.count)) }
            })
        }
    }
}

/// A read of the own replica that failed, with the buffer that it was to be appended to, as it was: another member's bytes may
/// go there.
struct LocalReadFailure: Error {
    let error: SheepError
    let buffer: ByteBuffer
}
