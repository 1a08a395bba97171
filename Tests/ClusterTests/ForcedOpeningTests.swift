import Cluster
import ObjectModel
import Testing

/// What an operator gives up, and who has it then.
@Suite struct ForcedOpeningTests {
    private static let groups: [UInt16] = [0, 9_000, 33_333, 65_535]

    private func since(_ disk: UInt64, _ talk: Conversation, _ group: UInt16 = 0, copies: UInt8 = 3) -> LogIndex? {
        talk.state.disks[DiskID(disk)]!.standings[PlacementGroup(rawValue: group)].layer(for: copies)?.since
    }

    /// Three nodes and a volume; 1 went first, then 2 and 3 together; 1 is back.
    private func oneStale() -> Conversation {
        var talk = Conversation.formatted()
        _ = talk.create("a")
        talk.down((1, 1))
        talk.down((2, 1), (3, 1))
        talk.up(1, run: 2)
        return talk
    }

    @Test("one that missed writes is alone: it opens by order only, and who was right before lacks everything")
    func stale() throws {
        var talk = oneStale()
        talk.say(.openGroups(present: talk.state.presentDisks, preferred: []))
        #expect(talk.inSync() == [])
        let opening = talk.state.forcedOpening
        #expect(opening.groups == [.goesBack: 65_536] && opening.absentNodes == [NodeID(2), NodeID(3)])

        #expect(talk.force() == .done)
        #expect(Self.groups.allSatisfy { talk.inSync($0) == [1] })
        #expect(talk.replicas().version == talk.now && talk.replicas().minimum == 2)
        #expect(since(2, talk) == .zero && since(3, talk) == .zero)
        #expect(talk.state.forcedOpening.groups.isEmpty && !talk.state.closedGroups.hasAny)

        talk.up(2, run: 2)
        #expect(talk.inSync() == [1], "a newer copy that returns counts for nothing")
        let plan = RecoveryPlan(for: DiskID(2), in: talk.state)
        #expect(plan.waiting.isEmpty && GroupRange.merged(plan.tasks.map(\.range)) == [.all])
        #expect(plan.tasks.allSatisfy { $0.since == .zero && !$0.isSyncing && $0.sources.nodes == [1] })
        talk.sync(2, run: 2)
        #expect(talk.inSync() == [1, 2])
        #expect(RecoveryPlan(for: DiskID(3), in: talk.state).tasks.allSatisfy { $0.since == .zero })
    }

    @Test("the authority goes down before anybody has caught up: only it can open its groups again")
    func authorityLeaves() {
        var talk = oneStale()
        talk.force()
        talk.up(2, run: 2)
        talk.say(.syncing(DiskID(2), boot: BootID(2, 2), [.all]))
        talk.down((1, 2))
        #expect(talk.lastMembers() == [1])
        talk.say(.openGroups(present: talk.state.presentDisks, preferred: []))
        #expect(talk.inSync() == [])
        #expect(talk.state.forcedOpening.groups == [.isLost: 65_536])
        talk.up(1, run: 3)
        talk.say(.openGroups(present: talk.state.presentDisks, preferred: []))
        #expect(talk.inSync() == [1])
    }

    @Test("of two that missed writes the one that left last is right, and the other lacks everything as well")
    func twoStale() {
        var talk = Conversation.formatted()
        _ = talk.create("a")
        talk.down((1, 1))
        talk.down((2, 1))
        talk.down((3, 1))
        talk.up(1, run: 2)
        talk.up(2, run: 2)
        #expect(talk.state.forcedOpening.absentNodes == [NodeID(3)])
        talk.force(preferred: [1])
        #expect(Self.groups.allSatisfy { talk.inSync($0) == [2] })
        #expect(since(1, talk) == .zero && since(3, talk) == .zero)
        #expect(RecoveryPlan(for: DiskID(1), in: talk.state).tasks.allSatisfy { $0.since == .zero && $0.sources.nodes == [2] })
    }

    @Test("among those that left together one whose machine kept its power is right, else the first in member order")
    func equals() {
        var talk = Conversation.formatted()
        _ = talk.create("a")
        talk.down((1, 1), (2, 1))
        talk.down((3, 1))
        talk.up(1, run: 2)
        talk.up(2, run: 2)
        var other = talk
        talk.force(preferred: [2])
        #expect(Self.groups.allSatisfy { talk.inSync($0) == [2] })
        other.force()
        let spread = Set(stride(from: 0, to: 65_536, by: 1000).map { other.inSync(UInt16($0)) })
        #expect(spread == [[1], [2]])
    }

    @Test("one that was catching up is half of both: one that was not is right before it")
    func halfWay() {
        var talk = Conversation.formatted()
        _ = talk.create("a")
        talk.down((1, 1), (2, 1))
        talk.up(1, run: 2)
        talk.up(2, run: 2)
        talk.say(.syncing(DiskID(1), boot: BootID(1, 2), [.all]))
        talk.down((3, 1))
        talk.force()
        #expect(Self.groups.allSatisfy { talk.inSync($0) == [2] })
        #expect(talk.replicas().out.nodes == [1, 3] && since(1, talk) == .zero)
    }

    @Test("where one of those that left last is back it opens as ever: the others copy only what changed since")
    func current() {
        var talk = Conversation.formatted()
        _ = talk.create("a")
        talk.down((1, 1), (2, 1), (3, 1))
        let downAt = talk.now
        talk.up(2, run: 2)
        let opening = talk.state.forcedOpening
        #expect(opening.groups == [.opensItself: 65_536] && opening.absentNodes.isEmpty)
        talk.force()
        #expect(talk.inSync() == [2] && since(1, talk) == downAt && since(3, talk) == downAt)
    }

    @Test("without a member that is up a group stays closed, until the dead are removed: then others have it, empty")
    func noneUp() {
        var talk = Conversation.formatted(nodes: 4)
        _ = talk.create("a")
        _ = talk.create("one", copies: 1)
        talk.down((1, 1))
        let closed = talk.state.forcedOpening
        #expect(Array(closed.groups.keys) == [.staysClosed] && closed.absentNodes == [NodeID(1)])
        let group = UInt16((0..<65_536).first { talk.inSync(UInt16($0), copies: 1).isEmpty }!)
        talk.force()
        #expect(talk.inSync(group, copies: 1) == [] && talk.lastMembers(group, copies: 1) == [1])

        talk.say(.nodeOut(NodeID(1), byOperator: true))
        talk.say(.planPlacement)
        #expect(talk.inSync(group, copies: 1) == [] && talk.lastMembers(group, copies: 1) == [1], "it holds on")
        let opening = talk.state.forcedOpening
        #expect(opening.groups == [.isLost: closed.groups[.staysClosed]!] && opening.absentNodes == [NodeID(1)])
        talk.force()
        #expect(talk.inSync(group, copies: 1).count == 1 && talk.inSync(group, copies: 1) != [1])
        #expect(!talk.replicas(group, copies: 1).out.nodes.contains(1), "all that are placed are in sync: who held on leaves")
    }

    @Test("one that never had everything is right only without any that had")
    func newcomer() {
        var talk = Conversation.formatted()
        _ = talk.create("a")
        talk.down((1, 1))
        talk.up(4, virtualNodes: 8)
        talk.say(.planPlacement)
        talk.down((2, 1), (3, 1))
        #expect(Set(talk.state.forcedOpening.groups.keys) == [.isLost, .staysClosed])
        let group = UInt16((0..<65_536).first { talk.replicas(UInt16($0)).out.nodes.contains(4) && talk.replicas(UInt16($0)).out.nodes.contains(1) }!)
        var alone = talk
        alone.force()
        #expect(alone.inSync(group) == [4] && since(1, alone, group) == .zero)
        talk.up(1, run: 2)
        talk.force()
        #expect(talk.inSync(group) == [1] && since(4, talk, group) == .zero)
    }

    @Test("of several that never had everything one that was being filled is right")
    func beingFilled() {
        var talk = Conversation.formatted(nodes: 1)
        _ = talk.create("a")
        for node: UInt64 in 2...3 { talk.up(node, virtualNodes: 8) }
        talk.say(.planPlacement)
        talk.say(.syncing(DiskID(3), boot: BootID(3, 1), [.all]))
        talk.down((1, 1))
        talk.force()
        #expect(Self.groups.allSatisfy { talk.inSync($0) == [3] })
    }

    @Test("one that holds what it is not placed for any more opens it, and leaves when the placed ones have it")
    func holders() {
        var talk = Conversation.formatted()
        _ = talk.create("a")
        talk.up(4, virtualNodes: 8)
        talk.say(.planPlacement)
        func holder(_ group: UInt16) -> UInt64? {
            (1...3).first { !talk.state.disks[DiskID($0)]!.standings[PlacementGroup(rawValue: group)].holding.isEmpty }
        }
        let group = UInt16((0..<65_536).first { holder(UInt16($0)) == 1 }!)
        talk.down((1, 1))
        talk.down((2, 1), (3, 1))
        talk.up(1, run: 2)
        talk.force()
        #expect(talk.inSync(group) == [1] && talk.replicas(group).minimum == 2)
        for node: UInt64 in 2...3 { talk.up(node, run: 2) }
        for node: UInt64 in 2...4 {
            let tasks = RecoveryPlan(for: DiskID(node), in: talk.state).tasks.filter { $0.range.contains(PlacementGroup(rawValue: group)) }
            #expect(tasks.map(\.since) == [.zero] && tasks.first?.sources.nodes.contains(1) == true)
            talk.sync(node, run: node == 4 ? 1 : 2)
        }
        #expect(talk.inSync(group) == [2, 3, 4])
    }

    @Test("after the dead are removed one copy is enough to write, before it is not")
    func minimum() {
        var talk = oneStale()
        var before = talk
        before.force()
        #expect(before.replicas().minimum == 2)
        for node: UInt64 in 2...3 { before.say(.nodeOut(NodeID(node), byOperator: true)) }
        before.say(.planPlacement)
        #expect(before.replicas().minimum == 1 && before.inSync() == [1] && before.replicas().out.isEmpty)

        for node: UInt64 in 2...3 { talk.say(.nodeOut(NodeID(node), byOperator: true)) }
        talk.say(.planPlacement)
        #expect(talk.lastMembers() == [2, 3] && talk.state.forcedOpening.groups == [.goesBack: 65_536])
        talk.force()
        #expect(talk.replicas().minimum == 1 && talk.inSync() == [1] && talk.replicas().out.isEmpty)
        talk.up(2, run: 2, virtualNodes: 8)
        talk.say(.planPlacement)
        #expect(RecoveryPlan(for: DiskID(2), in: talk.state).tasks.allSatisfy { $0.since == .zero && $0.sources.nodes == [1] })
        #expect(talk.replicas().out.nodes == [2])
    }

    @Test("each number of copies has its own authority; what is served, and what no volume has, stays as it is")
    func severalCounts() {
        var talk = Conversation.formatted(nodes: 4)
        _ = talk.create("three")
        _ = talk.create("one", copies: 1)
        // Two copies of the first group are on a and b, the third on c.
        let group: UInt16 = 0
        let order = talk.state.replicas(of: PlacementGroup(rawValue: group), copies: 3).inSync.map(\.node.low)
        let (a, b, c) = (order[0], order[1], order[2])
        talk.down((a, 1))
        talk.up(a, run: 2)
        let left = since(a, talk, group, copies: 3)
        #expect(talk.inSync(group, copies: 1) == [] && talk.inSync(group) == [b, c].sorted())
        talk.say(.diskOut(DiskID(a), boot: BootID(a, 2)))
        #expect(talk.state.forcedOpening.groups.keys.allSatisfy { $0 == .opensItself })
        talk.force()
        #expect(talk.inSync(group, copies: 1) == [a] && talk.inSync(group) == [b, c].sorted())
        #expect(since(a, talk, group) == left, "three copies are served: it copies what it missed")

        talk.down((b, 1))
        talk.down((c, 1))
        talk.force()
        #expect(talk.inSync(group, copies: 1) == [a] && talk.inSync(group) == [a])
        #expect(since(b, talk, group) == .zero && since(c, talk, group) == .zero)
        #expect(since(b, talk, group, copies: 2) != .zero, "no volume has two copies")
    }

    @Test("who stopped cleanly and is not back is given up like the dead; without an order it is waited for")
    func cleanStop() {
        var talk = Conversation.formatted()
        _ = talk.create("a")
        talk.down((1, 1))
        talk.say(.shutdown)
        for node: UInt64 in 2...3 { talk.say(.cleanStop(NodeID(node), boot: BootID(node, 1))) }
        #expect(talk.force().refusal == .shuttingDown)
        talk.up(1, run: 2)
        #expect(talk.inSync() == [2, 3])
        let opening = talk.state.forcedOpening
        #expect(opening.groups == [.goesBack: 65_536] && opening.absentNodes == [NodeID(2), NodeID(3)])
        #expect(talk.inSync() == [2, 3], "asking changes nothing")
        talk.force()
        #expect(talk.inSync() == [1] && since(2, talk) == .zero)
        talk.up(2, run: 2)
        #expect(talk.inSync() == [1])
    }

    @Test("refused before the format, and when others are up than the operator was told of")
    func refused() {
        var talk = Conversation()
        talk.up(1)
        #expect(talk.force().refusal == .notFormatted)
        talk = oneStale()
        let present = talk.state.presentDisks
        talk.up(2, run: 2)
        #expect(talk.say(.forceOpen(present: present, preferred: [])).refusal == .stale)
        #expect(talk.say(.forceOpen(present: [], preferred: [])).refusal == .stale)
        #expect(talk.inSync() == [])
    }

    @Test("nothing is closed: the order changes nothing")
    func nothing() {
        var talk = Conversation.formatted()
        _ = talk.create("a")
        talk.down((1, 1))
        let disks = talk.state.disks
        let opening = talk.state.forcedOpening
        #expect(opening.groups.isEmpty && opening.absentNodes.isEmpty && opening.objects(of: talk.state.volumes).isEmpty)
        #expect(talk.force() == .done && talk.state.disks == disks)
    }

    @Test("objects are counted by the fate of their groups: one by one, of enormous volumes by the groups' shares")
    func objects() throws {
        var talk = Conversation.formatted(nodes: 4)
        let small = talk.create("small", size: 100 << 22)
        let working = talk.snapshot(small)
        talk.say(.resizeVolume(.init(volume: working, size: (1000 << 22) + 1, term: nil)))
        let large = talk.create("large", size: 1 << 52, copies: 2)
        _ = talk.create("served", size: 1 << 30, copies: 4)
        talk.down((1, 1))
        talk.down((2, 1), (3, 1))
        talk.up(1, run: 2)
        let state = talk.state
        let opening = state.forcedOpening
        let found = opening.objects(of: state.volumes)
        for (birth, count) in [(small, 100), (working, 1001)] {
            let volume = try #require(state.volume(birth))
            var wanted: [GroupFate: UInt64] = [:]
            for index in 0..<UInt32(count) {
                let set = state.replicas(of: PlacementGroup(family: volume.family, index: index), copies: 3)
                guard set.inSync.isEmpty else { continue }
                wanted[set.out.nodes.contains(1) ? .goesBack : .staysClosed, default: 0] += 1
            }
            #expect(found[birth] == wanted)
        }
        // No node but 4 has a current copy, which has half of the groups of two copies.
        let total = try #require(found[large]).values.reduce(0, +)
        #expect((UInt64(1) << 28...UInt64(1) << 30).contains(total))
        #expect(Set(found.keys) == [small, working, large], "four copies are on node 4")
    }
}
