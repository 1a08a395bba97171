import Glibc
import LocalEngine
import ObjectModel
import Testing

@Suite struct RandomLogTests {
    /// Faults: processes stop and go on, are ended and started again, records torn at random bytes, looks at any time.
    @Test("sheep that stop, end, return and tear records all deliver one sequence", arguments: 1...12 as ClosedRange<UInt64>)
    func faults(seed: UInt64) throws {
        var generator = TestGenerator(seed: seed)
        let folder = TemporaryFolder()
        let limits = LocalEngine.Limits(sealAfter: .random(in: 300...3000, using: &generator), reserve: 32_768)
        var members = try (0..<4).map { try Member($0, in: folder, limits: limits) }
        var stopped: Set<Int> = []
        var proposed = 0
        for _ in 0..<400 {
            let number = Int.random(in: 0..<4, using: &generator)
            switch Int.random(in: 0..<40, using: &generator) {
            case 0: stopped.insert(number)
            case 1...3: stopped.remove(number)
            case 4:
                members[number].engine.stop()
                members[number] = try Member(number, in: folder, limits: limits)
            case 5...6: try tear(in: folder, using: &generator)
            case 7...14:
                proposed += 1
                members[number].recorder.propose([payloads(of: number, count: proposed, length: proposed % 90).last!])
            case 15: members[number].engine.look()
            default:
                for (number, member) in members.enumerated() where !stopped.contains(number) { member.loop.turn() }
                if Bool.random(using: &generator) { usleep(500) }
            }
        }
        // All go on until quiet.
        let loops = members.map(\.loop)
        #expect(turn(loops) {
            members.allSatisfy { $0.recorder.proposals.isEmpty && $0.recorder.history == members[0].recorder.history }
                && members[0].recorder.caughtUpCount > 0
        }, "seed \(seed)")
        let joiner = try Member(9, in: folder, limits: limits)
        #expect(turn(loops + [joiner.loop]) {
            joiner.recorder.caughtUpCount > 0 && joiner.recorder.history == members[0].recorder.history
        }, "seed \(seed)")
        for recorder in (members + [joiner]).map(\.recorder) {
            #expect(!recorder.outOfOrder && recorder.failure == nil, "seed \(seed): \(recorder.failure ?? "order")")
        }
        #expect(Set(members[0].recorder.payloads).count == members[0].recorder.payloads.count, "seed \(seed): twice")
    }

    /// Leaves the beginning of a record with the index that is next, as a killed process does.
    private func tear(in folder: TemporaryFolder, using generator: inout TestGenerator) throws {
        let logFolder = try folder.directory.folder
        guard let newest = try logFolder.segments().last, let segment = try logFolder.open(newest) else { return }
        _ = try segment.read()
        let payload = [UInt8](repeating: 6, count: .random(in: 0...2000, using: &generator))
        let record = LogRecord(index: segment.next, payload: payload).encoded(tag: segment.header.tag)
        appendRaw(Array(record.prefix(.random(in: 0..<record.count, using: &generator))), to: segment.file.path)
    }
}
