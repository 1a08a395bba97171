import Simulation
import Testing

/// A gateway passes a write on, its answer is lost, and the owner and the processes of all copies die: sent once more, it must not be done over
/// what another client wrote since.
@Suite struct ForwardingTests {
    private static let second = DirectedCluster.second
    private static let storing = 1...2
    /// Without storage: the one that passes the write on, the owner, and the next owner.
    private static let (gateway, owner, successor) = (3, 4, 5)

    private func begin(_ seed: UInt64, durable: Bool, leastCopies: UInt8 = 2) -> DirectedCluster {
        var profile = Profile.network
        (profile.nodes, profile.largestNodes, profile.gateways) = (2, 2, 3)
        (profile.copies, profile.leastCopies, profile.alwaysDurable) = (2, leastCopies, durable)
        let run = DirectedCluster(seed: seed, profile: profile)
        for sheep in [Self.owner, Self.gateway, Self.successor] { run.succeed(run.write(0..<64, through: sheep)) }
        return run
    }

    /// A write through the gateway that is done and seen, but not answered. Then the gateway stands still, and the owner dies.
    private func writeWithoutAnswer(_ run: DirectedCluster) -> DirectedCluster.Request {
        run.cut(from: Self.owner, to: Self.gateway)
        let write = run.write(0..<16, through: Self.gateway)
        run.run(for: Self.second / 5)
        run.succeed(run.read(0..<64, through: Self.successor))
        expect(!write.isAnswered, "it was answered")
        run.pause(Self.gateway, for: 8 * Self.second)
        // The way stays cut, or the answer would come still.
        run.kill(Self.owner)
        return write
    }

    private func endQuietly(_ run: DirectedCluster) {
        run.succeed(run.read(0..<64, through: Self.gateway))
        run.healLinks()
        run.start(Self.owner)
        expect(run.run(atMost: 60 * Self.second) { run.isComplete }, "not all copies are in sync")
        run.checkQuiet()
        expect(run.failures.isEmpty, "\(run.failures.prefix(3))")
    }

    @Test("the processes of all copies die: the write was done, its repeat is answered and not done once more", arguments: 1...10 as ClosedRange<UInt64>, [false, true])
    func processesDie(seed: UInt64, durable: Bool) {
        let run = begin(seed, durable: durable)
        defer { run.end() }
        let forwarded = writeWithoutAnswer(run)
        for sheep in Self.storing { run.kill(sheep) }
        let younger = run.write(8..<24, through: Self.successor)
        run.run(for: Self.second)
        for sheep in Self.storing { run.start(sheep) }
        run.succeed(younger)
        expect(!forwarded.isAnswered, "the repeat came first")
        expect(run.run(atMost: 30 * Self.second) { forwarded.isAnswered }, "no answer")
        expect(forwarded.hasSucceeded, forwarded.failure ?? "no answer")
        endQuietly(run)
    }

    @Test("a process dies in the middle of the write: its next run counts it as done when its object shows all of it, and in doubt when a part", arguments: 1...5 as ClosedRange<UInt64>, 0...9)
    func processDiesInCall(seed: UInt64, calls: Int) { processDies(seed, after: calls, in: 0..<16, inOrder: true) }

    @Test("the same of a write whose last block is written first, for it was never written before", arguments: 1...5 as ClosedRange<UInt64>, 0...9)
    func processDiesOutOfOrder(seed: UInt64, calls: Int) { processDies(seed, after: calls, in: 56..<72, inOrder: false) }

    private func processDies(_ seed: UInt64, after calls: Int, in sectors: Range<UInt64>, inOrder: Bool) {
        let run = begin(seed, durable: false)
        defer { run.end() }
        for sheep in Self.storing {
            expect(run.run(atMost: Self.second) { !run.hasNotes(sheep) }, "notes of answered writes stay")
            run.killInCall(sheep, after: calls)
        }
        run.cut(from: Self.owner, to: Self.gateway)
        let forwarded = run.write(sectors, through: Self.gateway)
        run.run(for: Self.second / 5)
        run.pause(Self.gateway, for: 8 * Self.second)
        run.healLinks()
        for sheep in Self.storing + [Self.owner] { run.kill(sheep) }
        let blocks = [sectors.prefix(8), sectors.suffix(8)]
        for sheep in Self.storing {
            run.start(sheep)
            expect(run.run(atMost: Self.second) { run.knowsItsNotes(sheep) }, "it does not look at its notes")
            let isDone = run.hasNotes(sheep) && !run.hasNotesInPart(sheep)
            expect(isDone == run.holds(forwarded, sectors, at: sheep), "noted as done: \(isDone)")
            expect(run.hasNotes(sheep) == run.holds(forwarded, blocks[0], at: sheep) || !inOrder, "noted: \(run.hasNotes(sheep))")
            expect(run.hasNotes(sheep) || !blocks.contains { run.holds(forwarded, $0, at: sheep) }, "it has no note of what it has a part of")
        }
        // Somebody may see what was done in part, and write there.
        run.succeed(run.read(sectors, through: Self.successor))
        expect(run.run(atMost: 4 * Self.second) { run.copies.inSync == 2 }, "not all copies are in sync")
        let isInPart = Self.storing.contains { sheep in blocks.contains { run.holds(forwarded, $0, at: sheep) } }
            && !Self.storing.contains { run.holds(forwarded, sectors, at: $0) }
        run.succeed(run.write(sectors, through: Self.successor))
        run.succeed(run.read(sectors, through: Self.successor))
        expect(!forwarded.isAnswered, "the repeat came first")
        expect(run.run(atMost: 30 * Self.second) { forwarded.isAnswered }, "no answer")
        expect(isInPart || forwarded.hasSucceeded || !inOrder, forwarded.failure ?? "")
        expect(!isInPart || !forwarded.hasSucceeded, "it succeeded, though nobody can know what of it was done")
        endQuietly(run)
    }

    @Test("a disk fails in the middle of the write, and who copied the object from it is left alone: what there is of the write may be read, so its repeat fails", arguments: 1...12 as ClosedRange<UInt64>, [false, true])
    func copierOfPartIsLeft(seed: UInt64, asNextRun: Bool) {
        let (source, copier) = (1, 2)
        let run = begin(seed, durable: false, leastCopies: 1)
        defer { run.end() }
        run.kill(copier)
        run.succeed(run.write(0..<64, through: Self.owner))
        run.start(copier)
        expect(run.run(atMost: 10 * Self.second) { run.syncingCopies == 1 }, "it does not sync")
        run.cut(from: Self.owner, to: copier)
        run.cut(from: source, to: Self.owner)
        run.failWrites(source, chance: 0.5)
        let blocks: [Range<UInt64>] = [56..<64, 64..<72]
        let forwarded = run.write(56..<72, through: Self.gateway)
        run.run(for: Self.second / 50)
        run.failWrites(source, chance: 0)
        // Before the owner, which it does not hear, has it called out of sync.
        expect(run.run(atMost: Self.second) { run.copies.inSync == 2 }, "it is not in sync")
        run.pause(Self.gateway, for: 8 * Self.second)
        for sheep in [Self.owner, source] { run.kill(sheep) }
        if asNextRun {
            expect(run.run(atMost: 5 * Self.second) { run.copies.inSync == 1 && run.syncingCopies == 0 }, "the source is not called down")
            run.kill(copier)
            run.start(copier)
        }
        run.healLinks()
        let isInPart = blocks.count { run.holds(forwarded, $0, at: copier) } == 1
        run.succeed(run.read(56..<72, through: Self.successor))
        run.succeed(run.write(56..<72, through: Self.successor))
        expect(!forwarded.isAnswered, "the repeat came first")
        expect(run.run(atMost: 30 * Self.second) { forwarded.isAnswered }, "no answer")
        expect(!isInPart || !forwarded.hasSucceeded, "it succeeded, though some of it was read before")
        run.start(source)
        endQuietly(run)
    }

    @Test("all copies lose their power: nobody knows whether the write was done, so it fails", arguments: 1...10 as ClosedRange<UInt64>)
    func powerIsLost(seed: UInt64) {
        let run = begin(seed, durable: true)
        defer { run.end() }
        let forwarded = writeWithoutAnswer(run)
        for sheep in Self.storing { run.cutPower(sheep) }
        run.run(for: Self.second)
        for sheep in Self.storing { run.start(sheep) }
        run.succeed(run.write(8..<24, through: Self.successor))
        expect(run.run(atMost: 30 * Self.second) { forwarded.isAnswered }, "no answer")
        expect(!forwarded.hasSucceeded, "it succeeded")
        endQuietly(run)
    }

    @Test("a client goes away while its write waits for an owner, and comes back through another gateway: its newer write stays", arguments: 1...10 as ClosedRange<UInt64>)
    func clientGoes(seed: UInt64) {
        let run = begin(seed, durable: false)
        defer { run.end() }
        // Nobody can take the volume over before one of these is back.
        for sheep in Self.storing + [Self.owner] { run.kill(sheep) }
        let former = run.write(0..<16, through: Self.gateway)
        run.run(for: Self.second)
        expect(!former.isAnswered, "it was answered")
        run.disconnect(Self.gateway)
        let newer = run.write(0..<16, through: Self.successor)
        run.run(for: Self.second)
        for sheep in Self.storing { run.start(sheep) }
        run.succeed(newer)
        run.run(for: 10 * Self.second)
        for sheep in Self.storing { expect(run.holds(newer, 0..<16, at: sheep), "the former write came after the newer one") }
        endQuietly(run)
    }

    @Test("of clients that share a device one goes away: its waiting write is not begun, the other one's is", arguments: 1...5 as ClosedRange<UInt64>)
    func oneOfTwoClientsGoes(seed: UInt64) {
        let run = begin(seed, durable: false)
        defer { run.end() }
        for sheep in Self.storing + [Self.owner] { run.kill(sheep) }
        let staying = run.write(0..<16, through: Self.gateway)
        let former = run.write(32..<48, through: Self.gateway, asSecond: true)
        run.run(for: Self.second)
        run.disconnectSecond(Self.gateway)
        let newer = run.write(32..<48, through: Self.successor)
        run.run(for: Self.second)
        expect(!staying.isAnswered && !newer.isAnswered, "something was answered without any copy")
        for sheep in Self.storing { run.start(sheep) }
        run.succeed(newer)
        run.succeed(staying)
        run.run(for: 10 * Self.second)
        expect(!former.hasSucceeded, "the write of the client that is gone was done")
        for sheep in Self.storing {
            expect(run.holds(newer, 32..<48, at: sheep), "the former write came after the newer one")
            expect(run.holds(staying, 0..<16, at: sheep), "the write of the client that stayed is not there")
        }
        endQuietly(run)
    }
}
