// The control log of a group of nodes, by viewstamped replication (Oki, Liskov 1988; Liskov, Cowling 2012) with the voters in
// the log (Ongaro's one at a time, 2014, sections 4.1 and 4.2).
//
// Invariants
// 1. A node accepts nothing below the view that it promised, and says that it promised only when its disk says so. The leader of
//    a view makes its own promise durable before anybody hears of the view, so no view begins twice.
// 2. A view's leader adopts, of the logs of a majority of the voters that promised, the one with the highest (last normal view,
//    last index). The voters are those that this log itself says. It opens the view when a majority has adopted the log durably.
// 3. An entry is committed when a majority of the voters has it, and all before it, durably in one view. Hence, by 1 and 2, it is
//    in the log of every later view.
// 4. One entry is under way at a time (a proposal names the index after the last committed one). So an entry that is not the
//    log's last is committed, and of a log's changes of the voters only its last entry may not be.
// 5. While such a change is under way, a majority of the voters before and one of those after it decide, in elections as in
//    commits. So whoever leads later meets, in the majority of the voters of the newest change it knows, somebody who knows the
//    next one, up to the newest of all.
// 6. The group's membership decides nothing but who should try to lead. Members may differ, come late or be wrong.
package import ObjectModel

/// Decides about one node's copy of the control log: views, votes, what is committed, and when a look at the log has ended.
///
/// Pure: each method is something that happened, and gives the orders that follow from it. Time comes as ticks, about ten a
/// second, all nodes alike. After a crash it is made anew from what its records left in the store.
package struct ViewstampedLog: Sendable {
    /// Ticks without a leader until the first of the voters that are there tries to lead; the second waits twice as long, and so on.
    package static let patienceTicks = 5
    /// Looks of one node that are under way at most; one that is too many is not answered.
    static let maximumLooks = 8

    package let node: NodeID
    let boot: BootID
    /// With what is on its way to the disk.
    package private(set) var stored: StoredLog
    /// What the disk has said that it has.
    var durable: Durable
    private var recordNumber: UInt64 = 0
    private var records: [(number: UInt64, durable: Durable)] = []
    /// Answers that wait for a record.
    private var held: [(number: UInt64, envelope: Envelope)] = []

    /// In the group's order; this node among them.
    var members: [NodeID] = []
    var role = Role.following(Following())
    /// Others have shown a log that does not count this node as a voter any more, though its own does: it need not try to lead.
    var isVotedOut = false
    /// The highest view number heard of.
    var highestNumber: UInt64
    /// Up to here the delegate knows.
    package private(set) var delivered = LogIndex.zero
    /// This node's, until something is committed at its index.
    var proposal: Proposal?
    /// This node's looks, oldest first; with the index to be delivered once it is known.
    var looks: [(number: UInt64, end: LogIndex?)] = []
    private var actions: [Action] = []

    /// What is on the disk for certain.
    struct Durable: Hashable, Sendable {
        var promised: View
        var lastNormal: View
        var last: LogIndex
        init(_ stored: StoredLog) { (promised, lastNormal, last) = (stored.promised, stored.lastNormal, stored.last) }
    }

    /// `boot` names this run, `stored` is what the store's records add up to.
    package init(node: NodeID, boot: BootID, stored: StoredLog) {
        (self.node, self.boot, self.stored) = (node, boot, stored)
        durable = Durable(stored)
        highestNumber = stored.promised.number
    }

    // MARK: What there is to know

    package var groupMembers: [NodeID] { members }

    package var isLeading: Bool { if case .leading = role { true } else { false } }

    /// What this node does now, for status listings and the log.
    package var standing: String {
        switch role {
        case .following(let following):
            following.heard == stored.promised ? "follows view \(stored.promised)" : "waits for a leader above view \(stored.promised)"
        case .asking(let asking): "asks for view \(asking.view), \(asking.promises.count) promises"
        case .leading(let leading): "leads view \(leading.view), \(leading.isOpen ? "open" : "waits for a majority")"
        case .failed: "has stopped"
        }
    }

    // MARK: What happened

    /// The process runs: what the store knows to be final is delivered.
    package mutating func started() -> [Action] { event { $0.deliver() } }

    /// The group service told of a membership, in the group's order.
    package mutating func groupChanged(to members: [NodeID]) -> [Action] {
        event {
            $0.members = members
            $0.membersChanged()
        }
    }

    /// All records up to this number are durable.
    package mutating func persisted(_ number: UInt64) -> [Action] {
        event { log in
            while let record = log.records.first, record.number <= number {
                log.durable = record.durable
                log.records.removeFirst()
            }
            log.diskCaughtUp()
            while let answer = log.held.first, answer.number <= number {
                log.held.removeFirst()
                log.order(.send(answer.envelope))
            }
        }
    }

    package mutating func ticked() -> [Action] {
        event {
            $0.sendProposal()
            switch $0.role {
            case .following: $0.tickFollowing()
            case .asking: $0.tickAsking()
            case .leading: $0.tickLeading()
            case .failed: break
            }
        }
    }

    /// An entry is wanted at `index`, the one after the last delivered (for an older one nothing happens). Something will be
    /// committed there, or ``Action/proposalRefused(_:_:)`` follows. A later proposal takes the place of one under way, whose
    /// entry may be committed all the same.
    package mutating func proposed(_ entry: LogEntry, at index: LogIndex) -> [Action] {
        event {
            guard index == $0.delivered.next else { return }
            $0.proposal = Proposal(index: index, entry: entry)
            $0.sendProposal()
        }
    }

    /// The node wants to know that it has seen all that is committed by now. Numbers ascend. Not every look ends.
    package mutating func lookBegan(_ number: UInt64) -> [Action] { event { $0.beginLook(number) } }

    /// The control state after entry `index`, which has been delivered: the log before it goes.
    package mutating func snapshotTaken(at index: LogIndex, payload: [UInt8]) -> [Action] {
        event {
            guard index > $0.stored.base.index, index <= $0.delivered else { return }
            $0.write(.compact($0.stored.snapshot(at: index, payload: payload)))
        }
    }

    package mutating func received(_ envelope: Envelope) -> [Action] {
        event { log in
            guard envelope.sender != log.node, envelope.receiver == nil || envelope.receiver == log.node else { return }
            if let other = envelope.log, let own = log.stored.log, other != own {
                return log.order(.foreignLog(other, of: envelope.sender))
            }
            log.receive(envelope)
        }
    }

    private mutating func receive(_ envelope: Envelope) {
        let sender = envelope.sender
        switch envelope.message {
        case .promiseRequest(let request): asked(request, by: sender, log: envelope.log)
        case .promise(let promise): promised(promise, by: sender)
        case .refusal(let refusal): refused(refusal)
        case .logRequest(let request): logWanted(request, by: sender)
        case .logReply(let reply): logCame(reply, from: sender)
        case .append(let append): leaderSent(append, from: sender, log: envelope.log)
        case .heartbeat(let heartbeat): leaderIsThere(heartbeat, sender)
        case .status(let status): memberTold(status, from: sender)
        case .proposal(let proposal): entryProposed(proposal, by: sender)
        case .proposalRefusal(let refusal): proposalRefused(refusal)
        case .lookRequest(let request): lookWanted(request, by: sender)
        case .lookReply(let reply): lookAnswered(reply)
        }
    }

    private mutating func event(_ work: (inout ViewstampedLog) -> Void) -> [Action] {
        if case .failed = role { return [] }
        work(&self)
        defer { actions = [] }
        return actions
    }

    // MARK: What follows

    mutating func order(_ action: Action) { actions.append(action) }

    /// The number of the record, for what has to wait for it.
    @discardableResult
    mutating func write(_ record: StoreRecord) -> UInt64 {
        recordNumber += 1
        stored.apply(record)
        records.append((recordNumber, Durable(stored)))
        order(.persist(record, number: recordNumber))
        return recordNumber
    }

    mutating func send(_ message: Message, to receiver: NodeID?, log: LogID? = nil, afterRecord number: UInt64? = nil) {
        let envelope = Envelope(log: stored.log ?? log, sender: node, receiver: receiver, message: message)
        if let number { held.append((number, envelope)) } else { order(.send(envelope)) }
    }

    mutating func fail(_ reason: String) {
        role = .failed
        order(.failed(reason))
    }

    /// The log is final up to `index`, of which this node has a beginning.
    mutating func commit(upTo index: LogIndex) {
        stored.noteCommitted(min(index, stored.last))
        deliver()
    }

    mutating func deliver() {
        if delivered < stored.base.index {
            delivered = stored.base.index
            order(.restored(stored.base))
        }
        while delivered < stored.committed, let entry = stored.entry(delivered.next) {
            delivered = delivered.next
            order(.committed(delivered, entry))
        }
        if let proposal, proposal.index <= delivered { self.proposal = nil }
        endLooks()
    }

    /// The record that makes `part` of the log of `view` this node's; nil: there is a gap, or it contradicts what is committed here.
    mutating func adoption(of part: LogPart, view: View, committed: LogIndex, log: LogID) -> StoreRecord? {
        let own = stored.committed
        guard part.end >= own else {
            fail("the log of view \(view) ends at entry \(part.end), entry \(own) is committed here: a store was restored from an older copy, or two have one identity")
            return nil
        }
        if part.snapshot != nil, part.after > own || stored.log == nil {
            return .adopt(.init(log: log, view: view, part: part, committed: committed))
        }
        guard part.after <= own, stored.log != nil else { return nil }
        let known = Int(own.rawValue - part.after.rawValue)
        for (offset, entry) in part.entries.prefix(known).enumerated() {
            let index = LogIndex(rawValue: part.after.rawValue + UInt64(offset) + 1)
            guard let mine = stored.entry(index), mine != entry else { continue }
            fail("entry \(index) of view \(view) differs from the one that is committed here: a store was restored from an older copy, or two have one identity")
            return nil
        }
        let rest = LogPart(after: own, entries: Array(part.entries.dropFirst(known)))
        return .adopt(.init(log: log, view: view, part: rest, committed: committed))
    }

    /// The disk has more than before: what counts on it goes on.
    private mutating func diskCaughtUp() {
        switch role {
        case .following(let following):
            if following.heard == stored.promised, durable.lastNormal == stored.promised { sendStatus() }
        case .asking: ownPromiseMayBeDurable()
        case .leading: ownLogMayBeDurable()
        case .failed: break
        }
    }
}
