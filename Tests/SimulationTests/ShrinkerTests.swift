import SheepProtocol
import Simulation
import Testing

/// A failing seed is reduced to what it takes.
@Suite struct ShrinkerTests {
    /// The replicas of one gateway's changes do nothing, which takes no fault and no order to fail.
    private func swallow(_ cluster: SimulatedCluster) {
        cluster.switchboard.swallows = { operation, _ in operation == .replicaWrite }
    }

    @Test("faults and orders that a failure does not take are left out, and the smaller run fails")
    func leavesOut() throws {
        var shrinker = try #require(Shrinker(seed: 1, profile: .smoke, largestRuns: 25, prepare: swallow, progress: { _ in }))
        let restriction = shrinker.shrink()
        let cluster = SimulatedCluster(seed: 1, profile: .smoke, restriction: restriction)
        swallow(cluster)
        cluster.run()
        #expect(!cluster.world.failures.isEmpty)
        #expect(cluster.happenings.faults.isEmpty)
        #expect(cluster.happenings.orders.isEmpty)
    }

    @Test("a fault that is left out does not change the others")
    func numbered() {
        let whole = SimulatedCluster(seed: 5, profile: .members)
        whole.run()
        var restriction = Restriction()
        restriction.faults = [2, 3]
        let smaller = SimulatedCluster(seed: 5, profile: .members, restriction: restriction)
        smaller.run()
        let kept = whole.happenings.faults.filter { $0.number != 2 && $0.number != 3 }
        #expect(smaller.happenings.faults.map(\.number) == kept.map(\.number))
        #expect(smaller.happenings.faults.map(\.time) == kept.map(\.time))
    }

    @Test("of a trace the failing sector's requests are told, and others' are not")
    func filter() {
        var filter = TraceFilter(subject: World.Subject(volume: "vol0", sector: 105))
        let told = [
            "1.0 FAULT: 1: kill sheep2", "1.1 client0-vol0: vol0 #7 writes 5 to 100..<108", "1.2 client0-vol0: vol0 #7 done",
            "1.3 sheep1: entry 9: releaseLease -> done",
        ]
        let untold = [
            "1.4 client0-vol0: vol0 #8 writes 6 to 108..<116", "1.5 client0-vol0: vol0 #8 done",
            "1.6 client0-vol1: vol1 #1 writes 7 to 100..<108", "1.7 sheep2: entry 9: releaseLease -> done",
        ]
        #expect((told + untold).compactMap { filter.filter($0) } == told)
    }
}
