import Cluster
import Glibc
import LocalEngine
import ObjectModel
import Testing

@Suite struct LocalEngineTests {
    @Test("a sheep alone founds the log, commits, and finds it all again after a restart")
    func alone() throws {
        let folder = TemporaryFolder()
        let mine = payloads(of: 1, count: 5)
        do {
            let member = try Member(1, in: folder)
            member.recorder.propose(mine)
            #expect(turn([member.loop]) { member.recorder.payloads.count == 5 })
            #expect(member.recorder.caughtUpCount == 1)
            #expect(member.recorder.payloads == mine)
        }
        let again = try Member(1, in: folder)
        #expect(turn([again.loop]) { again.recorder.caughtUpCount == 1 })
        #expect(again.recorder.payloads == mine)
        #expect(again.recorder.restoredAt.isEmpty)
        #expect(!again.recorder.outOfOrder)
    }

    @Test("nothing is delivered from within append, and an entry of an old index has lost")
    func appendIsLater() throws {
        let folder = TemporaryFolder()
        let member = try Member(1, in: folder)
        #expect(turn([member.loop]) { member.recorder.caughtUpCount == 1 })
        member.engine.append([1], at: LogIndex(rawValue: 1))
        member.engine.append([2], at: LogIndex(rawValue: 1))
        #expect(member.recorder.history.isEmpty)
        #expect(turn([member.loop]) { member.recorder.payloads == [[1]] })
        member.engine.append([3], at: LogIndex(rawValue: 1))
        member.recorder.propose([[4]])
        #expect(turn([member.loop]) { member.recorder.payloads.count == 2 })
        #expect(member.recorder.payloads == [[1], [4]])
    }

    @Test("the largest payload passes")
    func largestPayload() throws {
        let folder = TemporaryFolder()
        let members = try (1...2).map { try Member($0, in: folder) }
        let large = [UInt8](repeating: 0xA5, count: maximumControlPayload)
        members[0].recorder.propose([large])
        #expect(turn(members.map(\.loop)) { members.allSatisfy { $0.recorder.payloads == [large] } })
    }

    @Test("three sheep race on threads of their own through many segments: all deliver one sequence, nothing twice")
    func race() throws {
        let folder = TemporaryFolder()
        let members = try (1...3).map { try Member($0, in: folder, limits: smallSegments) }
        let threads = members.map { LoopThread($0.loop) }
        for (number, member) in members.enumerated() {
            let member = Unchecked(value: member)
            member.value.loop.post { member.value.recorder.propose(payloads(of: number, count: 60)) }
        }
        let counts = { zip(threads, members).map { thread, member in
            let recorder = Unchecked(value: member.recorder)
            return thread.ask { recorder.value.payloads.count }
        } }
        #expect(turn([]) { counts() == [180, 180, 180] })
        for thread in threads { thread.stop() }
        #expect(Set(members.map(\.recorder.history)).count == 1)
        #expect(Set(members[0].recorder.payloads).count == 180)
        #expect(members.allSatisfy { !$0.recorder.outOfOrder && $0.recorder.failure == nil })
        #expect(members[0].recorder.history.contains { $0.payload.isEmpty }, "no segment was sealed")
    }

    @Test("records torn at every byte between others' appends change nothing")
    func tornRecords() throws {
        let folder = TemporaryFolder()
        let members = try (1...2).map { try Member($0, in: folder) }
        let loops = members.map(\.loop)
        #expect(turn(loops) { members.allSatisfy { $0.recorder.caughtUpCount == 1 } })
        let path = try folder.directory.path + "/" + LogFolder.segmentName(LogIndex(rawValue: 1))
        let tag = try #require(try folder.directory.folder.open(LogIndex(rawValue: 1))).header.tag
        let mine = payloads(of: 1, count: 30, length: 8)
        for (number, payload) in mine.enumerated() {
            // No byte of the next record may complete it; then it would rightly be a whole record.
            let other = [UInt8](repeating: ~UInt8(truncatingIfNeeded: tag), count: 6)
            let torn = LogRecord(index: LogIndex(rawValue: UInt64(number + 1)), payload: other).encoded(tag: tag)
            appendRaw(Array(torn.prefix(number)), to: path)
            members[number % 2].recorder.propose([payload])
            #expect(turn(loops) { members.allSatisfy { $0.recorder.payloads.count == number + 1 } })
        }
        let joiner = try Member(3, in: folder)
        #expect(turn([joiner.loop]) { joiner.recorder.caughtUpCount == 1 })
        for recorder in (members + [joiner]).map(\.recorder) { #expect(recorder.payloads == mine) }
    }

    @Test("a joiner starts from the last segment's snapshot, and only two segments are kept")
    func joinerFromSnapshot() throws {
        let folder = TemporaryFolder()
        let member = try Member(1, in: folder, limits: smallSegments)
        let mine = payloads(of: 1, count: 120)
        member.recorder.propose(mine)
        #expect(turn([member.loop]) { member.recorder.payloads.count == 120 })
        let segments = try folder.directory.folder
        #expect(turn([member.loop]) { (try? segments.segments().count) == 2 })
        let joiner = try Member(2, in: folder, limits: smallSegments)
        #expect(turn([joiner.loop]) { joiner.recorder.caughtUpCount == 1 })
        #expect(joiner.recorder.restoredAt.count == 1)
        #expect(joiner.recorder.history == member.recorder.history)
    }

    @Test("look: the lease reaches only to looks whose entries were delivered")
    func lease() throws {
        let folder = TemporaryFolder()
        let member = try Member(1, in: folder)
        #expect(member.engine.lastLookStarted == 0)
        #expect(turn([member.loop]) { member.recorder.caughtUpCount == 1 })
        let before = member.loop.now()
        member.engine.look()
        let renewed = member.engine.lastLookStarted
        #expect(renewed >= before && renewed <= member.loop.now())
        // Another process's entry.
        let segment = try #require(try folder.directory.folder.open(LogIndex(rawValue: 1)))
        try segment.append(LogRecord(index: LogIndex(rawValue: 1), payload: [1]))
        let seen = member.loop.now()
        member.engine.look()
        #expect(member.engine.lastLookStarted == renewed)
        member.recorder.onCommit = { _ in #expect(member.engine.lastLookStarted == renewed) }
        #expect(turn([member.loop]) { member.recorder.payloads == [[1]] })
        #expect(member.engine.lastLookStarted >= seen)
        // The timer renews it.
        let now = member.loop.now()
        #expect(turn([member.loop]) { member.engine.lastLookStarted > now })
        member.engine.stop()
        #expect(member.engine.lastLookStarted == 0)
    }

    @Test("a folder that is removed or moved away ends the engine with the path and what to do")
    func folderRemoved() throws {
        for isMoved in [true, false] {
            let folder = TemporaryFolder()
            let member = try Member(1, in: folder)
            #expect(turn([member.loop]) { member.recorder.caughtUpCount == 1 })
            let path = try folder.directory.path
            if isMoved { rename(path, path + ".away") } else { TemporaryFolder.remove(path) }
            #expect(turn([member.loop]) { member.recorder.failure != nil })
            #expect(member.recorder.failure?.contains(path) == true)
            let lease = member.engine.lastLookStarted
            member.engine.look()
            #expect(member.engine.lastLookStarted == lease)
        }
    }

    @Test("a log file that is removed under running sheep ends the engine")
    func segmentRemoved() throws {
        let folder = TemporaryFolder()
        let member = try Member(1, in: folder)
        #expect(turn([member.loop]) { member.recorder.caughtUpCount == 1 })
        unlink(try folder.directory.path + "/" + LogFolder.segmentName(LogIndex(rawValue: 1)))
        #expect(turn([member.loop]) { member.recorder.failure?.contains("log.0000000000000001") == true })
    }

    @Test("a damaged snapshot is refused with its file's name")
    func damagedSnapshot() throws {
        let folder = TemporaryFolder()
        try folder.directory.rebuildLog(index: LogIndex(rawValue: 7), snapshot: [1, 2, 3])
        let path = try folder.directory.path + "/" + LogFolder.segmentName(LogIndex(rawValue: 8))
        let file = fopen(path, "r+")!
        fseek(file, SegmentHeader.length + 1, SEEK_SET)
        fputc(9, file)
        fclose(file)
        let member = try Member(1, in: folder)
        #expect(turn([member.loop]) { member.recorder.failure != nil })
        #expect(member.recorder.failure?.contains(path) == true)
    }

    @Test("what an earlier run left in the making is removed at the start")
    func leftoverDraft() throws {
        let folder = TemporaryFolder()
        let founder = try Member(2, in: folder)
        #expect(turn([founder.loop]) { founder.recorder.caughtUpCount == 1 })
        _ = try SegmentDraft(in: folder.directory.folder, maker: "\(node(1))", snapshotEstimate: 0, reserve: 65_536)
        let leftover = try folder.directory.path + "/making.\(node(1))"
        #expect(OpenFile.status(at: leftover)?.size == 0)
        let member = try Member(1, in: folder)
        #expect(turn([member.loop]) { member.recorder.caughtUpCount == 1 })
        #expect(OpenFile.status(at: leftover) == nil)
    }

    @Test("a lost log is rebuilt from a copy of the state; not while a sheep runs")
    func rebuild() throws {
        let folder = TemporaryFolder()
        let state: [UInt8]
        let history: [Recorder.Entry]
        do {
            let member = try Member(1, in: folder)
            member.recorder.propose(payloads(of: 1, count: 4))
            #expect(turn([member.loop]) { member.recorder.payloads.count == 4 })
            (state, history) = (member.recorder.snapshot(), member.recorder.history)
            #expect(throws: SheepError.self) { try folder.directory.rebuildLog(index: member.recorder.last, snapshot: state) }
        }
        try folder.directory.rebuildLog(index: LogIndex(rawValue: 4), snapshot: state, by: node(1))
        let again = try Member(2, in: folder)
        again.recorder.propose([[5]])
        #expect(turn([again.loop]) { again.recorder.proposals.isEmpty })
        #expect(again.recorder.history == history + [Recorder.Entry(index: 5, payload: [5])])
    }
}

/// Turns a loop on a thread of its own.
final class LoopThread: @unchecked Sendable {
    private let loop: TestLoop
    private var thread = pthread_t()
    private var isStopping = false  // touched on the loop only

    init(_ loop: TestLoop) {
        self.loop = loop
        let argument = Unmanaged.passRetained(self).toOpaque()
        pthread_create(&thread, nil, { raw in
            let this = Unmanaged<LoopThread>.fromOpaque(raw!).takeRetainedValue()
            while !this.isStopping {
                if !this.loop.turn() { usleep(50) }
            }
            return nil
        }, argument)
    }

    func ask<Value: Sendable>(_ question: @escaping @Sendable () -> Value) -> Value {
        let answer = Answer<Value>()
        loop.post { answer.give(question()) }
        while true {
            if let value = answer.value { return value }
            usleep(100)
        }
    }

    func stop() {
        loop.post { self.isStopping = true }
        pthread_join(thread, nil)
    }
}
