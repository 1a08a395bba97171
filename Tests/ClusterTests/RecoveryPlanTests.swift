import Cluster
import ObjectModel
import Testing

@Suite struct RecoveryPlanTests {
    @Test("in sync or unknown: nothing to do")
    func nothing() {
        var talk = Conversation.formatted()
        #expect(RecoveryPlan(for: DiskID(9), in: talk.state).isEmpty)
        talk.down((1, 1))
        talk.up(1, run: 2)
        #expect(RecoveryPlan(for: DiskID(1), in: talk.state).isEmpty, "there is no volume whose writes it could have missed")
        _ = talk.create("a")
        #expect(RecoveryPlan(for: DiskID(1), in: talk.state).isEmpty)
    }

    @Test("after a restart: one task, since the entry that called the node down, from the members that are in sync")
    func restart() throws {
        var talk = Conversation.formatted()
        _ = talk.create("a")
        talk.down((1, 1))
        let downAt = talk.now
        talk.up(1, run: 2)
        var plan = RecoveryPlan(for: DiskID(1), in: talk.state)
        #expect(plan.waiting.isEmpty && GroupRange.merged(plan.tasks.map(\.range)) == [.all])
        #expect(plan.tasks.allSatisfy { $0.since == downAt && !$0.isSyncing && $0.copies == CopyCounts(copies: 3) })
        #expect(plan.tasks.allSatisfy { $0.sources.nodes == [2, 3] })
        talk.say(.syncing(DiskID(1), boot: BootID(1, 2), [GroupRange(first: 0, last: 9)]))
        plan = RecoveryPlan(for: DiskID(1), in: talk.state)
        #expect(GroupRange.merged(plan.tasks.filter(\.isSyncing).map(\.range)) == [GroupRange(first: 0, last: 9)])
        talk.say(.inSync(DiskID(1), boot: BootID(1, 2), [GroupRange(first: 0, last: 9)]))
        plan = RecoveryPlan(for: DiskID(1), in: talk.state)
        #expect(GroupRange.merged(plan.tasks.map(\.range)) == [GroupRange(first: 10, last: .max)])
    }

    @Test("a group waits as a whole for a node that stopped cleanly and alone has what one number of copies lacks")
    func cleanStop() {
        // Reported by the scenario stopped_while_moving: a sheep that came back before another called groups in sync that
        // it had copied for three copies only.
        var talk = Conversation.formatted(nodes: 4)
        _ = talk.create("three")
        _ = talk.create("two", copies: 2)
        talk.say(.shutdown)
        for node: UInt64 in [1, 2] { talk.say(.cleanStop(NodeID(node), boot: BootID(node, 1))) }
        talk.down((3, 1), (4, 1))
        talk.up(1, run: 2)
        talk.up(3, run: 2)
        var plan = RecoveryPlan(for: DiskID(3), in: talk.state)
        for task in plan.tasks {
            for copies: UInt8 in [2, 3] {
                let set = talk.replicas(task.range.first, copies: copies)
                #expect(!set.out.nodes.contains(3) || set.inSync.isEmpty || set.inSync.contains { $0.isUp })
            }
        }
        #expect(!plan.tasks.isEmpty)
        #expect(plan.waiting.contains { $0.copies == CopyCounts(copies: 3) && talk.replicas($0.range.first).inSync.nodes.contains(1) })
        talk.up(2, run: 2)
        plan = RecoveryPlan(for: DiskID(3), in: talk.state)
        #expect(plan.waiting.allSatisfy { talk.replicas($0.range.first, copies: $0.copies.smallest!).inSync.isEmpty })
    }

    @Test("the fewest sources come first, and groups without one wait")
    func order() {
        var talk = Conversation.formatted(nodes: 4)
        _ = talk.create("three")
        _ = talk.create("one", copies: 1)
        talk.down((1, 1))
        talk.up(1, run: 2)
        talk.down((2, 1))
        let plan = RecoveryPlan(for: DiskID(1), in: talk.state)
        let counts = plan.tasks.map(\.sources.count)
        #expect(counts == counts.sorted() && Set(counts) == [1, 2])
        #expect(!plan.waiting.isEmpty && plan.waiting.allSatisfy { $0.copies == CopyCounts(copies: 1) })
        #expect(plan.tasks.allSatisfy { task in
            task.sources == talk.replicas(task.range.first).inSync && task.range.last >= task.range.first
        })
    }
}
