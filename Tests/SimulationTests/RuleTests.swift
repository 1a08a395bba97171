import Simulation
import Testing

/// Rules of which a run with faults at random seldom needs one alone: each in the case that it is there for. Without the rule its test fails, as
/// the list of planted faults shows (`Tests/Mutations`).
@Suite struct RuleTests {
    private static let second = DirectedCluster.second
    static let seeds = 1...5 as ClosedRange<UInt64>
    private static let sectorsOfObject = (UInt64(1) << UInt64(Profile.network.objectShift)) / 512

    /// Sheep from 1 on have storage; those after them are gateways only. The last of `doors` opens the volume first.
    private func begin(
        _ seed: UInt64, storing: Int, gateways: Int = 0, copies: UInt8, doors: ClosedRange<Int>? = nil, _ adjust: (inout Profile) -> Void = { _ in }
    ) -> DirectedCluster {
        var profile = Profile.network
        (profile.nodes, profile.largestNodes, profile.gateways) = (storing, storing, gateways)
        (profile.copies, profile.leastCopies) = (copies, copies)
        adjust(&profile)
        let run = DirectedCluster(seed: seed, profile: profile)
        for sheep in (doors ?? 1...storing + gateways).reversed() { run.succeed(run.write(0..<64, through: sheep)) }
        return run
    }

    private func stop(_ run: DirectedCluster, _ sheep: Int) {
        run.stop(sheep)
        expect(run.run(atMost: 30 * Self.second) { !run.isRunning(sheep) }, "it does not stop")
    }

    // MARK: Disks that give no answer

    @Test("a disk that hangs in a sync leaves where enough others stay: the flush is done by them", arguments: seeds)
    func hungDiskLeaves(seed: UInt64) {
        let run = begin(seed, storing: 3, copies: 3)
        run.slowDisk(2, by: 1_000_000)
        run.succeed(run.write(0..<16, through: 1))
        let flush = run.flush(through: 1)
        var cameBack = false
        let isAnswered = run.run(atMost: 50 * Self.second) {
            cameBack = cameBack || run.syncingCopies > 0
            return flush.isAnswered
        }
        expect(isAnswered, "the flush waits for the disk that hangs")
        expect(!cameBack, "the disk began to sync before it had answered")
        expect(flush.hasSucceeded, flush.failure ?? "")
        expect(run.copies.inSync == 2, "\(run.copies.inSync) copies count as in sync")
        run.succeed(run.write(0..<16, through: 1))
        run.slowDisk(2, by: 1)
        // Its sync takes as long as it was to.
        expect(run.run(atMost: 100_000 * Self.second) { run.copies.inSync == 3 }, "it does not come back")
        run.endQuietly()
    }

    @Test("a disk that hangs in a sync holds up no durable write where enough others stay", arguments: seeds)
    func hungDiskLeavesDurableWrite(seed: UInt64) {
        let run = begin(seed, storing: 3, copies: 3) { $0.alwaysDurable = true }
        run.slowDisk(2, by: 1_000_000)
        let write = run.write(0..<16, through: 1)
        expect(run.run(atMost: 20 * Self.second) { write.isAnswered }, "the write waits for the disk that hangs")
        expect(write.hasSucceeded && run.copies.inSync == 2, write.failure ?? "\(run.copies.inSync) copies count as in sync")
        run.endAsItIs()
    }

    @Test("a disk that hangs stays where too few others are left: the flush fails in its time", arguments: seeds)
    func hungDiskStays(seed: UInt64) {
        let run = begin(seed, storing: 3, copies: 3)
        run.kill(3)
        expect(run.run(atMost: 30 * Self.second) { run.copies.inSync == 2 }, "it is not called down")
        run.slowDisk(2, by: 1_000_000)
        run.succeed(run.write(0..<16, through: 1))
        let flush = run.flush(through: 1)
        expect(run.run(atMost: 120 * Self.second) { flush.isAnswered }, "the flush waits for ever")
        expect(!flush.hasSucceeded && run.copies.inSync == 2, "it was flushed on one of two copies, \(run.copies.inSync) in sync")
        run.endAsItIs()
    }

    @Test("a read that the own disk gives no answer to is answered by another member, and the disk leaves until it has answered", arguments: seeds)
    func hungReadLeaves(seed: UInt64) {
        let run = begin(seed, storing: 3, copies: 3, doors: 1...1)
        run.slowReads(1, by: 1_000_000)
        let read = run.read(0..<16, through: 1)
        expect(run.run(atMost: 4 * Self.second) { read.isAnswered }, "the read waits for the disk that hangs")
        expect(read.hasSucceeded && run.copies.inSync == 3, read.failure ?? "\(run.copies.inSync) copies count as in sync")
        var cameBack = false
        expect(run.run(atMost: 20 * Self.second) { run.copies.inSync == 2 }, "the disk that hangs stays")
        _ = run.run(atMost: 50 * Self.second) {
            cameBack = cameBack || run.syncingCopies > 0
            return false
        }
        expect(!cameBack, "the disk began to sync before it had answered")
        let another = run.read(0..<16, through: 1)
        expect(run.run(atMost: Self.second) { another.isAnswered }, "a read waits for the disk that left")
        run.slowReads(1, by: 1)
        // What it owes comes as late as it was to.
        expect(run.run(atMost: 100_000 * Self.second) { run.copies.inSync == 3 }, "it does not come back")
        run.endQuietly()
    }

    @Test("a read that another sheep's disk gives no answer to is answered by the next member", arguments: seeds)
    func hungReadElsewhere(seed: UInt64) {
        let gateway = 4
        let run = begin(seed, storing: 3, gateways: 1, copies: 3, doors: gateway...gateway)
        for sheep in 1...2 { run.slowReads(sheep, by: 1_000_000) }
        let read = run.read(0..<16, through: gateway)
        expect(run.run(atMost: 6 * Self.second) { read.isAnswered }, "the read waits for disks that hang")
        expect(read.hasSucceeded, read.failure ?? "")
        run.endAsItIs()
    }

    @Test("where all disks take seconds for a read it is answered late, and not tried for ever", arguments: seeds)
    func slowReadsEverywhere(seed: UInt64) {
        let run = begin(seed, storing: 3, gateways: 1, copies: 3, doors: 1...4)
        for sheep in 1...3 { run.slowReads(sheep, by: 1500) }
        for door in [1, 4] {
            let read = run.read(0..<16, through: door)
            expect(run.run(atMost: 25 * Self.second) { read.isAnswered }, "the read by way of sheep \(door) is not answered")
            expect(read.hasSucceeded, read.failure ?? "")
        }
        for sheep in 1...3 { run.slowReads(sheep, by: 1) }
        run.endQuietly()
    }

    @Test("a new owner reads what it rolls forward from a member whose disk answers", arguments: seeds)
    func hungReadAtTakeover(seed: UInt64) {
        let owner = 4
        let run = begin(seed, storing: 3, gateways: 1, copies: 3, doors: owner...owner)
        run.slowLink(from: owner, to: 3, by: 15 * Self.second)
        let write = run.write(0..<16, through: owner)
        run.run(for: Self.second / 10)
        expect(!write.isAnswered, "all members have it")
        run.kill(owner)
        run.slowReads(1, by: 1_000_000)
        let read = run.read(0..<16, through: 1)
        expect(run.run(atMost: 6 * Self.second) { read.isAnswered }, "the volume is not opened")
        expect(read.hasSucceeded, read.failure ?? "")
        run.endAsItIs()
    }

    @Test("a read of the only copy on a disk that hangs fails in its time", arguments: seeds)
    func hungReadFails(seed: UInt64) {
        let run = begin(seed, storing: 1, copies: 1)
        run.slowReads(1, by: 1_000_000)
        let read = run.read(0..<16, through: 1)
        expect(!run.run(atMost: 10 * Self.second) { read.isAnswered }, "it does not wait")
        expect(run.run(atMost: 60 * Self.second) { read.isAnswered }, "the read waits for ever")
        expect(!read.hasSucceeded && run.copies.inSync == 1, "\(run.copies.inSync) copies count as in sync")
        run.endAsItIs()
    }

    // MARK: Leases and fences

    @Test("a gateway that stood still answers no read with what was there before its successor's write", arguments: seeds)
    func leaseIsChecked(seed: UInt64) {
        // It hears of its end some seconds late, after the read has come.
        let run = begin(seed, storing: 2, copies: 2, doors: 1...1) { $0.learnOfEntries(after: 4 * Self.second) }
        run.pause(1, for: 6 * Self.second, bySignal: true)
        // What was passed on to the one that stands still would hold up its reads.
        run.succeed(run.write(32..<64, through: 2))
        run.succeed(run.write(0..<32, through: 2))
        run.run(for: Self.second / 1000)
        let read = run.read(0..<32, through: 1)
        expect(run.isPaused(1), "it goes on before the read has come")
        expect(run.run(atMost: 40 * Self.second) { read.isAnswered }, "no answer")
        run.endQuietly()
    }

    @Test("a write that an owner sent before it was replaced does nothing when it arrives", arguments: seeds)
    func formerOwnerIsFenced(seed: UInt64) {
        let (owner, successor) = (4, 1)
        let run = begin(seed, storing: 3, gateways: 1, copies: 3, doors: owner...owner)
        run.succeed(run.write(0..<64, through: owner))
        run.slowLink(from: owner, to: 2, by: 15 * Self.second)
        _ = run.write(0..<32, through: owner)
        run.run(for: Self.second / 10)
        run.pause(owner, for: 12 * Self.second)
        run.succeed(run.write(0..<64, through: successor))
        run.run(for: 20 * Self.second)
        run.healLinks()
        run.succeed(run.read(0..<64, through: 2))
        run.endQuietly()
    }

    @Test("what a gateway passed on, and what waits at the owner when that one is called down, is not begun any more", arguments: seeds)
    func gatewayIsCalledDown(seed: UInt64) {
        let (owner, gateway, other) = (4, 5, 1)
        let run = begin(seed, storing: 3, gateways: 2, copies: 3, doors: owner...gateway)
        run.succeed(run.write(0..<64, through: other))
        expect(run.owner == gateway, "the owner is \(run.owner ?? 0)")
        run.succeed(run.handOver(to: owner, through: other))
        run.succeed(run.write(0..<64, through: owner))
        // Until that member is called down, no write ends.
        run.pause(3, for: 20 * Self.second)
        _ = run.write(0..<8, through: owner)
        run.run(for: Self.second / 100)
        let former = run.write(0..<32, through: gateway)
        run.run(for: Self.second / 100)
        run.kill(gateway)
        let newer = run.write(16..<32, through: other)
        run.run(for: Self.second / 2)
        expect(!former.hasSucceeded && !newer.isAnswered, "a write did not wait")
        run.succeed(newer)
        expect(run.owner == owner, "the owner is \(run.owner ?? 0)")
        run.run(for: 10 * Self.second)
        for sheep in 1...2 { expect(run.holds(newer, 16..<32, at: sheep), "the former write came after the newer one") }
        run.kill(3)
        for sheep in [3, gateway] { run.start(sheep) }
        run.endQuietly()
    }

    @Test("a write of an owner that has not heard of a member's return reaches that one too", arguments: seeds)
    func groupVersionIsChecked(seed: UInt64) {
        let owner = 4
        let run = begin(seed, storing: 3, gateways: 1, copies: 3, doors: owner...owner) { $0.learnOfEntries(after: 3 * Self.second) }
        stop(run, 3)
        run.run(for: 5 * Self.second)
        run.start(3)
        // Some of them come after the object was copied, and before the owner has heard of that; nothing is written over them soon.
        var block: UInt64 = 0
        while run.copies.inSync < 3, block < 20_000 {
            let sector = block % 1024 * 8
            run.succeed(run.write(sector..<sector + 8, through: owner))
            run.run(for: Self.second / 1000)
            block += 1
        }
        expect(run.copies.inSync == 3, "not all copies are in sync")
        run.endQuietly()
    }

    @Test("a read that met a younger write is not answered before that is everywhere", arguments: seeds)
    func readWaitsForYoungerWrites(seed: UInt64) {
        let run = begin(seed, storing: 3, copies: 3, doors: 1...1)
        for other in 2...3 { run.cut(from: 1, to: other) }
        run.slowDisk(1, by: 20)
        // Some of them wait for the disk.
        let reads = (0..<200).map { _ in run.read(0..<64, through: 1) }
        run.run(for: Self.second / 10_000)
        expect(reads.contains { !$0.isAnswered }, "no read waits for the disk")
        _ = run.write(0..<64, through: 1)
        run.run(for: Self.second / 2)
        expect(reads.contains(where: \.isAnswered), "no read was answered")
        run.kill(1)
        run.healLinks()
        run.succeed(run.read(0..<64, through: 2))
        run.slowDisk(1, by: 1)
        run.start(1)
        run.endQuietly()
    }

    @Test("who asked one sheep for what another one did finds it where it asked", arguments: seeds)
    func commandIsKnown(seed: UInt64) {
        let run = begin(seed, storing: 3, copies: 3, doors: 1...1) { $0.learnOfEntries(after: Self.second / 2) }
        let snapshot = run.snapshot("first", through: 2)
        expect(run.run(atMost: 10 * Self.second) { snapshot.isAnswered }, "no answer")
        expect(snapshot.hasSucceeded && run.owner == 1, snapshot.failure ?? "sheep \(run.owner ?? 0) is the owner")
        expect(snapshot.isKnownThere, "the sheep that answered does not know of it")
        run.endQuietly()
    }

    // MARK: Full disks

    @Test("a write that there is no space for anywhere fails and leaves nothing: what was there is read, and others go on", arguments: seeds)
    func noSpaceAnywhere(seed: UInt64) {
        let run = begin(seed, storing: 3, copies: 3)
        let object = Self.sectorsOfObject
        for sheep in 1...3 { run.fillDisk(sheep, leaving: 8) }
        let write = run.write(object..<object + 512, through: 2)
        expect(run.run(atMost: 60 * Self.second) { write.isAnswered } && !write.hasSucceeded, "it was written")
        run.succeed(run.read(object..<object + 512, through: 1))
        // Where there is something already, nothing more is needed.
        run.succeed(run.write(0..<64, through: 3))
        expect(run.copies.inSync == 3, "\(run.copies.inSync) copies count as in sync")
        for sheep in 1...3 { run.emptyDisk(sheep) }
        run.succeed(run.write(object..<object + 512, through: 2))
        run.endQuietly()
    }

    // MARK: What a member compares when it is back

    @Test("what was trimmed while a member was away does not come back with it", arguments: seeds)
    func removalsAreListed(seed: UInt64) {
        let run = begin(seed, storing: 3, copies: 3)
        stop(run, 3)
        run.succeed(run.trim(object: 0, through: 1))
        run.run(for: Self.second)
        run.start(3)
        expect(run.run(atMost: 60 * Self.second) { run.isComplete }, "not all copies are in sync")
        run.succeed(run.read(0..<64, through: 3))
        run.endQuietly()
    }

    @Test("what a power cut took from a member is compared with the others", arguments: seeds)
    func ownIntentsAreCompared(seed: UInt64) {
        let run = begin(seed, storing: 3, copies: 3)
        run.succeed(run.write(0..<64, through: 1))
        run.run(for: Self.second / 5)
        run.cutPower(3)
        run.run(for: 2 * Self.second)
        run.start(3)
        run.endQuietly()
    }

    @Test("what a power cut took from the only copy is taken from one that had stopped before, too", arguments: seeds)
    func intentsOfTheSourceAreListed(seed: UInt64) {
        let run = begin(seed, storing: 2, copies: 2, doors: 1...1)
        run.succeed(run.write(0..<64, through: 1))
        run.run(for: Self.second / 2)
        stop(run, 2)
        run.cutPower(1, isLastCopy: true)
        run.run(for: Self.second)
        run.start(1)
        run.succeed(run.read(0..<64, through: 1))
        run.start(2)
        run.endQuietly()
    }

    @Test("a change that is not on all members is compared after a kill, though it was made durable here", arguments: seeds)
    func intentsOutliveUnsettledChanges(seed: UInt64) {
        let (owner, successor) = (4, 5)
        let run = begin(seed, storing: 3, gateways: 2, copies: 3, doors: owner...owner)
        for other in 2...3 { run.cut(from: owner, to: other) }
        _ = run.write(0..<64, through: owner)
        run.run(for: Self.second / 10)
        run.kill(owner)
        run.healLinks()
        run.run(for: 20 * Self.second)
        run.kill(1)
        run.run(for: Self.second)
        run.succeed(run.read(0..<64, through: successor))
        for sheep in [1, owner] { run.start(sheep) }
        run.endQuietly()
    }
}
