import Cluster
import ObjectModel
import Testing

@Suite struct LeaseTests {
    @Test("a lease goes to a node that is up with its present boot id, and every grant raises the term")
    func acquire() {
        var talk = Conversation.formatted()
        let volume = talk.create("a")
        #expect(talk.acquire(volume, 1, run: 9).refusal == .stale)
        #expect(talk.acquire(volume, 9).refusal == .stale)
        #expect(talk.acquire(volume, 1).term == Term(rawValue: 1))
        #expect(talk.acquire(volume, 1).term == Term(rawValue: 2))
        let refused = talk.acquire(volume, 2)
        guard case .refused(let error) = refused else { Issue.record("granted twice"); return }
        #expect(error.code == .volumeLocked && error.message.contains(NodeID(1).description))
        #expect(talk.say(.releaseLease(volume, NodeID(1), Term(rawValue: 1))).refusal == .stale)
        #expect(talk.say(.releaseLease(volume, NodeID(2), Term(rawValue: 2))).refusal == .stale)
        #expect(talk.say(.releaseLease(volume, NodeID(1), Term(rawValue: 2))) == .done)
        #expect(talk.state.owner(of: volume) == nil)
        #expect(talk.acquire(volume, 2).term == Term(rawValue: 3))
    }

    @Test("an owner hands its lease over to a node that is up, under the next term; nobody else may")
    func handOver() {
        var talk = Conversation.formatted()
        let volume = talk.create("a")
        let term = talk.acquire(volume, 1).term!
        func handOver(from node: UInt64, _ term: Term, to heir: UInt64) -> ControlResult {
            talk.say(.handOverLease(volume, NodeID(node), term, to: NodeID(heir)))
        }
        #expect(handOver(from: 2, term, to: 3).refusal == .stale, "not its own")
        #expect(handOver(from: 1, term.next, to: 2).refusal == .stale)
        #expect(handOver(from: 1, term, to: 1).refusal == .invalidArgument)
        #expect(handOver(from: 1, term, to: 9).refusal == .noSuchNode)
        #expect(handOver(from: 1, term, to: 2) == .done)
        let lease = talk.state.leases[volume]
        #expect(lease?.owner == NodeID(2) && lease?.boot == talk.state.nodes[NodeID(2)]?.boot && lease?.term == term.next)
        #expect(talk.state.volume(volume)?.term == term.next)
        #expect(handOver(from: 1, term, to: 3).refusal == .stale, "given away")
        talk.down((1, 1))
        #expect(handOver(from: 2, term.next, to: 1).refusal == .noSuchNode)
        talk.down((2, 1))
        #expect(talk.state.owner(of: volume) == nil)
    }

    @Test("an owner that goes down loses its leases to a higher term")
    func down() {
        var talk = Conversation.formatted()
        let (a, b) = (talk.create("a"), talk.create("b"))
        talk.acquire(a, 1)
        talk.acquire(b, 2)
        talk.down((1, 1))
        #expect(talk.state.leases.keys.sorted() == [b])
        #expect(talk.state.volume(a)?.term == Term(rawValue: 2))
        #expect(talk.acquire(a, 3).term == Term(rawValue: 3))
        #expect(talk.say(.snapshotVolume(.init(volume: a, tag: "", term: Term(rawValue: 1)))).refusal == .stale)
    }

    @Test("a repeat returns the first result, also after a restart from a snapshot")
    func repeats() throws {
        var talk = Conversation.formatted()
        let request = RequestID(high: 5, low: 5)
        let first = talk.say(talk.entry(.createVolume(.init(name: "a", size: 1)), request: request))
        talk.state = try ControlState(wire: talk.state.wire)
        #expect(talk.say(talk.entry(.createVolume(.init(name: "a", size: 1)), request: request)) == first)
        #expect(talk.state.volumes.count == 1)
        for _ in 0..<5000 { talk.say(.forgetVolume(Birth(rawValue: 0))) }
        #expect(talk.say(talk.entry(.createVolume(.init(name: "a", size: 1)), request: request)).refusal == .volumeExists, "forgotten")
    }

    @Test("an entry for another state is not taken")
    func mismatch() {
        var talk = Conversation.formatted()
        var entry = talk.entry(.shutdown, request: RequestID(high: 5, low: 5))
        entry.stateDigest ^= 1
        let before = talk.state.wire
        #expect(throws: StateMismatch.self) { _ = try talk.state.apply(entry, at: talk.now.next) }
        #expect(talk.state.wire == before)
    }

    @Test("Sheepdog's locks: one normal owner or up to 31 that share; a node that goes down leaves")
    func locks() {
        var talk = Conversation.formatted(nodes: 3)
        let volume = talk.create("a")
        func lock(_ node: UInt64, shared: Bool = false) -> SheepError.Code? {
            talk.say(.lockVolume(volume, owner: NodeID(node), shared: shared)).refusal
        }
        #expect(lock(1) == nil && lock(1) == .volumeLocked, "a second client of the same sheep")
        #expect(lock(2) == .volumeLocked && lock(2, shared: true) == .volumeLocked)
        #expect(talk.say(.unlockVolume(volume, owner: NodeID(2))).refusal == .notLocked)
        #expect(talk.say(.unlockVolume(volume, owner: NodeID(1))) == .done)
        #expect(lock(1, shared: true) == nil && lock(1, shared: true) == nil)
        #expect(lock(2, shared: true) == nil && lock(3) == .volumeLocked)
        talk.down((1, 1))
        #expect(talk.state.locks[volume]?.owners == [NodeID(2)])
        #expect(talk.say(.unlockVolume(volume, owner: nil)) == .done && talk.state.locks.isEmpty)
        #expect(lock(1) == .noSuchNode, "it is down")
        for node: UInt64 in 10..<41 { talk.up(node, virtualNodes: 0) }
        for node: UInt64 in 10..<41 { #expect(lock(node, shared: true) == nil) }
        #expect(lock(2, shared: true) == .volumeLocked)
    }
}
