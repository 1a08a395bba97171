import Cluster
import ObjectModel
import SheepProtocol

/// Where the changes of a volume went since its last flush.
struct UnflushedChanges {
    /// A sheep from its start to its end: the next one does not have what this one had in memory.
    struct Run: Hashable { var node: NodeID, boot: BootID }

    /// The members that were sent them.
    private(set) var runs: [Run] = []
    var groups = GroupSet()

    mutating func insert(_ node: NodeID, _ boot: BootID?) {
        guard let boot, !runs.contains(where: { $0.node == node && $0.boot == boot }) else { return }
        runs.append(Run(node: node, boot: boot))
    }
}

/// A set of placement groups: a bit for each, 8 KiB once there is one.
struct GroupSet {
    private var words: [UInt64] = []

    var isEmpty: Bool { words.isEmpty }

    mutating func formUnion(_ other: GroupSet) {
        if other.isEmpty { return }
        if isEmpty { return words = other.words }
        for at in words.indices { words[at] |= other.words[at] }
    }

    mutating func insert(_ group: PlacementGroup) {
        if words.isEmpty { words = Array(repeating: 0, count: PlacementGroup.count / 64) }
        words[Int(group.rawValue) / 64] |= 1 << UInt64(group.rawValue % 64)
    }

    func contains(where condition: (PlacementGroup) -> Bool) -> Bool { !allSatisfy { !condition($0) } }

    /// True when `condition` holds for each of them.
    func allSatisfy(_ condition: (PlacementGroup) -> Bool) -> Bool {
        for (at, word) in words.enumerated() {
            var rest = word
            while rest != 0 {
                guard condition(PlacementGroup(rawValue: UInt16(at * 64 + rest.trailingZeroBitCount))) else { return false }
                rest &= rest - 1
            }
        }
        return true
    }
}

extension VolumeSession {
    /// Makes durable, on every member, all that was acknowledged before; the first flush of a term goes to all nodes.
    ///
    /// A member that goes down meanwhile is not waited for while another in-sync one has what it had: it is compared before it
    /// counts again. Was it the last, the flush waits until the group has an in-sync member again, and goes to all once more.
    func flush(completion: @escaping (SheepError?) -> Void) {
        guard let term else {
            return submit(VolumeRequest(offset: 0, work: .flush(completion), receivedAt: node.clock.now()))
        }
        let flush = VolumeFlush(session: self, term: term, changes: unflushed, completion: completion)
        unflushed = changesUnderWay()
        flushes.append(flush)
        flush.start()
    }

    /// What is under way now may reach a member after this flush did, and is acknowledged before the next: that one covers it.
    private func changesUnderWay() -> UnflushedChanges {
        var changes = UnflushedChanges()
        for change in window.active {
            let group = PlacementGroup(family: volume.family, index: change.index)
            changes.groups.insert(group)
            let set = node.replicas(of: group, copies: volume.copies).set
            for member in set.inSync + set.syncing { changes.insert(member.node, node.boots[member.node]) }
        }
        return changes
    }

    /// Answers flushes in the order they came: one that found nothing to do still waits for those before it,
    /// which are making durable what it must cover, and fails with them.
    func flushesAdvanced() {
        while let first = flushes.first, let outcome = first.outcome {
            flushes.removeFirst()
            if let error = outcome.error { for later in flushes { later.fail(error) } }
            first.completion(outcome.error)
        }
    }

    /// Every group that was changed has an in-sync member; nil: every group.
    func isServed(_ changes: UnflushedChanges?) -> Bool {
        if !node.hasClosedGroups(copies: volume.copies) { return true }
        guard let changes else { return false }
        return changes.groups.allSatisfy { !node.replicas(of: $0, copies: volume.copies).set.inSync.isEmpty }
    }
}

/// One flush on its way to all nodes that have unsynced writes of a volume.
final class VolumeFlush<Env: NodeEnvironment> {
    private let session: VolumeSession<Env>
    private let term: Term
    private let changes: UnflushedChanges?
    private(set) var remaining: Set<NodeID> = []
    /// The runs that this round asks: a later one of the same sheep cannot speak for them.
    private var asked: [NodeID: BootID] = [:]
    /// A member left before it answered: another one must have what it had.
    private var hasLeaver = false
    let completion: (SheepError?) -> Void
    let startedAt: UInt64
    /// Set once: how it ended.
    private(set) var outcome: (error: SheepError?, Void)?

    init(session: VolumeSession<Env>, term: Term, changes: UnflushedChanges?, completion: @escaping (SheepError?) -> Void) {
        (self.session, self.term, self.changes, self.completion) = (session, term, changes, completion)
        startedAt = session.node.clock.now()
    }

    func start() {
        guard let changes else { return sendToAll() }
        let (members, boots) = (members, session.node.boots)
        let present = changes.runs.filter { members.contains($0.node) && boots[$0.node] == $0.boot }
        hasLeaver = present.count < changes.runs.count
        send(to: Set(present.map(\.node)))
    }

    /// Whose copies count for anything. One that left is not asked again: it could fail at once, round after round.
    private var members: Set<NodeID> { session.node.storingNodes.filter(isIn) }

    private func sendToAll() {
        guard outcome == nil else { return }
        guard session.isServed(changes) else { return later { self.sendToAll() } }
        hasLeaver = false
        send(to: members)
    }

    private func send(to targets: Set<NodeID>) {
        remaining = targets
        asked = session.node.boots.filter { targets.contains($0.key) }
        // Nothing was written since the last flush: still only a holder of the lease may say so.
        if remaining.isEmpty { return roundEnded() }
        for target in remaining.sorted() { send(to: target) }
    }

    private func send(to target: NodeID) {
        let node = session.node
        if target == node.identity {
            return node.replica.flushLocally(session.birth) { self.answered(by: target, error: $0) }
        }
        let request = ReplicaFlush(
            context: session.context(to: target, version: node.membershipVersion, term: term), family: session.volume.family)
        node.network.send(.replicaFlush, body: request.wire, payload: nil, to: target) { result in
            if case .failure(let error) = result { self.answered(by: target, error: error) } else {
                self.answered(by: target, error: nil)
            }
        }
    }

    private func answered(by target: NodeID, error: SheepError?) {
        guard outcome == nil, remaining.contains(target) else { return }
        let node = session.node
        if let error, isStillIn(target) {
            if error.code == .inputOutput { node.membership.diskFailed(of: target) }
            return later {
                if self.isStillIn(target) { self.send(to: target) } else { self.answered(by: target, error: error) }
            }
        }
        if error != nil { hasLeaver = true }
        remaining.remove(target)
        if remaining.isEmpty { roundEnded() }
    }

    private func isStillIn(_ target: NodeID) -> Bool { isIn(target) && session.node.boots[target] == asked[target] }

    /// It may still have what is to be made durable.
    private func isIn(_ target: NodeID) -> Bool {
        session.node.storingNodes.contains(target) && !session.node.control.state.isOut(target)
    }

    private func roundEnded() {
        guard outcome == nil else { return }
        if hasLeaver { return sendToAll() }
        session.node.whenLeaseHeld { self.end(nil) }
    }

    /// A member whose disk hangs gives no answer at all: after the request's time it leaves where enough others stay, after twice that
    /// the flush fails.
    func tick(now: UInt64) {
        let node = session.node
        for target in remaining.sorted() where !isStillIn(target) {
            answered(by: target, error: SheepError(.unavailable, "it left the sets before it answered"))
        }
        let limit = node.options.inputOutputTimeout
        guard outcome == nil, limit > 0, now > startedAt + limit else { return }
        if now > startedAt + 2 * limit { return end(tookTooLong) }
        for target in remaining {
            if let disk = node.control.state.nodes[target]?.diskIDs.first { node.membership.slow(disk, mayBeOwn: true) }
        }
    }

    private var tookTooLong: SheepError {
        SheepError(.unavailable, "volume \(session.volume.name) could not be flushed on enough nodes; see 'dog cluster info'")
    }

    /// Goes on after a while, or fails when the request's time is over.
    private func later(_ action: @escaping () -> Void) {
        let node = session.node
        let limit = node.options.inputOutputTimeout
        if limit > 0, node.clock.now() - startedAt > limit {
            return end(tookTooLong)
        }
        node.clock.schedule(after: NodeTiming.retry, action)
    }

    private func end(_ error: SheepError?) {
        guard outcome == nil else { return }
        outcome = (error, ())
        // Whoever flushes next has to make all of it durable.
        if error != nil { session.unflushed = nil }
        session.flushesAdvanced()
    }

    /// One before this failed, and with it what this was to cover.
    func fail(_ error: SheepError) { outcome = (error, ()) }
}
