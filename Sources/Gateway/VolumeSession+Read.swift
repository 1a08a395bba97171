import Cluster
import Logging
import NIOCore
import ObjectModel
import SheepProtocol

/// When a read began, in the changes of its volume.
struct ReadStart {
    let term: Term?
    let next: Sequence
}

extension VolumeSession {
    /// Reads any range, asked for at `since`; pieces of several objects come one after another into one buffer.
    func read(
        at offset: UInt64, length: Int, buffer: consuming ByteBuffer, since: UInt64,
        completion: @escaping (Result<ByteBuffer, SheepError>) -> Void
    ) {
        let within = Int(offset % UInt64(objectSize))
        if length <= objectSize - within {
            return readObject(
                index: UInt32(offset / UInt64(objectSize)), offset: within, length: length, buffer: buffer, since: since, completion: completion)
        }
        ReadSeries(session: self, offset: offset, length: length, buffer: buffer, since: since, completion: completion).advance()
    }

    /// Reads within one object, from this sheep's replica when it is current, else from another in-sync one.
    func readObject(
        index: UInt32, offset: Int, length: Int, buffer: consuming ByteBuffer, since: UInt64? = nil,
        completion: @escaping (Result<ByteBuffer, SheepError>) -> Void
    ) {
        guard window.isEmpty || !waitForChange(
            index: index, offset: offset, length: length, buffer: buffer, since: since, completion: completion)
        else { return }
        let slot = ObjectSlot(family: volume.family, index: index)
        if node.holdsCurrent(slot, copies: volume.copies) {
            return node.replica.readLocally(
                family: volume.family, birth: birth, index: index, offset: offset, length: length, appendingTo: buffer
            ) { [self, start = readStart] result in
                finishLocalRead(result, slot: slot, offset: offset, length: length, since: since, start: start, completion: completion)
            }
        }
        readRemotely(slot, offset: offset, length: length, buffer: buffer, avoiding: [], since: since, completion: completion)
    }

    /// True when the read overlaps a change under way: it goes on when that is done.
    private func waitForChange(
        index: UInt32, offset: Int, length: Int, buffer: ByteBuffer, since: UInt64?,
        completion: @escaping (Result<ByteBuffer, SheepError>) -> Void
    ) -> Bool {
        guard let conflict = window.conflict(index: index, offset: offset, length: length, coversObject: false) else { return false }
        let since = since ?? node.clock.now()
        let run = { [weak self] in
            guard let self else { return completion(.failure(SheepError(.shuttingDown, "the volume was closed"))) }
            readObject(index: index, offset: offset, length: length, buffer: buffer, since: since, completion: completion)
        }
        conflict.dependents.append(Waiter(since: since, run: run) { completion(.failure($0)) })
        return true
    }

    private func finishLocalRead(
        _ result: Result<ByteBuffer, LocalReadFailure>, slot: ObjectSlot, offset: Int, length: Int, since: UInt64?, start: ReadStart,
        completion: @escaping (Result<ByteBuffer, SheepError>) -> Void
    ) {
        switch result {
        case .success(let buffer):
            if nextSequence == start.next, term != nil, term == start.term, node.leaseHeld { return completion(.success(buffer)) }
            answer(buffer, of: slot, offset: offset, length: length, start: start, completion: completion)
        case .failure(let failure):
            switch failure.error.code {
            // The store told the repairer, or the disk gives no answer; another member serves meanwhile.
            case .damaged, .inputOutput, .unavailable:
                readElsewhere(
                    slot, offset: offset, length: length, buffer: failure.buffer, since: since, start: start, failure: failure.error,
                    completion: completion)
            default: node.whenLeaseHeld { completion(.failure(failure.error)) }
            }
        }
    }

    private var readStart: ReadStart { ReadStart(term: term, next: nextSequence) }

    /// A change that began after the read may be in the bytes, and on no other member yet: who sees it must be able to count on it, so it is
    /// waited for.
    private func answer(
        _ buffer: ByteBuffer, of slot: ObjectSlot, offset: Int, length: Int, start: ReadStart,
        completion: @escaping (Result<ByteBuffer, SheepError>) -> Void
    ) {
        guard term != nil, term == start.term else {
            // Another owner may have come between, or be there.
            var buffer = buffer
            buffer.moveWriterIndex(to: buffer.writerIndex - length)
            return submit(
                VolumeRequest(
                    offset: UInt64(slot.index) * UInt64(objectSize) + UInt64(offset),
                    work: .read(length: length, buffer: buffer, completion: completion), receivedAt: node.clock.now()))
        }
        let younger = window.active.filter {
            $0.sequence >= start.next && $0.overlaps(index: slot.index, offset: offset, length: length, coversObject: false)
        }
        var remaining = younger.count + 1
        var failure: SheepError?
        let done = { [self] (error: SheepError?) in
            failure = failure ?? error
            remaining -= 1
            guard remaining == 0 else { return }
            if let failure { return completion(.failure(failure)) }
            node.whenLeaseHeld { completion(.success(buffer)) }
        }
        let now = node.clock.now()
        for change in younger { change.dependents.append(Waiter(since: now, run: { done(nil) }, fail: done)) }
        done(nil)
    }

    /// Asks another in-sync member; a refusal or a broken link tries the next, and a change of membership all again.
    func readRemotely(
        _ slot: ObjectSlot, offset: Int, length: Int, buffer: ByteBuffer, avoiding: [NodeID],
        since: UInt64? = nil, start: ReadStart? = nil, damage: SheepError? = nil,
        completion: @escaping (Result<ByteBuffer, SheepError>) -> Void
    ) {
        let since = since ?? node.clock.now()
        let set = node.replicaSet(of: slot.group, copies: volume.copies)
        let choices = set.inSync.filter { $0.node != node.identity && !avoiding.contains($0.node) }
        guard let term, let member = choices.first(where: { node.network.isLinked(to: $0.node) }) ?? choices.first else {
            // Nobody is there to ask: goes on when the membership changes, or fails with the request's time limit.
            return retryRead(
                slot, offset: offset, length: length, buffer: buffer, since: since, start: start ?? readStart, damage: damage,
                completion: completion)
        }
        let request = ReplicaRead(
            context: context(to: member.node, version: set.version, term: term), family: volume.family, birth: birth,
            index: slot.index, offset: UInt32(offset), length: UInt32(length), isLastResort: choices.count == 1)
        let start = start ?? readStart
        node.network.send(.replicaRead, body: request.wire, payload: nil, to: member.node) { [weak self] result in
            guard let self else { return completion(.failure(SheepError(.shuttingDown, "the volume was closed"))) }
            switch result {
            case .success(let reply) where reply.payload.readableBytes == length:
                var (buffer, payload) = (buffer, reply.payload)
                buffer.writeBuffer(&payload)
                answer(buffer, of: slot, offset: offset, length: length, start: start, completion: completion)
            case .success, .failure:
                let found = result.failure.flatMap { $0.code == .damaged ? $0 : nil }
                readRemotely(
                    slot, offset: offset, length: length, buffer: buffer, avoiding: avoiding + [member.node],
                    since: since, start: start, damage: damage ?? found, completion: completion)
            }
        }
    }

    /// Nobody is there to ask now: looks again soon, until the request's time limit. Copies that are damaged have a moment to
    /// repair each other.
    private func retryRead(
        _ slot: ObjectSlot, offset: Int, length: Int, buffer: ByteBuffer, since: UInt64, start: ReadStart, damage: SheepError?,
        completion: @escaping (Result<ByteBuffer, SheepError>) -> Void
    ) {
        let limit = node.options.inputOutputTimeout
        if let damage, node.clock.now() > since + NodeTiming.damagedRead {
            return completion(.failure(SheepError(.inputOutput, "\(damage.message); no other copy gives it")))
        }
        if limit > 0, node.clock.now() - since > limit {
            return completion(.failure(SheepError(.unavailable, "no copy of object \(slot.index) of \(volume.name) answers; see 'dog cluster info'")))
        }
        waitingReads += 1
        node.clock.schedule(after: NodeTiming.retry) { [weak self] in
            guard let self else { return completion(.failure(SheepError(.shuttingDown, "the volume was closed"))) }
            waitingReads -= 1
            if term != nil, !node.holdsCurrent(slot, copies: volume.copies) {
                return readRemotely(
                    slot, offset: offset, length: length, buffer: buffer, avoiding: [], since: since, start: start, completion: completion)
            }
            submit(
                VolumeRequest(
                    offset: UInt64(slot.index) * UInt64(objectSize) + UInt64(offset),
                    work: .read(length: length, buffer: buffer, completion: completion), receivedAt: since))
        }
    }

    /// This sheep's copy is damaged there, or cannot be read now.
    private func readElsewhere(
        _ slot: ObjectSlot, offset: Int, length: Int, buffer: ByteBuffer, since: UInt64?, start: ReadStart, failure: SheepError,
        completion: @escaping (Result<ByteBuffer, SheepError>) -> Void
    ) {
        let isDamage = failure.code != .unavailable
        let set = node.replicaSet(of: slot.group, copies: volume.copies)
        guard set.inSync.contains(where: { $0.node != node.identity }) else {
            return completion(.failure(isDamage ? SheepError(.inputOutput, "\(failure.message); there is no other copy") : failure))
        }
        readRemotely(
            slot, offset: offset, length: length, buffer: buffer, avoiding: [], since: since, start: start, damage: isDamage ? failure : nil,
            completion: completion)
    }

    // MARK: What is stored

    /// Stored runs and holes from `offset` on; ends early after many objects, so that one question costs a bounded amount.
    func status(at offset: UInt64, length: UInt64, completion: @escaping (Result<[StoredExtent], SheepError>) -> Void) {
        statusPiece(at: offset, end: offset + length, extents: [], objects: 0, completion: completion)
    }

    private func statusPiece(
        at start: UInt64, end: UInt64, extents: [StoredExtent], objects: Int,
        completion: @escaping (Result<[StoredExtent], SheepError>) -> Void
    ) {
        guard term != nil else { return statusElsewhere(at: start, end: end, extents: extents, completion: completion) }
        var (position, extents, objects) = (start, extents, objects)
        let size = UInt64(objectSize)
        while position < end, objects < 4096 {
            let slot = ObjectSlot(family: volume.family, index: UInt32(position / size))
            let (within, length) = (position % size, min(size - position % size, end - position))
            objects += 1
            guard node.holdsCurrent(slot, copies: volume.copies) else {
                return remoteStatus(slot) { [weak self] result in
                    switch result {
                    case .failure(let error) where error.code == .notOwner:
                        self?.statusElsewhere(at: position, end: end, extents: extents, completion: completion)
                    case .failure(let error): completion(.failure(error))
                    case .success(let ranges):
                        var extents = extents
                        extents.append(ranges: ranges, from: Int(within), length: Int(length))
                        self?.statusPiece(at: position + length, end: end, extents: extents, objects: objects + 32, completion: completion)
                    }
                }
            }
            var answer: Result<[StoredRange], SheepError>?
            node.replica.storedRanges(family: volume.family, birth: birth, index: slot.index) { answer = $0 }
            switch answer {
            case .success(let ranges): extents.append(ranges: ranges, from: Int(within), length: Int(length))
            case .failure(let error): return completion(.failure(error))
            // The object is being changed just now: it is stored, whatever becomes of it.
            case nil: extents.extend(length, isStored: true)
            }
            position += length
        }
        completion(.success(extents))
    }

    /// Another sheep is the owner by now: it tells the rest, unless something is known already.
    private func statusElsewhere(
        at start: UInt64, end: UInt64, extents: [StoredExtent], completion: @escaping (Result<[StoredExtent], SheepError>) -> Void
    ) {
        if !extents.isEmpty { return completion(.success(extents)) }
        submit(VolumeRequest(offset: start, work: .status(length: end - start, completion: completion), receivedAt: node.clock.now()))
    }

    /// Fails with `notOwner` when this sheep no longer is.
    private func remoteStatus(
        _ slot: ObjectSlot, since: UInt64? = nil, completion: @escaping (Result<[StoredRange], SheepError>) -> Void
    ) {
        let since = since ?? node.clock.now()
        let set = node.replicaSet(of: slot.group, copies: volume.copies)
        guard let term else { return completion(.failure(SheepError(.notOwner, "volume \(volume.name) has another owner"))) }
        guard let member = set.inSync.first(where: { node.network.isLinked(to: $0.node) }) else {
            return retryStatus(slot, since: since, completion: completion)
        }
        let request = ReplicaRead(
            context: context(to: member.node, version: set.version, term: term), family: volume.family, birth: birth,
            index: slot.index, offset: 0, length: 0)
        node.network.send(.replicaStatus, body: request.wire, payload: nil, to: member.node) { [weak self] result in
            guard case .success(let reply) = result, let list = try? WireList<StoredRange>(wire: reply.body) else {
                self?.retryStatus(slot, since: since, completion: completion)
                return
            }
            completion(.success(list.elements))
        }
    }

    private func retryStatus(
        _ slot: ObjectSlot, since: UInt64, completion: @escaping (Result<[StoredRange], SheepError>) -> Void
    ) {
        let limit = node.options.inputOutputTimeout
        if limit > 0, node.clock.now() - since > limit {
            return completion(.failure(SheepError(.unavailable, "no copy of object \(slot.index) of \(volume.name) answers; see 'dog cluster info'")))
        }
        node.clock.schedule(after: NodeTiming.retry) { [weak self] in
            guard let self else { return completion(.failure(SheepError(.shuttingDown, "the volume was closed"))) }
            if node.holdsCurrent(slot, copies: volume.copies) {
                return node.replica.storedRanges(family: volume.family, birth: birth, index: slot.index, completion: completion)
            }
            remoteStatus(slot, since: since, completion: completion)
        }
    }
}

extension Array where Element == StoredExtent {
    /// Appends `length` bytes of an object from `from` on, of which the ranges given are stored.
    mutating func append(ranges: [StoredRange], from: Int, length: Int) {
        var position = from
        let end = from + length
        for range in ranges {
            let lower = Swift.max(Int(range.offset), position)
            let upper = Swift.min(Int(range.offset) + Int(range.length), end)
            guard lower < upper else { continue }
            extend(UInt64(lower - position), isStored: false)
            extend(UInt64(upper - lower), isStored: true)
            position = upper
        }
        extend(UInt64(end - position), isStored: false)
    }
}
