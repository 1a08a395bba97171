import Cluster
import NIOCore
import ObjectModel
import SheepProtocol

/// Reads a frozen birth: no lease, any in-sync member, the local one first.
final class SnapshotReader<Env: NodeEnvironment> {
    let node: SheepNode<Env>
    let volume: Cluster.VolumeRecord

    init(node: SheepNode<Env>, volume: Cluster.VolumeRecord) { (self.node, self.volume) = (node, volume) }

    private var objectSize: Int { volume.shift.objectSize }

    /// The snapshot was deleted since it was opened: its objects go, so what reads as zeros may be none of its content.
    var gone: SheepError? {
        guard node.control.state.volume(volume.birth)?.isDeleted ?? true else { return nil }
        return SheepError(.noSuchSnapshot, "snapshot \(volume.tag.isEmpty ? "\(volume.snapshotID)" : volume.tag) of \(volume.name) was deleted")
    }

    /// The volume's last entry as this sheep knows it now: a member that knows more refuses, and the log will tell.
    private var lastEntry: LogIndex { node.control.state.volume(volume.birth)?.lastEntry ?? volume.lastEntry }

    func read(
        at offset: UInt64, length: Int, buffer: ByteBuffer, completion: @escaping (Result<ByteBuffer, SheepError>) -> Void
    ) {
        let within = Int(offset % UInt64(objectSize))
        let piece = min(length, objectSize - within)
        let slot = ObjectSlot(family: volume.family, index: UInt32(offset / UInt64(objectSize)))
        readObject(slot, offset: within, length: piece, buffer: buffer, avoiding: [], startedAt: node.clock.now()) { [self] result in
            if let gone { return completion(.failure(gone)) }
            guard case .success(let buffer) = result, length > piece else { return completion(result) }
            read(at: offset + UInt64(piece), length: length - piece, buffer: buffer, completion: completion)
        }
    }

    private func readObject(
        _ slot: ObjectSlot, offset: Int, length: Int, buffer: ByteBuffer, avoiding: [NodeID], startedAt: UInt64,
        damage: SheepError? = nil, completion: @escaping (Result<ByteBuffer, SheepError>) -> Void
    ) {
        if node.holdsCurrent(slot, copies: volume.copies), !avoiding.contains(node.identity) {
            return node.replica.readLocally(
                family: volume.family, birth: volume.birth, index: slot.index, offset: offset, length: length,
                appendingTo: buffer
            ) { [self] result in
                switch result {
                case .success(let buffer): node.whenLeaseHeld { completion(.success(buffer)) }
                case .failure(let failure):
                    readObject(
                        slot, offset: offset, length: length, buffer: failure.buffer, avoiding: avoiding + [node.identity],
                        startedAt: startedAt, damage: failure.error.code == .damaged ? failure.error : nil, completion: completion)
                }
            }
        }
        let set = node.replicaSet(of: slot.group, copies: volume.copies)
        let choices = set.inSync.filter { $0.node != node.identity && !avoiding.contains($0.node) }
        guard let member = choices.first else {
            return waitOrFail(
                slot, offset: offset, length: length, buffer: buffer, startedAt: startedAt, damage: damage, completion: completion)
        }
        let request = ReplicaRead(
            context: ReplicaContext(
                volume: volume.birth, term: .zero, groupVersion: set.version, volumeEntry: lastEntry,
                senderIncarnation: node.incarnation, receiverBoot: node.boots[member.node] ?? BootID(rawValue: 0)),
            family: volume.family, birth: volume.birth, index: slot.index, offset: UInt32(offset), length: UInt32(length),
            isLastResort: choices.count == 1)
        node.network.send(.replicaRead, body: request.wire, payload: nil, to: member.node) { [self] result in
            guard case .success(let reply) = result, reply.payload.readableBytes == length else {
                let found = result.failure.flatMap { $0.code == .damaged ? $0 : nil }
                return readObject(
                    slot, offset: offset, length: length, buffer: buffer, avoiding: avoiding + [member.node],
                    startedAt: startedAt, damage: damage ?? found, completion: completion)
            }
            var (buffer, payload) = (buffer, reply.payload)
            buffer.writeBuffer(&payload)
            completion(.success(buffer))
        }
    }

    /// No member answered: tries them all again, until the time limit.
    private func waitOrFail(
        _ slot: ObjectSlot, offset: Int, length: Int, buffer: ByteBuffer, startedAt: UInt64, damage: SheepError?,
        completion: @escaping (Result<ByteBuffer, SheepError>) -> Void
    ) {
        let limit = node.options.inputOutputTimeout
        // Copies that are damaged have a moment to repair each other.
        if let damage, node.clock.now() > startedAt + NodeTiming.damagedRead {
            return completion(.failure(SheepError(.inputOutput, "\(damage.message); no other copy gives it")))
        }
        if limit > 0, node.clock.now() > startedAt + limit {
            return completion(.failure(SheepError(.inputOutput, "no copy of object \(slot.index) of \(volume.name) could be read; see 'dog cluster info'")))
        }
        node.clock.schedule(after: NodeTiming.retry) { [self] in
            readObject(slot, offset: offset, length: length, buffer: buffer, avoiding: [], startedAt: startedAt, completion: completion)
        }
    }

    func status(at offset: UInt64, length: UInt64, completion: @escaping (Result<[StoredExtent], SheepError>) -> Void) {
        statusPiece(at: offset, end: offset + length, extents: [], objects: 0, completion: completion)
    }

    private func statusPiece(
        at start: UInt64, end: UInt64, extents: [StoredExtent], objects: Int,
        completion: @escaping (Result<[StoredExtent], SheepError>) -> Void
    ) {
        var (position, extents, objects) = (start, extents, objects)
        let size = UInt64(objectSize)
        while position < end, objects < 4096 {
            let slot = ObjectSlot(family: volume.family, index: UInt32(position / size))
            let (within, length) = (position % size, min(size - position % size, end - position))
            objects += 1
            position += length
            // Without a replica of its own this sheep calls everything stored: always true enough, never wrong data.
            guard node.holdsCurrent(slot, copies: volume.copies) else {
                extents.extend(length, isStored: true)
                continue
            }
            var answer: Result<[StoredRange], SheepError>?
            node.replica.storedRanges(family: volume.family, birth: volume.birth, index: slot.index) { answer = $0 }
            switch answer {
            case .success(let ranges): extents.append(ranges: ranges, from: Int(within), length: Int(length))
            case .failure, nil: extents.extend(length, isStored: true)
            }
        }
        completion(.success(extents))
    }
}
