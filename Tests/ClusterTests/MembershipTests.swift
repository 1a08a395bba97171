import Cluster
import ObjectModel
import Testing

@Suite struct MembershipTests {
    @Test("format: everybody who is up is in sync, and the minimum is half of the placed copies")
    func format() {
        let talk = Conversation.formatted(nodes: 4)
        let set = talk.replicas()
        #expect(set.inSync.count == 3 && set.out.isEmpty && set.lastMembers.isEmpty)
        #expect(set.minimum == 2 && set.version == talk.now)
        #expect(talk.replicas(copies: 31).inSync.count == 4)
        #expect(talk.replicas(copies: 1).minimum == 1)
        #expect(talk.state.epochs.map(\.epoch.rawValue) == [1])
        #expect(!talk.state.pendingPlacement && !talk.state.zonesShort)
    }

    @Test("a node goes down and comes back: out, syncing, in sync, each by an entry of its present process")
    func downAndBack() {
        var talk = Conversation.formatted()
        _ = talk.create("a")
        talk.down((2, 1))
        let downAt = talk.now
        #expect(talk.inSync() == [1, 3])
        #expect(talk.replicas().out.nodes == [2] && talk.replicas().version == downAt)
        #expect(talk.state.nodes[NodeID(2)]?.status == .down)
        #expect(talk.state.nodes[NodeID(2)]?.downSince == downAt)
        #expect(talk.state.nodes[NodeID(2)]?.incarnation == Incarnation(rawValue: 1))
        #expect(talk.state.oldestOutSince == downAt)

        talk.up(2, run: 2)
        #expect(talk.inSync() == [1, 3], "up is not in sync")
        #expect(talk.say(.syncing(DiskID(2), boot: BootID(2, 1), [.all])).refusal == .stale)
        #expect(talk.say(.inSync(DiskID(2), boot: BootID(2, 2), [.all])).refusal == .stale, "it is not syncing yet")
        talk.say(.syncing(DiskID(2), boot: BootID(2, 2), [.all]))
        #expect(talk.replicas().syncing.nodes == [2])
        #expect(talk.say(.inSync(DiskID(2), boot: BootID(2, 1), [.all])).refusal == .stale)
        talk.say(.inSync(DiskID(2), boot: BootID(2, 2), [GroupRange(first: 0, last: 99)]))
        #expect(talk.inSync(99) == [1, 2, 3] && talk.inSync(100) == [1, 3])
        #expect(talk.replicas(99).version == talk.now && talk.replicas(100).version < talk.now)
        talk.say(.inSync(DiskID(2), boot: BootID(2, 2), [.all]))
        #expect(talk.inSync(100) == [1, 2, 3])
        #expect(talk.state.oldestOutSince == nil)
        #expect(talk.state.disks[DiskID(2)]?.standings.runCount == 1, "exceptions that mean nothing are dropped")
    }

    @Test("a copy that is being made stops: out again, behind since it was before, and it may begin once more")
    func syncStopped() {
        var talk = Conversation.formatted()
        _ = talk.create("a")
        talk.down((2, 1))
        let since = talk.now
        talk.up(2, run: 2)
        talk.say(.syncing(DiskID(2), boot: BootID(2, 2), [.all]))
        #expect(talk.say(.syncStopped(DiskID(2), boot: BootID(2, 1), [.all])).refusal == .stale)
        talk.say(.syncStopped(DiskID(2), boot: BootID(2, 2), [GroupRange(first: 0, last: 99)]))
        #expect(talk.replicas(99).syncing.isEmpty && talk.replicas(99).out.nodes == [2] && talk.inSync(99) == [1, 3])
        #expect(talk.state.oldestOutSince == since, "it is behind since it left")
        #expect(talk.replicas(100).syncing.nodes == [2])
        #expect(talk.say(.inSync(DiskID(2), boot: BootID(2, 2), [GroupRange(first: 0, last: 99)])).refusal == .stale, "it is not syncing")
        talk.sync(2, run: 2)
        #expect(talk.inSync(99) == [1, 2, 3])
    }

    @Test("a power cut counts until its disk is in sync everywhere: by others' copies, or as the one that the groups open with")
    func powerCut() {
        var talk = Conversation.formatted()
        _ = talk.create("a")
        talk.down((2, 1))
        talk.up(2, run: 2, lostPower: true)
        #expect(talk.state.disks[DiskID(2)]?.lostPower == true)
        talk.sync(2, run: 2, [GroupRange(first: 0, last: 99)])
        #expect(talk.state.disks[DiskID(2)]?.lostPower == true, "other groups are still what the cut left")
        talk.sync(2, run: 2)
        #expect(talk.state.disks[DiskID(2)]?.lostPower == false)

        talk.down((1, 1), (3, 1))
        talk.down((2, 2))
        talk.up(2, run: 3, lostPower: true)
        talk.say(.openGroups(present: [DiskID(2)], preferred: []))
        #expect(talk.inSync() == [2])
        #expect(talk.state.disks[DiskID(2)]?.lostPower == false)
        talk.down((2, 3))
        talk.up(2, run: 4)
        #expect(talk.state.disks[DiskID(2)]?.lostPower == false, "the process died, the machine did not")
    }

    @Test("who never acted upon the entry that another left by is its equal, though the log learned of its end later")
    func reach() {
        func lastMembers(toldReach: Bool) -> [UInt64] {
            var talk = Conversation.formatted()
            _ = talk.create("a")
            talk.down((3, 1))
            let seen = talk.now
            talk.down((2, 1))
            talk.down((1, 1))
            talk.up(1, run: 2, reached: toldReach ? seen : nil)
            return talk.lastMembers()
        }
        #expect(lastMembers(toldReach: false) == [1], "it may have written without node 2")
        #expect(lastMembers(toldReach: true) == [1, 2])
    }

    @Test("a process that is called down under an old boot id stays up")
    func staleVictim() {
        var talk = Conversation.formatted()
        talk.up(2, run: 2)
        #expect(talk.say(.nodesDown(.init(victims: [.init(node: NodeID(2), boot: BootID(2, 1))], proven: false))) == .done)
        #expect(talk.state.nodes[NodeID(2)]?.isUp == true)
        #expect(talk.state.nodes[NodeID(2)]?.incarnation == Incarnation(rawValue: 1), "only the new process ended the old one")
    }

    @Test("a node that the log calls up comes with a new boot id: its former process goes down in the same entry")
    func restart() {
        var talk = Conversation.formatted()
        let volume = talk.create("a")
        talk.acquire(volume, 2)
        talk.up(2, run: 2)
        #expect(talk.inSync() == [1, 3])
        #expect(talk.state.owner(of: volume) == nil)
        #expect(talk.state.oldestOutSince == talk.now)
        let version = talk.state.membershipVersion
        talk.up(2, run: 2)
        #expect(talk.inSync() == [1, 3] && talk.state.nodes[NodeID(2)]?.incarnation == Incarnation(rawValue: 1))
        #expect(talk.state.membershipVersion > version)
    }

    @Test("who went down together are equals; who went later has all writes; who was out before stays as old as it was")
    func lastMembers() {
        var talk = Conversation.formatted()
        _ = talk.create("a")
        talk.down((1, 1))
        talk.up(1, run: 2)
        talk.down((1, 2), (2, 1), (3, 1))
        #expect(talk.inSync() == [] && talk.lastMembers() == [2, 3])
        talk.say(.openGroups(present: [1, 2, 3].map { DiskID($0) }, preferred: []))
        #expect(talk.inSync() == [], "who is down cannot open")
        talk.up(1, run: 3)
        talk.say(.openGroups(present: [DiskID(1)], preferred: [DiskID(1)]))
        #expect(talk.inSync() == [], "node 1 missed writes")
        talk.sync(1, run: 3)
        #expect(talk.inSync() == [], "there is nobody to sync from")
        talk.up(2, run: 2)
        talk.up(3, run: 2)
        talk.say(.openGroups(present: [DiskID(2), DiskID(3)], preferred: [DiskID(3)]))
        #expect(talk.inSync() == [3] && talk.replicas().syncing.nodes == [])
        #expect(talk.replicas().out.nodes == [1, 2], "node 1 had nothing to copy from: it must list what changed once more")
        talk.sync(1, run: 3)
        #expect(talk.inSync() == [1, 3])
    }

    @Test("without a preferred disk the first in member order opens a group, so that opening spreads")
    func openSpreads() {
        var talk = Conversation.formatted()
        _ = talk.create("a")
        talk.down((1, 1), (2, 1), (3, 1))
        for node: UInt64 in 1...3 { talk.up(node, run: 2) }
        let expected = stride(from: 0, to: 65_536, by: 1000).map { talk.replicas(UInt16($0)).lastMembers[0] }
        talk.say(.openGroups(present: [1, 2, 3].map { DiskID($0) }, preferred: []))
        #expect(stride(from: 0, to: 65_536, by: 1000).map { talk.replicas(UInt16($0)).inSync } == expected.map { [$0] })
        #expect(Set(expected.map(\.node)).count == 3)
    }

    @Test("a single node restarts and opens its groups at once")
    func single() {
        var talk = Conversation.formatted(nodes: 1, copies: 1)
        _ = talk.create("a")
        talk.up(1, run: 2)
        #expect(talk.inSync(copies: 1) == [] && talk.lastMembers(copies: 1) == [1])
        talk.say(.openGroups(present: [DiskID(1)], preferred: []))
        #expect(talk.inSync(copies: 1) == [1])
        #expect(talk.state.zonesShort == false)
    }

    @Test("a failing disk leaves all sets, and its node may sync it again")
    func diskOut() {
        var talk = Conversation.formatted()
        _ = talk.create("a")
        #expect(talk.say(.diskOut(DiskID(1), boot: BootID(1, 9))).refusal == .stale)
        #expect(talk.say(.diskOut(DiskID(1), boot: BootID(1, 1))) == .done)
        #expect(talk.inSync() == [2, 3] && talk.state.nodes[NodeID(1)]?.isUp == true)
        talk.say(.syncing(DiskID(1), boot: BootID(1, 1), [.all]))
        talk.say(.diskOut(DiskID(1), boot: BootID(1, 1)))
        #expect(talk.say(.inSync(DiskID(1), boot: BootID(1, 1), [.all])).refusal == .stale, "it left while it was syncing")
        talk.sync(1, run: 1)
        #expect(talk.inSync() == [1, 2, 3])
    }

    @Test("a disk with damaged objects leaves their groups only where another member is in sync, and syncs them again")
    func groupsOut() {
        var talk = Conversation.formatted()
        _ = talk.create("a")
        let group = GroupRange(first: 5, last: 5)
        #expect(talk.say(.groupsOut(DiskID(1), boot: BootID(1, 9), [group])).refusal == .stale)
        #expect(talk.say(.groupsOut(DiskID(1), boot: BootID(1, 1), [group])) == .done)
        func inSync(_ group: UInt16) -> Set<DiskID> {
            Set(talk.state.replicas(of: PlacementGroup(rawValue: group), copies: 3).inSync.map(\.disk))
        }
        #expect(inSync(5) == [DiskID(2), DiskID(3)] && inSync(4).count == 3 && inSync(6).count == 3)
        #expect(talk.say(.groupsOut(DiskID(2), boot: BootID(2, 1), [group])) == .done)
        #expect(talk.say(.groupsOut(DiskID(3), boot: BootID(3, 1), [group])).refusal == .unavailable, "it has the only copy")
        #expect(inSync(5) == [DiskID(3)])
        let plan = RecoveryPlan(for: DiskID(1), in: talk.state)
        #expect(plan.tasks.map(\.range) == [group] && plan.tasks.first?.sources.map(\.disk) == [DiskID(3)])
        talk.say(.syncing(DiskID(1), boot: BootID(1, 1), [group]))
        #expect(talk.say(.inSync(DiskID(1), boot: BootID(1, 1), [group])) == .done)
        #expect(inSync(5) == [DiskID(1), DiskID(3)])
    }

    @Test("a number of copies that no volume has yet: who is up is in sync")
    func firstOfItsCopies() {
        var talk = Conversation.formatted()
        _ = talk.create("a")
        talk.down((1, 1), (2, 1), (3, 1))
        for node: UInt64 in 1...2 { talk.up(node, run: 2) }
        let groups: [UInt16] = [0, 20_000, 50_000]
        _ = talk.create("b", copies: 2)
        #expect(groups.allSatisfy { !talk.inSync($0, copies: 2).isEmpty })
        #expect(groups.allSatisfy { !talk.inSync($0, copies: 2).contains(3) })
        #expect(groups.allSatisfy { talk.inSync($0).isEmpty }, "three copies still wait for the last members")
    }

    @Test("a disk that its node does not announce any more is out and leaves with the next epoch")
    func unplugged() {
        var talk = Conversation()
        for node: UInt64 in 1...3 { talk.up(node, virtualNodes: 8, disks: [node, 10 + node]) }
        talk.format()
        _ = talk.create("a")
        talk.up(1, virtualNodes: 8, disks: [11])
        #expect(talk.state.pendingPlacement)
        #expect(talk.say(.syncing(DiskID(1), boot: BootID(1, 1), [.all])).refusal == .stale)
        talk.say(.planPlacement)
        #expect(!talk.state.pendingPlacement)
        let all = (0..<64).flatMap { group -> [DiskID] in
            let set = talk.replicas(UInt16(group * 1000))
            return (set.inSync + set.syncing + set.out).map(\.disk)
        }
        #expect(!all.contains(DiskID(1)) && all.contains(DiskID(11)))
        #expect(talk.up(2, virtualNodes: 8, disks: [2, 11]).refusal == .invalidArgument, "disk 11 is in use by node 1")
    }

    @Test("the zone of a node that names none is its host's")
    func defaultZone() {
        #expect(NodeAddress(host: "10.0.0.1", port: 1).defaultZone == 0x0100_000A)
        #expect(NodeAddress(host: "a", port: 1).defaultZone == NodeAddress(host: "a", port: 2).defaultZone)
        #expect(NodeAddress(host: "a", port: 1).defaultZone != NodeAddress(host: "b", port: 1).defaultZone)
    }
}
