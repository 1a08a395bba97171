import Cluster
import NIOCore
import ObjectModel
import SheepProtocol

extension VolumeSession {
    /// Completes a change whose ends are not on block borders: holds its blocks, reads the two at the ends, writes whole ones.
    ///
    /// Replicas thus see whole blocks only: no replica ever reads to write, and recovery compares like with like.
    /// A trim or zero of more than the two end blocks goes out in up to three changes.
    func mergeEdges(
        _ kind: ChangeKind, index: UInt32, offset: Int, length: Int, data: ByteBuffer, durable: Bool,
        from sender: ChangeSender, completion: @escaping (SheepError?) -> Void
    ) {
        let first = offset / blockSize * blockSize
        let end = (offset + length + blockSize - 1) / blockSize * blockSize
        if kind != .write, end - first > 2 * blockSize {
            return zeroInThree(
                kind, index: index, offset: offset, length: length, durable: durable, from: sender, completion: completion)
        }
        hold(index: index, offset: first, length: end - first, failed: completion) { [weak self] hold in
            guard let self else { return completion(SheepError(.shuttingDown, "the volume was closed")) }
            readEdges(index: index, first: first, end: end, offset: offset, length: length) { [weak self] result in
                guard let self else { return completion(SheepError(.shuttingDown, "the volume was closed")) }
                switch result {
                case .failure(let error):
                    release(hold)
                    completion(error)
                case .success(var blocks):
                    if kind == .write { blocks.setBuffer(data, at: blocks.readerIndex + offset - first) } else {
                        blocks.setRepeatingByte(0, count: length, at: blocks.readerIndex + offset - first)
                    }
                    startChange(
                        .write, index: index, offset: first, length: end - first, data: blocks, durable: durable,
                        from: sender, under: hold, completion: completion)
                    release(hold)
                }
            }
        }
    }

    private func zeroInThree(
        _ kind: ChangeKind, index: UInt32, offset: Int, length: Int, durable: Bool, from sender: ChangeSender,
        completion: @escaping (SheepError?) -> Void
    ) {
        let inner = (offset + blockSize - 1) / blockSize * blockSize
        let innerEnd = (offset + length) / blockSize * blockSize
        var remaining = 0
        var failure: SheepError?
        let pieces = [(offset, inner), (inner, innerEnd), (innerEnd, offset + length)].filter { $0.0 < $0.1 }
        remaining = pieces.count
        for (from, to) in pieces {
            changePiece(
                kind, index: index, offset: from, length: to - from, data: ByteBuffer(), durable: durable, from: sender
            ) { error in
                remaining -= 1
                if failure == nil { failure = error }
                if remaining == 0 { completion(failure) }
            }
        }
    }

    /// Calls back when nothing else is under way in the range, which then belongs to the caller until ``release(_:)``.
    func hold(
        index: UInt32, offset: Int, length: Int, since: UInt64? = nil, failed: @escaping (SheepError) -> Void,
        then action: @escaping (RangeHolds.Hold) -> Void
    ) {
        let waiter = { [weak self] in
            let since = since ?? self?.node.clock.now() ?? 0
            return Waiter(
                since: since,
                run: { [weak self] in
                    guard let self else { return failed(SheepError(.shuttingDown, "the volume was closed")) }
                    self.hold(index: index, offset: offset, length: length, since: since, failed: failed, then: action)
                }, fail: failed)
        }
        // A write that makes the object will want all of it: held at once, two such holders cannot wait for each other.
        let coversObject = !hasOwnObject(ObjectSlot(family: volume.family, index: index))
        if let held = holds.conflict(index: index, offset: offset, length: length, coversObject: coversObject) {
            return held.dependents.append(waiter())
        }
        if let conflict = window.conflict(index: index, offset: offset, length: length, coversObject: coversObject) {
            return conflict.dependents.append(waiter())
        }
        let hold = RangeHolds.Hold(
            index: index, offset: coversObject ? 0 : offset, length: coversObject ? objectSize : length)
        holds.insert(hold)
        action(hold)
    }

    func release(_ hold: RangeHolds.Hold) {
        holds.remove(hold)
        let dependents = hold.dependents
        hold.dependents = []
        for dependent in dependents { dependent.run() }
        if window.isEmpty, holds.isEmpty, let drained {
            self.drained = nil
            drained()
        }
    }

    /// The blocks from `first` to `end`, of which only the ends that the change leaves in part are read.
    private func readEdges(
        index: UInt32, first: Int, end: Int, offset: Int, length: Int,
        completion: @escaping (Result<ByteBuffer, SheepError>) -> Void
    ) {
        let headInPart = offset > first
        let tailInPart = offset + length < end
        let lastBlock = end - blockSize
        if end - first <= 2 * blockSize || !headInPart || !tailInPart {
            let from = headInPart ? first : lastBlock
            let to = tailInPart ? end : first + blockSize
            return readObject(index: index, offset: from, length: to - from, buffer: zeros(from - first)) { result in
                completion(result.map { buffer in
                    var buffer = buffer
                    buffer.writeRepeatingByte(0, count: end - first - buffer.readableBytes)
                    return buffer
                })
            }
        }
        readObject(index: index, offset: first, length: blockSize, buffer: ByteBuffer()) { [weak self] result in
            guard let self, case .success(var buffer) = result else { return completion(result) }
            buffer.writeRepeatingByte(0, count: lastBlock - first - blockSize)
            readObject(index: index, offset: lastBlock, length: blockSize, buffer: buffer, completion: completion)
        }
    }

    private func zeros(_ count: Int) -> ByteBuffer {
        var buffer = ByteBuffer()
        if count > 0 { buffer.writeRepeatingByte(0, count: count) }
        return buffer
    }
}
