import Simulation
import Testing

/// A trim for later is answered before it is done, and done ten seconds after that: whatever was written in between stays.
@Suite struct DelayedTrimTests {
    private static let second = DirectedCluster.second
    private static let delay = 10 * second
    /// Nobody is called down for it.
    private static let pause = second / 2
    static let seeds = 1...5 as ClosedRange<UInt64>
    /// The sheep with storage, and two without: what these do is a request over the network.
    private static let storing = 1...3
    private static let (owner, other) = (4, 5)
    private static let written = 0..<64 as Range<UInt64>

    /// The owner is one without storage; whatever is asked of the other goes on to it.
    private func begin(_ seed: UInt64, _ adjust: (inout Profile) -> Void = { _ in }) -> DirectedCluster {
        var profile = Profile.network
        (profile.nodes, profile.largestNodes, profile.gateways) = (Self.storing.count, Self.storing.count, 2)
        (profile.copies, profile.leastCopies) = (2, 2)
        adjust(&profile)
        let run = DirectedCluster(seed: seed, profile: profile)
        for sheep in [Self.owner, Self.other] { run.succeed(run.write(Self.written, through: sheep)) }
        return run
    }

    private func trimLater(_ run: DirectedCluster, object: UInt64 = 0, through sheep: Int, mayHappen: Bool = false) {
        run.succeed(run.trimLater(object: object, through: sheep, after: Self.delay, mayHappen: mayHappen))
    }

    private func slow(_ run: DirectedCluster, _ sheep: Int, by delay: UInt64) {
        for member in Self.storing { run.slowLink(from: sheep, to: member, by: delay) }
    }

    private func isThere(_ run: DirectedCluster) -> Bool { Self.storing.contains { run.hasObject(0, at: $0) } }

    /// All is read once more after the time of every trim.
    private func endQuietly(_ run: DirectedCluster, isThere: Bool = true) {
        run.healLinks()
        run.run(for: 2 * Self.delay)
        expect(self.isThere(run) == isThere, isThere ? "the object is gone" : "the object is there")
        run.checkQuiet()
        expect(run.failures.isEmpty, "\(run.failures.prefix(3))")
        run.end()
    }

    @Test("nothing comes in between: the object goes, and not before its time", arguments: seeds, [owner, other])
    func trims(seed: UInt64, door: Int) {
        let run = begin(seed)
        trimLater(run, through: door, mayHappen: true)
        run.run(for: Self.delay - Self.second)
        expect(isThere(run), "it was trimmed too early")
        endQuietly(run, isThere: false)
    }

    @Test("asked for again, it waits from then on", arguments: seeds, [owner, other])
    func repeats(seed: UInt64, door: Int) {
        let run = begin(seed)
        trimLater(run, through: door, mayHappen: true)
        run.run(for: Self.delay / 2)
        trimLater(run, through: door, mayHappen: true)
        run.run(for: Self.delay - Self.second)
        expect(isThere(run), "it was trimmed too early")
        endQuietly(run, isThere: false)
    }

    @Test("a write comes right after it, before any sheep has answered the owner", arguments: seeds, [owner, other])
    func writeFollows(seed: UInt64, door: Int) {
        let run = begin(seed)
        slow(run, Self.owner, by: Self.pause)
        trimLater(run, through: Self.owner)
        run.succeed(run.write(Self.written, through: door))
        endQuietly(run)
    }

    @Test("asked of another gateway, it is answered when the owner watches: whoever's write follows ends it", arguments: seeds, [owner, other, 1])
    func writeFollowsElsewhere(seed: UInt64, door: Int) {
        let run = begin(seed)
        // It knows who is the owner.
        if door == 1 { run.succeed(run.read(Self.written, through: door)) }
        run.slowLink(from: Self.other, to: Self.owner, by: Self.pause)
        trimLater(run, through: Self.other)
        run.succeed(run.write(Self.written, through: door))
        endQuietly(run)
    }

    @Test("the owner dies before it watches: it is answered and forgotten", arguments: seeds)
    func ownerDies(seed: UInt64) {
        let run = begin(seed)
        run.kill(Self.owner)
        trimLater(run, through: Self.other)
        run.start(Self.owner)
        endQuietly(run)
    }

    @Test("its time begins with the answer, however late that is", arguments: seeds)
    func answerIsLate(seed: UInt64) {
        let run = begin(seed)
        run.slowLink(from: Self.owner, to: Self.other, by: Self.pause)
        trimLater(run, through: Self.other, mayHappen: true)
        run.run(for: Self.delay - Self.second / 5)
        expect(isThere(run), "it was trimmed too early")
        endQuietly(run, isThere: false)
    }

    @Test("its client goes while the owner is being asked, and writes through the owner", arguments: seeds)
    func clientGoes(seed: UInt64) {
        let run = begin(seed)
        run.slowLink(from: Self.other, to: Self.owner, by: Self.pause)
        _ = run.trimLater(object: 0, through: Self.other, after: Self.delay, mayHappen: false)
        run.run(for: Self.second / 10)
        run.disconnect(Self.other)
        run.succeed(run.write(Self.written, through: Self.owner))
        endQuietly(run)
    }

    @Test("the owner that watches does what its own clients ask for in time", arguments: seeds)
    func bothDoors(seed: UInt64) {
        let run = begin(seed)
        trimLater(run, object: 1, through: Self.other)
        trimLater(run, through: Self.owner, mayHappen: true)
        endQuietly(run, isThere: false)
    }

    @Test("who asked first, and was overtaken by a write, has no say over what is asked for after it", arguments: seeds)
    func askedAnew(seed: UInt64) {
        let run = begin(seed)
        run.succeed(run.read(Self.written, through: 1))
        trimLater(run, through: Self.other)
        run.succeed(run.write(Self.written, through: Self.owner))
        run.run(for: Self.delay / 2)
        trimLater(run, through: 1, mayHappen: true)
        run.run(for: Self.delay - Self.second)
        expect(isThere(run), "it was trimmed too early")
        endQuietly(run, isThere: false)
    }

    @Test("a snapshot is deleted through a third sheep just before the time, and nobody else has read the log since", arguments: seeds, [owner, other])
    func snapshotIsDeletedElsewhere(seed: UInt64, door: Int) {
        let run = begin(seed) { $0.learnOfEntries(after: 4 * Self.second) }
        run.succeed(run.snapshot("before", through: Self.owner))
        run.succeed(run.write(Self.written, through: Self.owner))
        trimLater(run, through: door)
        // What others send shows that there is something to read.
        for sheep in Self.storing { for gateway in [Self.owner, Self.other] { run.slowLink(from: sheep, to: gateway, by: Self.pause) } }
        run.run(for: Self.delay - Self.second / 40)
        run.succeed(run.deleteSnapshot("before", through: 1))
        endQuietly(run)
    }

    @Test("the lease leaves the owner that watches, and comes back: nobody knows what came in between", arguments: seeds, [owner, other])
    func leaseComesBack(seed: UInt64, door: Int) {
        let run = begin(seed)
        trimLater(run, through: door)
        run.succeed(run.handOver(to: 1, through: Self.owner))
        run.succeed(run.write(Self.written, through: 1))
        run.succeed(run.handOver(to: Self.owner, through: Self.owner))
        endQuietly(run)
    }

    @Test("a write of part of a block still reads the rest of it when the time comes", arguments: seeds, [owner, other])
    func writeInPartIsUnderWay(seed: UInt64, door: Int) {
        let run = begin(seed)
        trimLater(run, through: Self.owner)
        run.run(for: Self.delay - Self.second / 5)
        slow(run, Self.owner, by: Self.pause)
        run.succeed(run.write(3..<5, through: door))
        endQuietly(run)
    }

    @Test("a write is under way when it is asked for, and is answered later", arguments: seeds, [owner, other])
    func writeIsUnderWay(seed: UInt64, door: Int) {
        let run = begin(seed)
        slow(run, Self.owner, by: Self.pause)
        let write = run.write(Self.written, through: Self.owner)
        run.run(for: Self.second / 10)
        trimLater(run, through: door)
        expect(!write.isAnswered, "it was answered before")
        run.succeed(write)
        endQuietly(run)
    }

    @Test("a snapshot is deleted while the volume is being opened", arguments: seeds)
    func snapshotIsDeleted(seed: UInt64) {
        let run = begin(seed)
        run.succeed(run.snapshot("before", through: Self.owner))
        run.succeed(run.write(Self.written, through: Self.owner))
        run.kill(Self.owner)
        run.run(for: 3 * Self.second)
        slow(run, Self.other, by: Self.pause)
        trimLater(run, through: Self.other)
        run.succeed(run.deleteSnapshot("before", through: 1))
        run.healLinks()
        run.run(for: 2 * Self.delay)
        run.start(Self.owner)
        endQuietly(run)
    }

    @Test("another gateway becomes the owner in between: nobody knows what came there", arguments: seeds)
    func ownerChanges(seed: UInt64) {
        let run = begin(seed)
        run.kill(Self.owner)
        run.run(for: 3 * Self.second)
        // It has not seen that nobody holds the lease, or is about to take it, when the other one does.
        run.pause(Self.other, for: 4 * Self.second)
        let trim = run.trimLater(object: 0, through: Self.other, after: Self.delay, mayHappen: false)
        run.succeed(run.write(Self.written, through: 1))
        run.kill(1)
        expect(run.run(atMost: 40 * Self.second) { trim.isAnswered }, "no answer")
        run.succeed(run.read(Self.written, through: Self.other))
        for sheep in [1, Self.owner] { run.start(sheep) }
        expect(run.run(atMost: 60 * Self.second) { run.isComplete }, "not all copies are in sync")
        endQuietly(run)
    }
}
