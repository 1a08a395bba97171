import Cluster
import ObjectModel
import Testing

@Suite struct ReachVerdictTests {
    private func verdict(
        _ nodes: ClosedRange<UInt64>, gateways: Set<UInt64> = [], outdated: Set<UInt64> = [], cuts: [(UInt64, UInt64)]
    ) -> ReachVerdict {
        ReachVerdict(
            of: nodes.map { .init(node: NodeID($0), stores: !gateways.contains($0), isCurrent: !outdated.contains($0)) }.shuffled(),
            cuts: Set(cuts.map { .init(NodeID($0.0), NodeID($0.1)) }))
    }

    private func stay(_ verdict: ReachVerdict) -> [UInt64] { verdict.staying.map(\.low) }

    @Test("without cuts all stay")
    func noCuts() {
        let verdict = verdict(1...5, cuts: [])
        #expect(stay(verdict) == [1, 2, 3, 4, 5] && verdict.leaving.isEmpty)
    }

    @Test("who is cut off from most leaves, whatever its number")
    func minority() {
        #expect(stay(verdict(1...3, cuts: [(1, 2), (1, 3)])) == [2, 3])
        #expect(stay(verdict(1...5, cuts: [(1, 3), (1, 4), (1, 5), (2, 3), (2, 4), (2, 5)])) == [3, 4, 5])
    }

    @Test("of two equal sides that with the lowest id stays")
    func ties() {
        #expect(stay(verdict(1...2, cuts: [(1, 2)])) == [1])
        #expect(stay(verdict(1...4, cuts: [(1, 3), (1, 4), (2, 3), (2, 4)])) == [1, 2])
        // 1-2-3-1 all cut, 4 reaches all.
        #expect(stay(verdict(1...4, cuts: [(1, 2), (2, 3), (1, 3)])) == [1, 4])
        // A ring in which everybody lost one neighbour.
        #expect(stay(verdict(1...4, cuts: [(1, 2), (3, 4)])) == [1, 3])
    }

    @Test("one link is cut: one of its ends leaves, the others stay")
    func oneLink() {
        #expect(stay(verdict(1...5, cuts: [(2, 5)])) == [1, 2, 3, 4])
        #expect(verdict(1...5, cuts: [(2, 5)]).leaving == [NodeID(5)])
    }

    @Test("gateways do not outvote the sheep that have the data, but decide between equals")
    func gateways() {
        #expect(stay(verdict(1...5, gateways: [1, 2, 3], cuts: [(1, 4), (2, 4), (3, 4), (1, 5), (2, 5), (3, 5)])) == [4, 5])
        #expect(stay(verdict(1...4, gateways: [3, 4], cuts: [(1, 2), (1, 3), (1, 4)])) == [2, 3, 4])
        #expect(stay(verdict(1...3, gateways: [1], cuts: [(1, 2)])) == [2, 3])
    }

    @Test("disks that miss writes do not outvote one that has all")
    func outdated() {
        #expect(stay(verdict(1...3, outdated: [1, 2], cuts: [(1, 3), (2, 3)])) == [3])
        #expect(stay(verdict(1...3, outdated: [2, 3], cuts: [(1, 2), (1, 3)])) == [1])
        #expect(stay(verdict(1...3, outdated: [3], cuts: [(1, 2), (1, 3)])) == [2, 3])
    }

    @Test("cuts to nodes that are not there, and of a node to itself, count for nothing")
    func strangeCuts() {
        #expect(stay(verdict(1...2, cuts: [(1, 9), (2, 2)])) == [1, 2])
    }

    @Test("of random cuts among up to 11 nodes: the same as trying all sets", arguments: 1...40)
    func random(seed: UInt64) {
        var random = SplitMix(state: seed)
        let count = 2 + random.next() % 10
        var cuts: [(UInt64, UInt64)] = []
        for a in 1...count {
            for b in 1...count where a < b && random.next() % 3 == 0 { cuts.append((a, b)) }
        }
        let gateways = Set((1...count).filter { _ in random.next() % 4 == 0 })
        let found = verdict(1...count, gateways: gateways, cuts: cuts)
        #expect(stay(found) == exhaustive(count, gateways: gateways, cuts: cuts))
    }

    private func exhaustive(_ count: UInt64, gateways: Set<UInt64>, cuts: [(UInt64, UInt64)]) -> [UInt64] {
        var best: (weight: UInt64, set: [UInt64]) = (0, [])
        for bits in 1..<(UInt64(1) << count) {
            let set = (1...count).filter { bits >> ($0 - 1) & 1 == 1 }
            if cuts.contains(where: { set.contains($0.0) && set.contains($0.1) }) { continue }
            let weight = set.reduce(UInt64(0)) { $0 + (gateways.contains($1) ? 1 : 1 << 20) }
            let firstOnly = (1...count).first { set.contains($0) != best.set.contains($0) }
            if weight > best.weight || weight == best.weight && set.contains(firstOnly!) { best = (weight, set) }
        }
        return best.set
    }

    @Test("32, 64 and 100 nodes with entangled cuts end soon in a set whose nodes all reach each other", arguments: [32, 64, 100] as [UInt64])
    func bounded(count: UInt64) {
        var random = SplitMix(state: count)
        for share in [2, 5, 20] as [UInt64] {
            var cuts: [(UInt64, UInt64)] = []
            for a in 1...count {
                for b in 1...count where a < b && random.next() % share == 0 { cuts.append((a, b)) }
            }
            let clock = ContinuousClock()
            let start = clock.now
            let staying = stay(verdict(1...count, cuts: cuts))
            #expect(clock.now - start < .seconds(5))
            #expect(!cuts.contains { staying.contains($0.0) && staying.contains($0.1) })
            #expect(staying.count >= 2)
        }
        var halves: [(UInt64, UInt64)] = []
        for a in 1...count / 2 { for b in count / 2 + 1...count { halves.append((a, b)) } }
        #expect(stay(verdict(1...count, cuts: halves)) == Array(1...count / 2))
    }

    private struct SplitMix {
        var state: UInt64
        mutating func next() -> UInt64 {
            state &+= 0x9E37_79B9_7F4A_7C15
            var mixed = (state ^ (state >> 30)) &* 0xBF58_476D_1CE4_E5B9
            mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
            return mixed ^ (mixed >> 31)
        }
    }
}

/// Some sheep's views, with links that this test cuts and ticks that it makes.
private final class Links {
    struct Sheep {
        var watch: ReachWatch
        var report: ReachReport
        var isStill = false
    }

    var now: UInt64 = 10_000_000_000
    var sheep: [NodeID: Sheep] = [:]
    /// From, to: messages vanish.
    var cuts: Set<[NodeID]> = []
    var verdicts: [NodeID: ReachVerdict] = [:]
    var members: [ReachWatch.Member]

    init(_ count: UInt64, gateways: Set<UInt64> = []) {
        members = (1...count).map {
            ReachWatch.Member(node: NodeID($0), boot: BootID(rawValue: $0), stores: !gateways.contains($0), isCurrent: true)
        }
        for member in members {
            sheep[member.node] = Sheep(
                watch: ReachWatch(node: member.node), report: ReachReport(boot: member.boot, sequence: 1, troubles: []))
        }
        run(seconds: 1)
    }

    func cut(_ from: UInt64, _ to: UInt64, bothWays: Bool = true) {
        cuts.insert([NodeID(from), NodeID(to)])
        if bothWays { cuts.insert([NodeID(to), NodeID(from)]) }
    }

    func run(seconds: Double) {
        for _ in 0..<Int(seconds * 4) {
            now += 250_000_000
            for member in members where !sheep[member.node]!.isStill { tick(member.node) }
        }
    }

    /// As the gateway does it: probes, looks, shows, judges.
    private func tick(_ node: NodeID) {
        var own = sheep[node]!
        own.watch.keep(members.filter { $0.node != node }.map { ($0.node, $0.boot) }, now: now)
        for peer in members.map(\.node) where peer != node && !cuts.contains([node, peer]) {
            if sheep[peer]!.isStill { continue }
            sheep[peer]!.watch.pinged(by: node)
            if !cuts.contains([peer, node]) { own.watch.heard(peer, now: now + 1_000_000) }
        }
        own.watch.look(sheep.filter { $0.key != node }.mapValues(\.report), now: now)
        let troubles = own.watch.troubles(now: now)
        if troubles != own.report.troubles || own.watch.isTroubled(now: now) {
            own.report.sequence += 1
            own.report.troubles = troubles
        }
        verdicts[node] = own.watch.verdict(members, now: now)
        sheep[node] = own
    }

    func leaving(by node: UInt64) -> [UInt64]? { verdicts[NodeID(node)].map { $0.leaving.map(\.low) } }
}

@Suite struct ReachWatchTests {
    @Test("while all is well nobody shows anything new")
    func quiet() {
        let links = Links(3)
        let before = links.sheep.mapValues(\.report)
        links.run(seconds: 20)
        #expect(links.sheep.mapValues(\.report) == before)
        #expect(links.verdicts.isEmpty)
    }

    @Test("a node that is cut off is named by all within two seconds, itself too")
    func cutOff() {
        let links = Links(3)
        links.cut(1, 2)
        links.cut(1, 3)
        links.run(seconds: 0.75)
        #expect(links.verdicts.isEmpty)
        links.run(seconds: 1.25)
        for node in 1...3 as ClosedRange<UInt64> { #expect(links.leaving(by: node) == [1]) }
        links.cuts = []
        links.run(seconds: 1)
        #expect(links.verdicts.isEmpty)
    }

    @Test("a way that is cut in one direction is a cut link")
    func oneWay() {
        let links = Links(4)
        links.cut(2, 4, bothWays: false)
        links.run(seconds: 2)
        for node in 1...4 as ClosedRange<UInt64> { #expect(links.leaving(by: node) == [4]) }
    }

    @Test("who stands still is not cut off, for whatever time; nor is it when it goes on")
    func standsStill() {
        let links = Links(3)
        links.sheep[NodeID(2)]!.isStill = true
        links.run(seconds: 20)
        #expect(links.verdicts.isEmpty)
        #expect(links.sheep[NodeID(1)]!.watch.silence(of: NodeID(2), now: links.now) > 15_000_000_000)
        links.sheep[NodeID(2)]!.isStill = false
        links.sheep[NodeID(2)]!.watch.discount(20_000_000_000, now: links.now)
        links.run(seconds: 5)
        #expect(links.verdicts.isEmpty)
    }

    @Test("who goes on again and again for a moment only is heard each time, and not cut off")
    func stutters() {
        let links = Links(3)
        for _ in 0..<20 {
            links.sheep[NodeID(3)]!.isStill = true
            links.run(seconds: 1.5)
            links.sheep[NodeID(3)]!.isStill = false
            links.sheep[NodeID(3)]!.watch.discount(1_500_000_000, now: links.now)
            links.run(seconds: 0.25)
            #expect(links.verdicts.isEmpty)
        }
    }

    @Test("what a sheep said before it stood still, or of a former run, counts for nothing")
    func stale() {
        let links = Links(3)
        links.cut(1, 3)
        links.run(seconds: 2)
        #expect(links.leaving(by: 2) == [3])
        links.cuts = []
        links.sheep[NodeID(1)]!.isStill = true
        links.sheep[NodeID(3)]!.isStill = true
        links.verdicts = [:]
        links.run(seconds: 1.5)
        #expect(links.leaving(by: 2) == nil)
        let again = Links(3)
        again.cut(1, 3)
        again.run(seconds: 2)
        // Both began anew, and were seen to.
        again.members = again.members.map { .init(node: $0.node, boot: BootID(rawValue: $0.boot.rawValue + 10), stores: true, isCurrent: true) }
        again.verdicts = [:]
        again.run(seconds: 0.5)
        #expect(again.verdicts.isEmpty)
    }

    @Test("a gateway that reaches nobody leaves, and one that reaches all does not save who is cut off")
    func gateways() {
        let alone = Links(3, gateways: [1])
        alone.cut(1, 2)
        alone.cut(1, 3)
        alone.run(seconds: 2)
        for node in 1...3 as ClosedRange<UInt64> { #expect(alone.leaving(by: node) == [1]) }
        let between = Links(3, gateways: [1])
        between.cut(2, 3)
        between.run(seconds: 2)
        for node in 1...3 as ClosedRange<UInt64> { #expect(between.leaving(by: node) == [3]) }
    }

    @Test("16 against 16: all come to the same verdict")
    func halves() {
        let links = Links(32)
        for a in 1...16 as ClosedRange<UInt64> { for b in 17...32 as ClosedRange<UInt64> { links.cut(a, b) } }
        links.run(seconds: 2)
        for node in 1...32 as ClosedRange<UInt64> { #expect(links.leaving(by: node) == Array(17...32)) }
    }

    @Test("a silent connection of a sheep that moves is made anew before anybody has to leave")
    func renewal() {
        let links = Links(2)
        links.cut(1, 2)
        links.run(seconds: 0.5)
        #expect(!links.sheep[NodeID(1)]!.watch.wantsRenewal(NodeID(2), now: links.now))
        links.run(seconds: 0.25)
        #expect(links.sheep[NodeID(1)]!.watch.wantsRenewal(NodeID(2), now: links.now))
        #expect(links.verdicts.isEmpty)
    }

    @Test("a report survives its encoding; garbage does not pass for one")
    func encoding() throws {
        let report = ReachReport(
            boot: BootID(rawValue: 7), sequence: 9,
            troubles: [.init(node: NodeID(3), boot: BootID(rawValue: 4), isCut: true), .init(node: NodeID(5), boot: BootID(rawValue: 6), isCut: false)])
        #expect(try ReachReport(wire: report.wire) == report)
        #expect(throws: WireError.self) { try ReachReport(wire: Array(report.wire.dropLast())) }
        #expect(throws: WireError.self) { try ReachReport(wire: [1, 2, 3]) }
    }
}
