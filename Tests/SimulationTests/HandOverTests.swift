import Simulation
import Testing

/// A volume's lease goes from sheep to sheep while clients use the volume through all of them.
@Suite struct HandOverTests {
    private static let second = DirectedCluster.second
    static let seeds = 1...5 as ClosedRange<UInt64>
    /// Three with storage and one without.
    private static let (storing, doors) = (1...3, 1...4)
    private static let written = 0..<64 as Range<UInt64>

    /// The first sheep is the owner.
    private func begin(_ seed: UInt64, _ adjust: (inout Profile) -> Void = { _ in }) -> DirectedCluster {
        var profile = Profile.network
        (profile.nodes, profile.largestNodes, profile.gateways) = (Self.storing.count, Self.storing.count, 1)
        (profile.copies, profile.leastCopies) = (3, 3)
        adjust(&profile)
        let run = DirectedCluster(seed: seed, profile: profile)
        for sheep in Self.doors { run.succeed(run.write(Self.written, through: sheep)) }
        expect(run.owner == 1, "the owner is \(run.owner ?? 0)")
        return run
    }

    @Test("clients of all sheep go on without an error while the lease goes round", arguments: seeds, [20_000_000, 200_000_000])
    func goesRound(seed: UInt64, learning: UInt64) {
        let run = begin(seed) { $0.learnOfEntries(after: learning) }
        var requests: [DirectedCluster.Request] = []
        for round in 0..<20 {
            let (heir, asked) = (round % 4 + 1, (round + Int(seed)) % 4 + 1)
            let move = run.handOver(to: heir, through: asked)
            // Some are under way when the owner begins, some come while it waits, and some when the next one is not ready yet.
            for number in 0..<20 {
                let sector = UInt64(number * 5 % 48)
                for door in Self.doors { requests.append(run.write(sector..<sector + UInt64(4 + door), through: door)) }
                if number % 7 == 0 { requests.append(run.flush(through: number % 4 + 1)) }
                requests.append(run.read(Self.written, through: number % 4 + 1))
                run.run(for: Self.second / 200)
            }
            run.succeed(move)
            expect(run.run(atMost: Self.second) { run.owner == heir }, "the owner is \(run.owner ?? 0), not \(heir)")
        }
        expect(run.run(atMost: 30 * Self.second) { requests.allSatisfy(\.isAnswered) }, "some were not answered")
        expect(requests.allSatisfy(\.hasSucceeded), requests.compactMap(\.failure).first ?? "")
        run.endQuietly()
    }

    @Test("the lease follows clients that use one other sheep alone, and nobody else's", arguments: seeds)
    func followsClients(seed: UInt64) {
        let run = begin(seed)
        func use(_ doors: [Int], seconds: Int) {
            for _ in 0..<seconds {
                for door in doors { run.succeed(run.write(Self.written, through: door)) }
                run.run(for: Self.second)
            }
        }
        use([2, 3], seconds: 40)
        expect(run.owner == 1, "two used it, and \(run.owner ?? 0) became the owner")
        use([1, 3], seconds: 40)
        expect(run.owner == 1, "its own client was there, and \(run.owner ?? 0) became the owner")
        use([4], seconds: 40)
        expect(run.owner == 4, "\(run.owner ?? 0) is the owner still")
        use([2], seconds: 20)
        expect(run.owner == 4, "it went over at once")
        run.endQuietly()
    }

    @Test("the heir dies, before or after it learns that it is one: another takes the volume over", arguments: seeds, [0, 1, 5, 20, 60, 200])
    func heirDies(seed: UInt64, after milliseconds: UInt64) {
        let run = begin(seed)
        _ = run.handOver(to: 2, through: 1)
        let writes = [1, 3, 4].map { run.write(Self.written, through: $0) }
        run.run(for: milliseconds * Self.second / 1000)
        run.kill(2)
        for write in writes { run.succeed(write) }
        run.succeed(run.read(Self.written, through: 3))
        run.start(2)
        run.endQuietly()
    }

    @Test("with a write that cannot end the owner stays, and goes on", arguments: seeds)
    func cannotDrain(seed: UInt64) {
        let run = begin(seed)
        // The other two of three are too few to leave one of them out.
        run.kill(3)
        expect(run.run(atMost: 30 * Self.second) { run.copies.inSync == 2 }, "it is not called down")
        run.slowLink(from: 1, to: 2, by: 12 * Self.second)
        let write = run.write(Self.written, through: 1)
        run.run(for: Self.second / 100)
        let move = run.handOver(to: 4, through: 1)
        let other = run.write(Self.written, through: 1)
        expect(run.run(atMost: 20 * Self.second) { move.isAnswered }, "no answer")
        expect(!move.hasSucceeded && run.owner == 1, "\(run.owner ?? 0) is the owner")
        run.healLinks()
        for request in [write, other] { run.succeed(request) }
        run.start(3)
        run.endQuietly()
    }

    @Test("a change that was on its way to an owner is not done a second time when that one becomes it again", arguments: seeds)
    func comesBack(seed: UInt64) {
        let run = begin(seed)
        run.slowLink(from: 4, to: 1, by: 9 * Self.second / 10)
        let write = run.write(Self.written, through: 4)
        run.run(for: Self.second / 100)
        run.succeed(run.handOver(to: 2, through: 2))
        run.succeed(write)
        let newer = run.write(Self.written, through: 2)
        run.succeed(newer)
        run.run(for: 3 * Self.second / 10)
        run.succeed(run.handOver(to: 1, through: 2))
        run.healLinks()
        run.run(for: 2 * Self.second)
        for sheep in Self.storing { expect(run.holds(newer, Self.written, at: sheep), "the former write came after the newer one") }
        run.endQuietly()
    }

    @Test("who is no sheep that is up becomes no owner")
    func heirIsAway() {
        let run = begin(1)
        run.kill(2)
        let move = run.handOver(to: 2, through: 3)
        expect(run.run(atMost: 40 * Self.second) { move.isAnswered }, "no answer")
        run.succeed(run.write(Self.written, through: 3))
        expect(run.owner != 2, "the dead one is the owner")
        run.start(2)
        run.endQuietly()
    }
}
