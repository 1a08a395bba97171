import Cluster
import Glibc
import LocalEngine
import ObjectModel
import Synchronization
import Testing

@Suite struct LogCopyTests {
    private let index = { LogIndex(rawValue: $0) }

    private let unread: @Sendable (String) -> Void = { #expect($0.contains("cannot be read")) }

    private func copy(in folder: TemporaryFolder, failed: @escaping @Sendable (String) -> Void = { Issue.record("\($0)") }) throws -> LogCopy {
        try LogCopy(in: folder.path, failed: failed)
    }

    /// Once the worker has written it.
    private func contents(_ folder: TemporaryFolder, until last: UInt64) throws -> LogCopy.Contents? {
        #expect(try turn([]) { try LogCopy.read(in: folder.path)?.last.rawValue == last })
        return try LogCopy.read(in: folder.path)
    }

    @Test("the state and the entries after it come back in order; a new beginning replaces both")
    func roundTrip() throws {
        let folder = TemporaryFolder()
        let first = try copy(in: folder)
        #expect(first.last == nil)
        first.begin(after: index(3), snapshot: [1, 2, 3])
        for entry: UInt64 in 4...40 { first.append([UInt8(entry)], at: index(entry)) }
        let contents = try #require(try contents(folder, until: 40))
        #expect(contents.index == index(3) && contents.snapshot == [1, 2, 3])
        #expect(contents.entries.map(\.payload) == (4...40).map { [$0] } && contents.entries.map(\.index.rawValue) == Array(4...40))

        let second = try copy(in: folder)
        #expect(second.last == index(40))
        second.begin(after: index(40), snapshot: [9])
        second.append([41], at: index(41))
        let later = try #require(try self.contents(folder, until: 41))
        #expect(later.index == index(40) && later.snapshot == [9] && later.entries.map(\.payload) == [[41]])
    }

    @Test("a copy that is cut off or rots anywhere gives what is whole of it; one whose beginning is damaged is none")
    func damage() throws {
        let folder = TemporaryFolder()
        let writer = try copy(in: folder)
        writer.begin(after: index(7), snapshot: [1, 2, 3])
        for entry: UInt64 in 8...10 { writer.append([UInt8](repeating: 5, count: 20), at: index(entry)) }
        _ = try contents(folder, until: 10)
        let path = folder.path + "/control"
        let whole = try #require(bytes(path))
        let records = SegmentHeader.length + 3
        for length in 0..<whole.count {
            write(Array(whole.prefix(length)), to: path)
            guard length >= records else {
                #expect(throws: EngineFailure.self) { try LogCopy.read(in: folder.path) }
                #expect(try copy(in: folder, failed: unread).last == nil)
                continue
            }
            let last = UInt64(7 + (length - records) / (LogRecord.headerLength + 20))
            #expect(try LogCopy.read(in: folder.path)?.last == index(last))
            #expect(try copy(in: folder).last == index(last))
        }
        var rotten = whole
        rotten[records + LogRecord.headerLength + 20 + 30] ^= 1
        write(rotten, to: path)
        #expect(try LogCopy.read(in: folder.path)?.last == index(8) && copy(in: folder).last == index(8))
        rotten[records - 1] ^= 1
        write(rotten, to: path)
        #expect(throws: EngineFailure.self) { try LogCopy.read(in: folder.path) }
        #expect(try copy(in: folder, failed: unread).last == nil)
    }

    @Test("a copy that cannot be written ends with what it has, says so once, and goes on with a new beginning")
    func unwritable() throws {
        let folder = TemporaryFolder()
        let said = Said()
        let writer = try copy(in: folder) { said.add($0) }
        writer.begin(after: index(1), snapshot: [1])
        _ = try contents(folder, until: 1)
        // A folder in the place of the next draft.
        mkdir(folder.path + "/control.new", 0o700)
        writer.begin(after: index(2), snapshot: [2])
        writer.append([3], at: index(3))
        #expect(turn([]) { said.texts.count == 1 })
        #expect(try LogCopy.read(in: folder.path)?.last == index(1))
        #expect(writer.isBroken)
        rmdir(folder.path + "/control.new")
        writer.begin(after: index(4), snapshot: [4])
        #expect(!writer.isBroken)
        writer.append([5], at: index(5))
        #expect(try contents(folder, until: 5)?.snapshot == [4])
        #expect(said.texts.count == 1 && said.texts[0].contains("control.new"))
    }

    @Test("how far a log can be read: nothing, all of it, up to what rots")
    func reach() throws {
        let folder = TemporaryFolder()
        let log = try folder.directory.folder
        #expect(try log.reach() == nil)
        do {
            let member = try Member(1, in: folder)
            member.recorder.propose(payloads(of: 1, count: 9))
            #expect(turn([member.loop]) { member.recorder.payloads.count == 9 })
        }
        let whole = try #require(try log.reach())
        #expect(whole.last == index(9) && whole.isWhole)
        let path = try folder.directory.path + "/" + LogFolder.segmentName(index(1))
        var damaged = try #require(bytes(path))
        damaged[SegmentHeader.length + LogRecord.headerLength] ^= 1
        write(damaged, to: path)
        let cut = try #require(try log.reach())
        #expect(cut.last == index(9) && !cut.isWhole, "what is behind the damage counts: a copy that ends before it is too old")
        let member = try Member(1, in: folder)
        #expect(turn([member.loop]) { member.recorder.failure?.contains("entry 2 follows") == true })
        #expect(member.recorder.failure?.contains("--restore-log") == true && member.recorder.payloads.isEmpty)
    }

    private func bytes(_ path: String) -> [UInt8]? {
        guard let file = fopen(path, "r") else { return nil }
        defer { fclose(file) }
        var bytes = [UInt8](repeating: 0, count: 1 << 20)
        let count = fread(&bytes, 1, bytes.count, file)
        return Array(bytes.prefix(count))
    }

    private func write(_ bytes: [UInt8], to path: String) {
        let file = fopen(path, "w")!
        fwrite(bytes, 1, bytes.count, file)
        fclose(file)
    }
}

/// What was said from any thread.
private final class Said: Sendable {
    private let all = Mutex<[String]>([])
    func add(_ text: String) { all.withLock { $0.append(text) } }
    var texts: [String] { all.withLock { $0 } }
}
