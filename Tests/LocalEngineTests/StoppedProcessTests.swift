import Cluster
import LocalEngine
import ObjectModel
import Testing

/// A process that is stopped (SIGSTOP) at any point blocks nobody, and does no harm when it goes on.
/// Stopping is not turning its loop.
@Suite struct StoppedProcessTests {
    /// A log with one member that stopped right after it wrote the first segment's seal.
    private func stoppedAfterSeal(in folder: TemporaryFolder) throws -> Member {
        let member = try Member(1, in: folder, limits: smallSegments)
        member.recorder.propose(payloads(of: 1, count: 40))
        #expect(try turn([member.loop]) { try seal(of: LogIndex(rawValue: 1), in: folder) != nil })
        return member
    }

    private func seal(of first: LogIndex, in folder: TemporaryFolder) throws -> LogIndex? {
        guard let segment = try folder.directory.folder.open(first) else { return nil }
        return try segment.read().last { $0.isSeal }?.index
    }

    @Test("one stops between seal and link: another makes the next segment, the first goes on in it")
    func stopBetweenSealAndLink() throws {
        let folder = TemporaryFolder()
        let stopped = try stoppedAfterSeal(in: folder)
        #expect(try folder.directory.folder.segments().count == 1)
        let other = try Member(2, in: folder, limits: smallSegments)
        other.recorder.propose(payloads(of: 2, count: 3))
        #expect(turn([other.loop]) { other.recorder.proposals.isEmpty })
        #expect(try folder.directory.folder.segments().count == 2)
        #expect(turn([stopped.loop, other.loop]) {
            stopped.recorder.proposals.isEmpty && stopped.recorder.history == other.recorder.history
        })
        #expect(stopped.recorder.payloads.count == 43)
        #expect(stopped.recorder.restoredAt.isEmpty, "it followed the log, it was not restored")
        #expect(!stopped.recorder.outOfOrder && !other.recorder.outOfOrder)
    }

    @Test("an entry proposed while the log stands between two segments is written to the next")
    func entryWhileStanding() throws {
        let folder = TemporaryFolder()
        let stopped = try stoppedAfterSeal(in: folder)
        let other = try Member(2, in: folder, limits: smallSegments)
        let sealed = try #require(try seal(of: LogIndex(rawValue: 1), in: folder))
        #expect(turn([other.loop]) { other.recorder.last == sealed })
        #expect(try folder.directory.folder.segments().count == 1)
        other.recorder.propose([[1, 2, 3]])
        #expect(turn([other.loop]) { other.recorder.history.last?.payload == [1, 2, 3] })
        #expect(other.recorder.last == sealed.next)
        _ = stopped
    }

    @Test("one stopped for several segments is restored from the newest snapshot and proposes on")
    func stoppedForLong() throws {
        let folder = TemporaryFolder()
        let stopped = try stoppedAfterSeal(in: folder)
        let other = try Member(2, in: folder, limits: smallSegments)
        other.recorder.propose(payloads(of: 2, count: 200))
        #expect(turn([other.loop]) { other.recorder.proposals.isEmpty })
        #expect(try folder.directory.folder.segments().first! > LogIndex(rawValue: 1))
        #expect(turn([stopped.loop, other.loop]) {
            stopped.recorder.proposals.isEmpty && stopped.recorder.history == other.recorder.history
        })
        #expect(stopped.recorder.restoredAt.count == 1)
        #expect(Set(other.recorder.payloads).count == 240)
        #expect(other.recorder.payloads.count == 240)
    }

    @Test("a removed segment that a stopped process puts in place again misleads nobody")
    func resurrectedSegment() throws {
        let folder = TemporaryFolder()
        let stopped = try stoppedAfterSeal(in: folder)
        let sealed = try #require(try seal(of: LogIndex(rawValue: 1), in: folder))
        let other = try Member(2, in: folder, limits: smallSegments)
        other.recorder.propose(payloads(of: 2, count: 200))
        #expect(turn([other.loop]) { other.recorder.proposals.isEmpty })
        let late = try SegmentDraft(in: folder.directory.folder, maker: "late", snapshotEstimate: 0, reserve: 4096)
        #expect(try late.install(index: sealed, snapshot: [1, 2, 3]), "the removed name was still taken")
        let joiner = try Member(3, in: folder, limits: smallSegments)
        #expect(turn([stopped.loop, other.loop, joiner.loop]) {
            stopped.recorder.proposals.isEmpty && joiner.recorder.history == other.recorder.history
                && stopped.recorder.history == other.recorder.history
        })
        #expect(!stopped.recorder.outOfOrder && !joiner.recorder.outOfOrder)
    }

    @Test("a record written late to a sealed segment is void")
    func lateRecord() throws {
        let folder = TemporaryFolder()
        let member = try stoppedAfterSeal(in: folder)
        let sealed = try #require(try seal(of: LogIndex(rawValue: 1), in: folder))
        let late = try #require(try folder.directory.folder.open(LogIndex(rawValue: 1)))
        _ = try late.read()
        try late.append(LogRecord(index: sealed.next, payload: [6, 6, 6]))
        #expect(turn([member.loop]) { member.recorder.proposals.isEmpty })
        #expect(!member.recorder.payloads.contains([6, 6, 6]))
        #expect(member.recorder.payloads.count == 40)
    }
}
