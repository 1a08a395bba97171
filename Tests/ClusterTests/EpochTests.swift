import Cluster
import ObjectModel
import Testing

@Suite struct EpochTests {
    private let groups = stride(from: UInt16(0), to: 65_000, by: 1000)

    @Test("joins are gathered into one epoch; on an empty cluster the new disks are in sync at once")
    func joinEmpty() {
        var talk = Conversation.formatted(nodes: 2)
        talk.up(3, virtualNodes: 8)
        talk.up(4, virtualNodes: 8)
        #expect(talk.state.pendingPlacement)
        talk.say(.planPlacement)
        #expect(!talk.state.pendingPlacement && talk.state.epochs.count == 2)
        #expect(talk.state.epochs.last?.members.map(\.node) == [1, 2, 3, 4].map { NodeID($0) })
        #expect(groups.allSatisfy { talk.inSync($0).count == 3 })
        #expect(talk.say(.planPlacement) == .done && talk.state.epochs.count == 2, "nothing is gathered")
    }

    @Test("gateways and nodes without disks have no place")
    func gateway() {
        var talk = Conversation.formatted(nodes: 2)
        talk.up(3, virtualNodes: 0)
        talk.up(4, disks: [])
        #expect(!talk.state.pendingPlacement)
        #expect(talk.state.nodes[NodeID(3)]?.isGateway == true && talk.state.nodes[NodeID(4)]?.isGateway == true)
    }

    @Test("a new member is out since the beginning; who was in sync holds on until it is in sync, with the old minimum")
    func joinWithData() {
        var talk = Conversation.formatted(nodes: 3)
        _ = talk.create("a")
        talk.up(4, virtualNodes: 8)
        talk.say(.planPlacement)
        let moved = groups.filter { talk.replicas($0).out.nodes == [4] }
        #expect(!moved.isEmpty && moved.count < groups.underestimatedCount)
        for group in groups {
            #expect(talk.inSync(group) == [1, 2, 3], "all old members are still there")
            #expect(talk.replicas(group).version == talk.now)
        }
        #expect(talk.state.oldestOutSince == .zero)
        let plan = RecoveryPlan(for: DiskID(4), in: talk.state)
        #expect(plan.waiting.isEmpty && plan.tasks.allSatisfy { $0.since == .zero && $0.sources.nodes == [1, 2, 3] })

        talk.sync(4, run: 1)
        for group in groups {
            #expect(talk.inSync(group).count == 3 && talk.inSync(group).contains(4) == moved.contains(group))
        }
        #expect(talk.state.oldestOutSince == nil)
        #expect(RecoveryPlan(for: DiskID(4), in: talk.state).isEmpty)
    }

    @Test("a member that moves ahead lacks only volumes of the copies in between")
    func movesAhead() {
        var talk = Conversation.formatted(nodes: 3, copies: 1)
        _ = talk.create("one", copies: 1)
        _ = talk.create("three", copies: 3)
        talk.say(.nodeOut(NodeID(3), byOperator: true))
        talk.say(.planPlacement)
        for group in groups {
            let one = talk.replicas(group, copies: 1)
            #expect(talk.inSync(group) == [1, 2], "both have all three-copy objects, so node 3 may leave these")
            if one.out.isEmpty {
                #expect(one.inSync.count == 1)
            } else {
                #expect(one.inSync.count == 1 && one.out.count == 1, "who had the only copy holds it")
            }
        }
        talk.sync(1, run: 1)
        talk.sync(2, run: 1)
        for group in groups {
            #expect(talk.inSync(group) == [1, 2])
            #expect(talk.inSync(group, copies: 1).count == 1 && talk.inSync(group, copies: 1) != [3])
        }
        #expect(talk.replicas().minimum == 1, "two placed copies")
    }

    @Test("while removed members hold, the old minimum holds")
    func heldMinimum() {
        var talk = Conversation.formatted(nodes: 4)
        _ = talk.create("a")
        talk.say(.nodeOut(NodeID(1), byOperator: true))
        talk.say(.nodeOut(NodeID(2), byOperator: true))
        talk.say(.planPlacement)
        #expect(talk.state.zonesShort)
        let holding = groups.filter { !talk.inSync($0).allSatisfy { $0 > 2 } }
        #expect(!holding.isEmpty && holding.allSatisfy { talk.replicas($0).minimum == 2 })
        talk.sync(3, run: 1)
        talk.sync(4, run: 1)
        #expect(groups.allSatisfy { talk.inSync($0) == [3, 4] && talk.replicas($0).minimum == 1 })
        #expect(talk.state.nodes[NodeID(1)]?.status == .removed)
    }

    @Test("the automatic out is refused where there would be fewer zones than copies; an operator's is done")
    func automaticOut() {
        var talk = Conversation.formatted(nodes: 4)
        _ = talk.create("a")
        #expect(talk.say(.nodeOut(NodeID(4), byOperator: false)).refusal == .stale, "it is up")
        talk.down((4, 1), (3, 1))
        #expect(talk.say(.nodeOut(NodeID(4), byOperator: false)) == .done)
        #expect(talk.say(.nodeOut(NodeID(3), byOperator: false)).refusal == .unavailable)
        #expect(talk.say(.nodeOut(NodeID(3), byOperator: true)) == .done)
        talk.say(.planPlacement)
        #expect(groups.allSatisfy { talk.inSync($0).allSatisfy { $0 < 3 } })
        #expect(talk.say(.nodeOut(NodeID(1), byOperator: true)) == .done)
        #expect(talk.say(.nodeOut(NodeID(2), byOperator: true)).refusal == .invalidArgument, "the last one")
        #expect(talk.say(.nodeOut(NodeID(77), byOperator: true)).refusal == .noSuchNode)
    }

    @Test("a removed node that alone has the last writes holds them, comes back with them, or is given up by name")
    func lastCopyRemoved() {
        var talk = Conversation.formatted(nodes: 3, copies: 1)
        _ = talk.create("a")
        let group = groups.first { talk.inSync($0, copies: 1) == [3] }!
        talk.down((3, 1))
        talk.say(.nodeOut(NodeID(3), byOperator: false))
        #expect(talk.state.opening(abandoning: NodeID(3)).groups.values.reduce(0, +) > 0)
        #expect(talk.state.opening(abandoning: NodeID(1)).groups.isEmpty, "it is up, and has nothing alone that is missed")
        talk.say(.planPlacement)
        #expect(talk.inSync(group, copies: 1) == [] && talk.lastMembers(group, copies: 1) == [3])
        talk.say(.openGroups(present: [1, 2, 3].map { DiskID($0) }, preferred: []))
        #expect(talk.inSync(group, copies: 1) == [], "nobody else may stand in for it")

        var back = talk
        back.up(3, run: 2, virtualNodes: 8)
        back.say(.openGroups(present: [DiskID(3)], preferred: []))
        #expect(back.inSync(group, copies: 1) == [3])
        back.say(.planPlacement)
        #expect(back.inSync(group, copies: 1) == [3] && back.replicas(group, copies: 1).out.isEmpty)
        #expect(back.say(.giveUpNode(NodeID(3))).refusal == .stale, "it is up")
        #expect(back.say(.giveUpNode(NodeID(77))).refusal == .noSuchNode)

        #expect(talk.say(.nodeOut(NodeID(3), byOperator: true)) == .done)
        #expect(talk.lastMembers(group, copies: 1) == [3], "to remove it again gives nothing up")
        #expect(talk.state.opening(abandoning: NodeID(3)).groups.keys.elementsEqual([.isLost]))
        #expect(talk.say(.giveUpNode(NodeID(3))) == .done)
        #expect(talk.lastMembers(group, copies: 1) != [3])
        talk.say(.openGroups(present: [1, 2].map { DiskID($0) }, preferred: []))
        #expect(talk.inSync(group, copies: 1).count == 1)
    }

    @Test("epochs follow each other without waiting, and nothing that was in sync is lost")
    func epochAfterEpoch() {
        var talk = Conversation.formatted(nodes: 3, copies: 2)
        _ = talk.create("a")
        let old = groups.map { talk.inSync($0, copies: 2) }
        for node: UInt64 in 4...6 {
            talk.up(node, virtualNodes: 8)
            talk.say(.nodeOut(NodeID(node - 3), byOperator: true))
            talk.say(.planPlacement)
        }
        #expect(groups.map { talk.inSync($0, copies: 2) } == old)
        for node: UInt64 in 4...6 { talk.sync(node, run: 1) }
        #expect(groups.allSatisfy { talk.inSync($0, copies: 2).allSatisfy { $0 > 3 } && talk.inSync($0, copies: 2).count == 2 })
    }

    @Test("format again: all volumes are gone, nodes that are up are in sync, who is down is no member")
    func formatAgain() {
        var talk = Conversation.formatted()
        _ = talk.create("a")
        talk.down((1, 1))
        #expect(talk.format().refusal == .alreadyFormatted)
        #expect(talk.format(copies: 2, force: true) == .done)
        #expect(talk.state.volumes.isEmpty && talk.state.epochs.count == 1)
        #expect(groups.allSatisfy { talk.inSync($0) == [2, 3] })
        talk.up(1, run: 2, virtualNodes: 8)
        talk.say(.planPlacement)
        #expect(groups.allSatisfy { talk.inSync($0) == [1, 2, 3] })
    }

    @Test("a format without a disk, or with impossible copies or object size, is refused")
    func formatRefused() {
        var talk = Conversation()
        talk.up(1, virtualNodes: 0)
        #expect(talk.format().refusal == .noSpace)
        talk.up(2)
        #expect(talk.format(copies: 32).refusal == .invalidArgument)
        #expect(talk.format(copies: 0).refusal == .invalidArgument)
        #expect(talk.state.cluster == nil && talk.state.epochs.isEmpty)
    }
}
