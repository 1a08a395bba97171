import Cluster
import NIOCore
import ObjectModel
import SheepProtocol

extension UnsettledRecord {
    /// Bytes of the object.
    fileprivate var range: Range<UInt32> { offset..<offset + length }
}

/// A new owner's work before it serves: fence, gather, roll forward.
final class Takeover<Env: NodeEnvironment> {
    private struct Holding: Hashable {
        var record: UnsettledRecord
        var holders: Set<NodeID>
    }

    private let session: VolumeSession<Env>
    private let term: Term
    private var answers: [NodeID: [UnsettledRecord]] = [:]
    private var asked: Set<NodeID> = []
    private var holdings: [Holding] = []
    private var isGathered = false

    init(session: VolumeSession<Env>, term: Term) { (self.session, self.term) = (session, term) }

    private var node: SheepNode<Env> { session.node }

    /// False when the volume was closed or the lease is gone meanwhile.
    private var isWanted: Bool {
        guard case .opening = session.mode else { return false }
        let lease = node.control.state.leases[session.birth]
        return lease?.owner == node.identity && lease?.term == term
    }

    func start() { ask() }

    /// Asks every node that stores data and is up; one that does not answer is asked again until it does or is down.
    private func ask() {
        guard !isGathered else { return }
        guard isWanted else { return session.reopen() }
        let nodes = node.storingNodes
        for target in nodes.sorted() where answers[target] == nil && !asked.contains(target) {
            asked.insert(target)
            gather(from: target)
        }
        guard !isGathered, nodes.allSatisfy({ answers[$0] != nil }) else { return }
        isGathered = true
        rollForward()
    }

    private func gather(from target: NodeID) {
        if target == node.identity {
            return node.replica.gatherLocally(session.birth, term: term) { [self] records in
                answers[target] = records ?? []
                ask()
            }
        }
        let request = ReplicaGather(
            context: session.context(to: target, version: node.control.state.membershipVersion, term: term))
        node.network.send(.replicaGather, body: request.wire, payload: nil, to: target) { [self] result in
            if case .success(let reply) = result, let list = try? WireList<UnsettledRecord>(wire: reply.body) {
                answers[target] = list.elements
                return ask()
            }
            node.clock.schedule(after: NodeTiming.retry) { [self] in
                asked.remove(target)
                ask()
            }
        }
    }

    private func rollForward() {
        var byRecord: [UnsettledRecord: Set<NodeID>] = [:]
        for (target, records) in answers {
            for record in records { byRecord[record, default: []].insert(target) }
        }
        holdings = byRecord.map { Holding(record: $0.key, holders: $0.value) }
            .sorted { ($0.record.term, $0.record.sequence) > ($1.record.term, $1.record.sequence) }
        dropFinished()
        session.mode = .rollingForward(term)
        rollNext()
    }

    /// A change is sent only when those that it overlaps are finished. So what a younger record overlaps is on all members,
    /// also on one that came into sync later and has no record of it; doing it again would undo the younger one.
    private func dropFinished() {
        var younger: [ObjectName: [Range<UInt32>]] = [:]
        holdings = holdings.filter { holding in
            if younger[holding.record.object, default: []].contains(where: { $0.overlaps(holding.record.range) }) {
                happened(holding.record)
                return false
            }
            younger[holding.record.object, default: []].append(holding.record.range)
            return true
        }
    }

    /// A gateway that repeats the change gets the answer that it lacks. What is undone is no change: its repeat is carried out.
    private func happened(_ record: UnsettledRecord) {
        if let origin = record.origin { session.forwarded.finished(origin) }
    }

    /// The oldest first: younger ones that overlap it come after it on every member.
    private func rollNext() {
        guard let holding = holdings.popLast() else {
            session.mode = .opening
            return session.opened(term: term)
        }
        let record = holding.record
        let slot = ObjectSlot(family: record.object.family, index: record.object.index)
        let set = node.replicaSet(of: slot.group, copies: session.volume.copies)
        let members = Set((set.inSync + set.syncing).map(\.node))
        let inSync = Set(set.inSync.map(\.node))
        let holders = holding.holders.intersection(members)
        // On none of the present members: it did not happen. On all: nothing to do.
        if record.object.birth != session.birth || !holders.isEmpty && holders == members {
            happened(record)
            return rollNext()
        }
        if holders.isEmpty { return rollNext() }
        // Only members that are still syncing have it: it did not happen, and they get what the others have.
        if holders.isDisjoint(with: inSync) {
            var undone = record
            undone.origin = nil
            return read(undone, from: inSync.sorted())
        }
        if record.kind != .write { return redo(record, kind: record.kind, data: nil) }
        read(record, from: holders.intersection(inSync).sorted())
    }

    private func read(_ record: UnsettledRecord, from holders: [NodeID]) {
        guard let source = holders.first else {
            // The only holders left meanwhile: nobody has it any more.
            return rollNext()
        }
        let slot = ObjectSlot(family: record.object.family, index: record.object.index)
        if source == node.identity {
            return node.replica.readLocally(
                family: slot.family, birth: session.birth, index: slot.index, offset: Int(record.offset),
                length: Int(record.length), appendingTo: .init()
            ) { [self] result in
                switch result {
                case .success(let data): redo(record, kind: .write, data: data)
                case .failure: read(record, from: Array(holders.dropFirst()))
                }
            }
        }
        let set = node.replicaSet(of: slot.group, copies: session.volume.copies)
        let request = ReplicaRead(
            context: session.context(to: source, version: set.version, term: term), family: slot.family,
            birth: session.birth, index: slot.index, offset: record.offset, length: record.length)
        node.network.send(.replicaRead, body: request.wire, payload: nil, to: source) { [self] result in
            guard isStillOwner else { return }
            switch result {
            case .success(let reply): redo(record, kind: .write, data: reply.payload)
            case .failure where node.storingNodes.contains(source):
                node.clock.schedule(after: NodeTiming.retry) { [self] in read(record, from: holders) }
            case .failure: read(record, from: Array(holders.dropFirst()))
            }
        }
    }

    private var isStillOwner: Bool { node.control.state.leases[session.birth]?.term == term }

    private func redo(_ record: UnsettledRecord, kind: ChangeKind, data: ByteBuffer?) {
        happened(record)
        session.startChange(
            kind, index: record.object.index, offset: Int(record.offset), length: Int(record.length),
            data: data ?? .init(), durable: false, origin: record.origin
        ) { [self] _ in rollNext() }
    }
}
