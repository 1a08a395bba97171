import ObjectModel
import Testing
import Viewstamped

@Suite("Viewstamped log, step by step")
struct ConversationTests {
    private func opened(founders: Int, others: Int = 0) -> Group {
        var group = Group(founders: founders, others: others)
        let all = Array(0..<founders + others)
        group.meet(all)
        group.tick(all, times: ViewstampedLog.patienceTicks + 1)
        return group
    }

    @Test("the first voter leads, and what a majority has is committed everywhere")
    func commits() {
        var group = opened(founders: 3)
        #expect(group.leaders == [0])
        group.propose(1, by: 2, among: [0, 1, 2])
        #expect(group.delivered == Array(repeating: [.payload([1])], count: 3))
    }

    @Test("a node alone of three commits nothing; a node that is the only voter does")
    func alone() {
        var group = opened(founders: 3)
        group.meet([0])
        group.propose(1, by: 0, among: [0])
        #expect(group.delivered[0].isEmpty)

        var single = opened(founders: 1)
        single.propose(1, by: 0, among: [0])
        #expect(single.delivered[0] == [.payload([1])])
    }

    @Test("nothing is committed while no disk but the leader's has confirmed")
    func persisted() {
        var group = opened(founders: 3)
        group.stalled = [1, 2]
        group.propose(1, by: 0, among: [0, 1, 2])
        #expect(group.delivered == [[], [], []])
        group.stalled = []
        group.run(1) { $0.persisted(.max) }
        group.settle(among: [0, 1, 2])
        #expect(group.delivered[0] == [.payload([1])])
    }

    @Test("a promise is told when it is durable, not before, and lower views are refused from then on")
    func promise() {
        var group = Group(founders: 3)
        group.meet([0, 1, 2])
        group.stalled = [1]
        let view = View(number: 5, leader: Group.id(2))
        let request = Envelope(log: group.log, sender: Group.id(2), receiver: nil, message: .promiseRequest(PromiseRequest(view: view)))
        group.run(1) { $0.received(request) }
        #expect(group.wire.isEmpty)
        group.run(1) { $0.persisted(.max) }
        #expect(group.wire.map(\.receiver) == [Group.id(2)])
        guard case .promise(let promise) = group.wire.removeFirst().message else { return #expect(Bool(false), "no promise") }
        #expect(promise.view == view)

        let lower = PromiseRequest(view: View(number: 4, leader: Group.id(0)))
        group.run(1) { $0.received(Envelope(log: nil, sender: Group.id(0), receiver: nil, message: .promiseRequest(lower))) }
        #expect(group.wire.map(\.message) == [.refusal(Refusal(promised: view))])
    }

    @Test("who wants to lead makes its own promise durable before it asks: a view never begins twice")
    func ownPromise() {
        var group = Group(founders: 3)
        group.meet([0, 1, 2])
        group.stalled = [0]
        group.tick([0], times: ViewstampedLog.patienceTicks)
        #expect(group.nodes[0].stored.promised.leader == Group.id(0))
        #expect(group.wire.isEmpty)
        let number = group.nodes[0].stored.promised.number
        group.run(0) { $0.persisted(.max) }
        let view = View(number: number, leader: Group.id(0))
        #expect(group.wire.map(\.message) == [.promiseRequest(PromiseRequest(view: view))])
    }

    @Test("the leader gone, the next one in the group's order leads at once, with what was committed")
    func takeover() {
        var group = opened(founders: 3)
        group.propose(1, by: 0, among: [0, 1, 2])
        group.meet([1, 2])
        group.settle(among: [1, 2])
        #expect(group.nodes[1].isLeading)
        group.propose(2, by: 2, among: [1, 2])
        #expect(group.delivered[2] == [.payload([1]), .payload([2])])
        // The old leader returns: it stands back and learns.
        group.meet([0, 1, 2])
        group.tick([0, 1, 2], times: 3)
        #expect(group.delivered[0] == [.payload([1]), .payload([2])])
        #expect(group.leaders == [1])
    }

    @Test("an entry that only the old leader has is replaced by its successor's")
    func replaced() {
        var group = opened(founders: 3)
        group.propose(1, by: 0, among: [0])
        group.meet([1, 2])
        group.settle(among: [1, 2])
        group.propose(2, by: 1, among: [1, 2])
        group.meet([0, 1, 2])
        group.tick([0, 1, 2], times: 3)
        // Whoever proposed it proposes it again, for the next index.
        #expect(group.delivered == Array(repeating: [.payload([2])], count: 3))
        #expect(group.nodes[0].stored.entries == [.payload([2])])
    }

    @Test("one index has one entry: a proposal that is late or repeated changes nothing")
    func repeated() {
        var group = opened(founders: 3)
        let proposal = Proposal(index: LogIndex(rawValue: 1), entry: .payload([9]))
        let envelope = Envelope(log: group.log, sender: Group.id(2), receiver: Group.id(0), message: .proposal(proposal))
        for _ in 0..<3 {
            group.run(0) { $0.received(envelope) }
            group.settle(among: [0, 1, 2])
        }
        #expect(group.delivered[1] == [.payload([9])])
    }

    @Test("a node with an empty store learns, and counts only when it was voted in")
    func learner() {
        var group = opened(founders: 2, others: 1)
        group.propose(1, by: 2, among: [0, 1, 2])
        #expect(group.delivered[2] == [.payload([1])])
        // Of two voters both are needed, whoever else is there.
        group.meet([0, 2])
        group.propose(2, by: 0, among: [0, 2])
        #expect(group.delivered[0] == [.payload([1])])
        group.meet([0, 1, 2])
        group.tick([0, 1, 2], times: 2)
        group.run(0) { $0.proposed(.voters(.add(Group.id(2))), at: $0.delivered.next) }
        group.settle(among: [0, 1, 2])
        #expect(group.nodes[1].stored.voters.settled == [0, 1, 2].map(Group.id))
        // Now it is one of three, and two are enough.
        group.meet([0, 2])
        group.propose(3, by: 2, among: [0, 2])
        #expect(group.delivered[0].last == .payload([3]))
    }

    @Test("voters that are away, behind, already there or the last ones are not changed")
    func refusedChanges() {
        var group = opened(founders: 2, others: 1)
        func refusal(_ change: VoterChange) -> Action? {
            group.run(0) { $0.proposed(.voters(change), at: $0.delivered.next) }
            group.settle(among: [0, 1, 2])
            return group.others[0].last
        }
        let next = LogIndex(rawValue: 1)
        #expect(refusal(.add(Group.id(1))) == .proposalRefused(next, .isVoterAlready))
        #expect(refusal(.add(Group.id(9))) == .proposalRefused(next, .isNotCaughtUp))
        #expect(refusal(.remove(Group.id(2))) == .proposalRefused(next, .isNoVoter))
        group.meet([0, 2])
        #expect(refusal(.remove(Group.id(0))) == .proposalRefused(next, .leavesNoMajority))

        var single = opened(founders: 1)
        single.run(0) { $0.proposed(.voters(.remove(Group.id(0))), at: $0.delivered.next) }
        #expect(single.others[0].last == .proposalRefused(next, .isLastVoter))
    }

    @Test("a leader that is voted out hands over")
    func leaderVotedOut() {
        var group = opened(founders: 3)
        group.run(0) { $0.proposed(.voters(.remove(Group.id(0))), at: $0.delivered.next) }
        group.settle(among: [0, 1, 2])
        #expect(!group.nodes[0].isLeading)
        group.tick([0, 1, 2], times: 2 * ViewstampedLog.patienceTicks + 2)
        #expect(group.leaders == [1] || group.leaders == [2])
        group.propose(1, by: 0, among: [0, 1, 2])
        #expect(group.delivered[0].last == .payload([1]))
    }

    @Test("who is far behind gets the snapshot")
    func snapshot() {
        var group = opened(founders: 3)
        group.meet([0, 1])
        for byte in 1...4 { group.propose(UInt8(byte), by: 0, among: [0, 1]) }
        for place in 0...1 { group.run(place) { $0.snapshotTaken(at: LogIndex(rawValue: 3), payload: [42]) } }
        #expect(group.nodes[0].stored.entries == [.payload([4])])
        group.meet([0, 1, 2])
        group.tick([0, 1, 2], times: 2)
        let snapshot = LogSnapshot(index: LogIndex(rawValue: 3), voters: [0, 1, 2].map(Group.id), payload: [42])
        #expect(group.others[2] == [.restored(snapshot)])
        #expect(group.delivered[2] == [.payload([4])])
    }

    @Test("a look ends after a round of a majority, not at a leader that is cut off")
    func looks() {
        var group = opened(founders: 3)
        for place in 0...2 {
            group.run(place) { $0.lookBegan(7) }
            group.settle(among: [0, 1, 2])
            #expect(group.others[place] == [.lookEnded(7)])
        }
        group.run(0) { $0.lookBegan(8) }
        group.tick([0], times: 3)
        #expect(group.others[0] == [.lookEnded(7)])
        // An answer to another run of the node is none to this one's look.
        group.run(1) { $0.lookBegan(8) }
        let reply = LookReply(boot: BootID(rawValue: 99), number: 8, committed: .zero)
        group.run(1) { [log = group.log] in $0.received(Envelope(log: log, sender: Group.id(0), receiver: nil, message: .lookReply(reply))) }
        #expect(group.others[1] == [.lookEnded(7)])
    }

    @Test("a round of a former view answers none of the present one's")
    func rounds() {
        var group = opened(founders: 3)
        group.tick([0, 1, 2], times: 20)
        group.meet([1, 2])
        group.settle(among: [1, 2])
        #expect(group.leaders.contains(1))
        // Everything that node 2 says in the new view names a round of that view.
        group.run(2) { $0.lookBegan(1) }
        group.run(1) { $0.ticked() }
        var rounds: [UInt64] = []
        var told: [UInt64] = []
        while !group.wire.isEmpty {
            let envelope = group.wire.removeFirst()
            if case .heartbeat(let heartbeat) = envelope.message { rounds.append(heartbeat.round) }
            if case .status(let status) = envelope.message { told.append(status.round) }
            for place in 1...2 { group.run(place) { $0.received(envelope) } }
        }
        #expect(!told.isEmpty)
        #expect(told.max()! <= rounds.max()!)
    }

    @Test("what is on the disk is all that a restart knows: the log goes on, the old view does not")
    func restart() {
        var group = opened(founders: 3)
        group.propose(1, by: 0, among: [0, 1, 2])
        group.nodes[0] = ViewstampedLog(node: Group.id(0), boot: BootID(rawValue: 50), stored: group.nodes[0].stored)
        group.delivered[0] = []
        group.run(0) { $0.started() }
        group.meet([0, 1, 2])
        group.tick([0, 1, 2], times: 2 * ViewstampedLog.patienceTicks + 2)
        #expect(group.delivered[0] == [.payload([1])])
        let view = group.nodes[group.leaders[0]].stored.promised
        #expect(view.number > 1)
    }

    @Test("another log's node, a message for a lost store, a contradiction: told, ignored, the end")
    func strangers() {
        var group = opened(founders: 3)
        let stranger = LogID(high: 9, low: 9)
        let heartbeat = Message.heartbeat(Heartbeat(view: View(number: 99, leader: Group.id(2)), round: 1, committed: .zero))
        group.run(1) { $0.received(Envelope(log: stranger, sender: Group.id(2), receiver: nil, message: heartbeat)) }
        #expect(group.others[1] == [.foreignLog(stranger, of: Group.id(2))])
        group.run(1) { [log = group.log] in
            $0.received(Envelope(log: log, sender: Group.id(2), receiver: NodeID(high: 77, low: 1), message: heartbeat))
        }
        #expect(group.wire.isEmpty)

        group.propose(1, by: 0, among: [0, 1, 2])
        let view = View(number: 99, leader: Group.id(2))
        let shorter = Append(view: view, part: group.nodes[0].stored.part(after: .zero), committed: .zero)
        let other = Append(
            view: view, part: LogPart(snapshot: shorter.part.snapshot!, entries: [.payload([8])]), committed: .zero)
        group.run(1) { [log = group.log] in $0.received(Envelope(log: log, sender: Group.id(2), receiver: nil, message: .append(other))) }
        guard case .failed(let reason) = group.others[1].last else { return #expect(Bool(false), "it goes on") }
        #expect(reason.contains("differs"))
        group.run(1) { $0.ticked() }
        #expect(group.wire.isEmpty)
    }
}
