import Cluster
import ObjectModel
import Testing

@Suite struct ShutdownTests {
    private func stopped(_ nodes: [UInt64]) -> (talk: Conversation, volume: Birth) {
        var talk = Conversation.formatted()
        let volume = talk.create("a")
        talk.acquire(volume, 1)
        #expect(talk.say(.cleanStop(NodeID(1), boot: BootID(1, 1))).refusal == .stale, "no shutdown was ordered")
        #expect(talk.say(.shutdown).refusal == .busy, "the owner may have changes under way")
        talk.say(.releaseLease(volume, NodeID(1), talk.state.leases[volume]!.term))
        #expect(talk.say(.shutdown) == .done)
        #expect(talk.state.isShutDown && talk.state.leases.isEmpty)
        #expect(talk.acquire(volume, 1).refusal == .shuttingDown)
        for node in nodes { #expect(talk.say(.cleanStop(NodeID(node), boot: BootID(node, 1))) == .done) }
        return (talk, volume)
    }

    @Test("all nodes stop cleanly and come back in sync")
    func clean() {
        var (talk, volume) = stopped([1, 2, 3])
        #expect(talk.replicas().inSync.allSatisfy { !$0.isUp })
        talk.down((1, 1), (2, 1), (3, 1))
        for node: UInt64 in 1...3 { talk.up(node, run: 2) }
        #expect(!talk.state.isShutDown)
        #expect(talk.inSync() == [1, 2, 3] && talk.replicas().inSync.allSatisfy(\.isUp))
        #expect(talk.acquire(volume, 2, run: 2).term == Term(rawValue: 2), "the grant before the shutdown, and this one")
    }

    @Test("a node that did not stop cleanly is out, and one that a lease left behind is out since that lease")
    func notClean() {
        var (talk, volume) = stopped([1, 2])
        talk.up(1, run: 2)
        talk.say(.nodesDown(.init(victims: [.init(node: NodeID(2), boot: BootID(2, 1)), .init(node: NodeID(3), boot: BootID(3, 1))], proven: true)))
        #expect(talk.inSync() == [1, 2] && talk.replicas().out.nodes == [3])
        talk.acquire(volume, 1, run: 2)
        #expect(talk.inSync() == [1], "writes are possible without node 2")
        talk.up(2, run: 2)
        talk.up(3, run: 2)
        #expect(talk.inSync() == [1])
        talk.sync(2, run: 2)
        #expect(talk.inSync() == [1, 2])
    }

    @Test("the lease comes while all members of a group are down: they are equal last members")
    func leaseWithoutMembers() {
        var (talk, volume) = stopped([1, 2, 3])
        talk.up(9, virtualNodes: 0)
        talk.acquire(volume, 9)
        #expect(talk.inSync() == [] && talk.lastMembers() == [1, 2, 3])
    }

    @Test("a member that was syncing when it stopped is out when it comes back")
    func syncingThroughStop() {
        var talk = Conversation.formatted()
        _ = talk.create("a")
        talk.up(3, run: 2)
        talk.say(.syncing(DiskID(3), boot: BootID(3, 2), [.all]))
        talk.say(.shutdown)
        talk.say(.cleanStop(NodeID(3), boot: BootID(3, 2)))
        talk.up(3, run: 3)
        #expect(talk.replicas().out.nodes == [3] && talk.replicas().syncing.isEmpty)
    }

    @Test("shutdown: volumes do not change until a node comes up anew")
    func volumes() {
        var (talk, volume) = stopped([])
        #expect(talk.say(.createVolume(.init(name: "b", size: 1))).refusal == .shuttingDown)
        #expect(talk.say(.snapshotVolume(.init(volume: volume, tag: "", term: nil))).refusal == .shuttingDown)
        talk.up(1)
        #expect(talk.state.isShutDown, "the same process announced itself again")
        talk.up(1, run: 2)
        #expect(talk.say(.createVolume(.init(name: "b", size: 1))) == .volume(Birth(rawValue: talk.now.rawValue)))
    }
}
