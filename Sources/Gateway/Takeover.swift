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
        /// Nodes where it failed on the way.
        var partial: Set<NodeID>
    }

    private let session: VolumeSession<Env>
    private let term: Term
    private var answers: [NodeID: [UnsettledRecord]] = [:]
    private var asked: Set<NodeID> = []
    /// Counts the times that the members changed before all had answered.
    private var round = 0
    private var holdings: [Holding] = []
    /// What ``rollNext()`` is at.
    private var rolling: Holding?
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

    /// What a member said counts as long as it stays one: one that returns may have copied from another meanwhile.
    func membershipChanged() {
        if isGathered {
            for place in holdings.indices { forgetLeavers(&holdings[place]) }
            if rolling != nil { forgetLeavers(&rolling!) }
            return
        }
        guard isWanted else { return }
        round += 1
        (answers, asked) = ([:], [])
        ask()
    }

    private func forgetLeavers(_ holding: inout Holding) {
        let group = ObjectSlot(family: holding.record.object.family, index: holding.record.object.index).group
        let set = node.replicaSet(of: group, copies: session.volume.copies)
        holding.holders.formIntersection((set.inSync + set.syncing).map(\.node))
    }

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
            return node.replica.gatherLocally(session.birth, term: term) { [self, round] records in
                guard round == self.round else { return }
                answers[target] = records ?? []
                ask()
            }
        }
        // Who was the owner before answers when it knows that it is no more.
        let request = ReplicaGather(context: session.context(to: target, version: node.control.appliedIndex, term: term))
        node.network.send(.replicaGather, body: request.wire, payload: nil, to: target) { [self, round] result in
            guard round == self.round else { return }
            if case .success(let reply) = result, let list = try? WireList<UnsettledRecord>(wire: reply.body) {
                answers[target] = list.elements
                return ask()
            }
            node.clock.schedule(after: NodeTiming.retry) { [self] in
                guard round == self.round else { return }
                asked.remove(target)
                ask()
            }
        }
    }

    private func rollForward() {
        var byRecord: [UnsettledRecord: Holding] = [:]
        for (target, records) in answers {
            for var record in records {
                let isPartial = record.isPartial
                record.isPartial = false
                var holding = byRecord[record] ?? Holding(record: record, holders: [], partial: [])
                if isPartial { holding.partial.insert(target) } else { holding.holders.insert(target) }
                byRecord[record] = holding
            }
        }
        holdings = byRecord.values
            .sorted { ($0.record.term, $0.record.sequence) > ($1.record.term, $1.record.sequence) }
        dropFinished()
        session.mode = .rollingForward(term)
        rollNext()
    }

    /// A change is sent only when those that it overlaps are finished. So what a younger record overlaps is on all members,
    /// also on one that came into sync later and has no record of it; doing it again would undo the younger one. Or it was undone
    /// by that one, or failed before it everywhere: then its gateway's repeat is to be carried out.
    private func dropFinished() {
        var younger: [ObjectName: [UnsettledRecord]] = [:]
        holdings = holdings.filter { holding in
            let record = holding.record
            let over = younger[record.object, default: []].filter { $0.range.overlaps(record.range) }
            younger[record.object, default: []].append(record)
            if over.isEmpty { return true }
            if !holding.holders.isEmpty, !over.contains(where: { isUndone(record, by: $0) }) { happened(record) }
            return false
        }
    }

    /// The younger one put back what was there before, or is the same once more, of which is judged by itself.
    private func isUndone(_ record: UnsettledRecord, by younger: UnsettledRecord) -> Bool {
        guard let origin = record.origin, let other = younger.origin else { return false }
        return other == origin || other.undoes(origin)
    }

    /// It is on all members: should its gateway ask for it once more, it is answered.
    private func happened(_ record: UnsettledRecord) {
        if let origin = record.origin, !origin.isUndo { session.forwarded.finished(origin) }
    }

    /// The oldest first: younger ones that overlap it come after it on every member.
    private func rollNext() {
        // The volume may have been deleted meanwhile.
        guard case .rollingForward = session.mode else { return }
        guard let holding = holdings.popLast() else {
            session.mode = .opening
            return session.opened(term: term)
        }
        rolling = holding
        let record = holding.record
        let slot = ObjectSlot(family: record.object.family, index: record.object.index)
        let set = node.replicaSet(of: slot.group, copies: session.volume.copies)
        let members = Set((set.inSync + set.syncing).map(\.node))
        let inSync = Set(set.inSync.map(\.node))
        let holders = holding.holders.intersection(members)
        // Everything was on all members before the birth was frozen.
        if record.object.birth != session.birth || !inSync.isEmpty && holders == members {
            happened(record)
            return rollNext()
        }
        // The group opens with a copy that is not here: whether that one has it will show.
        if inSync.isEmpty { return rollNext() }
        let whole = holders.intersection(inSync).sorted()
        let others = surestFirst(inSync.subtracting(holders))
        // Only members that are still syncing have it, or some that have it in part, or one that is no member any more, from which some may
        // have got it when they caught up: it did not happen, and all get what one has.
        if whole.isEmpty { return recall(record, at: others) }
        if record.kind != .write { return redo(record, kind: record.kind, data: nil, isSame: true) }
        read(record, from: whole, orFrom: others)
    }

    /// Of one that a gateway passed on, members may have notes of what a former run did, or the one that they copied from.
    private func recall(_ record: UnsettledRecord, at members: [NodeID]) {
        guard let origin = record.origin, !origin.isUndo else { return read(record, from: members, orFrom: [], isSame: false) }
        var holders: [NodeID] = []
        var isAnswered = true
        var remaining = members.count
        for member in members {
            session.ask(member, for: origin, durable: false) { [self] answer in
                switch answer {
                case .success(.done): holders.append(member)
                case .success(.inPart): rolling?.partial.insert(member)
                case .success(.notDone): break
                case .failure: isAnswered = false
                }
                remaining -= 1
                guard remaining == 0, isStillOwner else { return }
                guard isAnswered else {
                    node.clock.schedule(after: NodeTiming.retry) { [self] in rollAgain() }
                    return
                }
                read(record, from: holders.sorted(), orFrom: surestFirst(Set(members).subtracting(holders)), isSame: !holders.isEmpty)
            }
        }
    }

    /// Best is one that surely has nothing of the change.
    private func surestFirst(_ members: Set<NodeID>) -> [NodeID] {
        let mayHaveSome = rolling?.partial ?? []
        return members.subtracting(mayHaveSome).sorted() + members.intersection(mayHaveSome).sorted()
    }

    /// Reads the range at one of its holders, or, when none of them can give it, at one of the others: then it did not happen.
    private func read(_ record: UnsettledRecord, from holders: [NodeID], orFrom others: [NodeID], isSame: Bool = true) {
        guard let source = holders.first else {
            // Nobody has it any more, or nobody can read it: then reads find the damage.
            if others.isEmpty { return rollNext() }
            return read(record, from: others, orFrom: [], isSame: false)
        }
        let next = { [self] in read(record, from: Array(holders.dropFirst()), orFrom: others, isSame: isSame) }
        let slot = ObjectSlot(family: record.object.family, index: record.object.index)
        // One that gives no answer now may have it all the same: the other holders are asked first, and then that one again.
        let boot = node.boots[source]
        let later = { [self] in
            _ = node.clock.schedule(after: NodeTiming.retry) { [self] in
                guard isStillOwner else { return }
                guard isInSync(source, at: slot), node.boots[source] == boot else {
                    // It left meanwhile, as one that is placed no longer does.
                    return rollAgain()
                }
                read(record, from: holders.dropFirst() + [source], orFrom: others, isSame: isSame)
            }
        }
        if source == node.identity {
            return node.replica.readLocally(
                family: slot.family, birth: session.birth, index: slot.index, offset: Int(record.offset),
                length: Int(record.length), appendingTo: .init(), patience: holders.count == 1 ? .full : .none
            ) { [self] result in
                switch result {
                case .success(let data): redo(record, kind: .write, data: data, isSame: isSame, from: source)
                case .failure(let failure) where failure.error.code == .unavailable: later()
                case .failure: next()
                }
            }
        }
        let set = node.replicaSet(of: slot.group, copies: session.volume.copies)
        let request = ReplicaRead(
            context: session.context(to: source, version: set.version, term: term), family: slot.family,
            birth: session.birth, index: slot.index, offset: record.offset, length: record.length, isLastResort: holders.count == 1)
        node.network.send(.replicaRead, body: request.wire, payload: nil, to: source) { [self] result in
            guard isStillOwner else { return }
            switch result {
            case .success(let reply): redo(record, kind: .write, data: reply.payload, isSame: isSame, from: source)
            case .failure(let error) where error.code != .damaged && error.code != .inputOutput && node.storingNodes.contains(source):
                later()
            case .failure: next()
            }
        }
    }

    /// The same change, with the members that are in sync now.
    private func rollAgain() {
        if let rolling { holdings.append(rolling) }
        rollNext()
    }

    private func isInSync(_ member: NodeID, at slot: ObjectSlot) -> Bool {
        node.replicaSet(of: slot.group, copies: session.volume.copies).inSync.contains { $0.node == member }
    }

    private var isStillOwner: Bool { node.control.state.leases[session.birth]?.term == term }

    /// `isSame`: it is the change itself, not what was there before it. Its gateway's repeat is answered without being done, so
    /// this is as durable as anybody may have asked. Else the bytes of `source` take its place: where that one may have some of the change,
    /// it may be read from now on, and the gateway's repeat is not done over what somebody writes after that.
    private func redo(_ record: UnsettledRecord, kind: ChangeKind, data: ByteBuffer?, isSame: Bool, from source: NodeID? = nil) {
        let isInDoubt = source.map { rolling?.partial.contains($0) ?? false } ?? false
        session.startChange(
            kind, index: record.object.index, offset: Int(record.offset), length: Int(record.length), data: data ?? .init(), durable: true,
            from: ChangeSender(origin: isSame ? record.origin : .undo(of: record.origin, inDoubt: isInDoubt))
        ) { [self] error in
            if isSame, error == nil { happened(record) }
            rollNext()
        }
    }
}
