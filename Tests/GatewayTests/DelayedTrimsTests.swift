import Gateway
import ObjectModel
import SheepProtocol
import Testing

/// The trims that wait for their time.
@Suite struct DelayedTrimsTests {
    private static let objectSize = 4 << 20

    private func trim(due: UInt64) -> DelayedTrims.Trim {
        DelayedTrims.Trim(range: 0..<Self.objectSize, due: due, keeper: .here(Term(rawValue: 1)))
    }

    private func table(_ indices: Range<UInt32>) -> DelayedTrims {
        indices.reduce(into: DelayedTrims()) { $0.insert(trim(due: UInt64($1)), at: $1) }
    }

    @Test("one an object, with the time of the last")
    func replaced() {
        var trims = table(0..<3)
        for due: UInt64 in 10...20 { trims.insert(trim(due: due), at: 0) }
        #expect(trims.count == 3 && trims.nextDue == 1)
        #expect(trims.due(at: 19) == [1, 2] && trims.due(at: 20) == [0, 1, 2])
    }

    @Test("what is asked for beyond the bound is forgotten; what waits may be asked for again")
    func bounded() {
        var trims = table(0..<UInt32(DelayedTrims.most))
        trims.insert(trim(due: 0), at: UInt32(DelayedTrims.most))
        #expect(trims.count == DelayedTrims.most)
        trims.insert(trim(due: .max), at: 1)
        #expect(trims.count == DelayedTrims.most && !trims.due(at: .max - 1).contains(1))
    }

    @Test("a change ends those of the objects that it touches, however many")
    func ended() {
        let size = UInt64(Self.objectSize)
        var trims = table(0..<10)
        trims.end(2 * size - 1..<2 * size + 1, objectSize: Self.objectSize)
        #expect(trims.due(at: .max) == [0, 3, 4, 5, 6, 7, 8, 9])
        trims.end(4 * size..<4 * size, objectSize: Self.objectSize)
        #expect(trims.count == 8)
        trims.end(8 * size..<1 << 50, objectSize: Self.objectSize)
        #expect(trims.due(at: .max) == [0, 3, 4, 5, 6, 7])
    }

    private func watch(_ number: UInt64, until end: UInt64 = .max) -> DelayedTrims.Watch {
        DelayedTrims.Watch(range: 0..<Self.objectSize, mark: mark(number), term: Term(rawValue: 1), end: end)
    }

    private func mark(_ number: UInt64) -> ChangeOrigin { ChangeOrigin(boot: BootID(rawValue: 7), request: number) }

    @Test("a watch ends by a change, by another one, or when it has lasted too long")
    func watched() {
        var trims = DelayedTrims()
        var isTaken = [watch(1), watch(2), watch(3, until: 10)].enumerated().map { trims.watch(UInt32($0), $1, now: 0) }
        #expect(isTaken == [true, true, true])
        isTaken = [2, 1, 1].map { trims.takeWatch(0, mark: mark($0), now: 5) != nil }
        #expect(isTaken == [false, true, false])
        isTaken = [trims.takeWatch(2, mark: mark(3), now: 10) != nil]
        trims.end(UInt64(Self.objectSize)..<UInt64(Self.objectSize) + 1, objectSize: Self.objectSize)
        isTaken.append(trims.takeWatch(1, mark: mark(2), now: 5) != nil)
        #expect(isTaken == [false, false] && trims.isEmpty)
    }

    @Test("watches are bounded; those that have lasted too long make room")
    func watchesBounded() {
        var trims = DelayedTrims()
        let hadRoom = (0..<UInt32(DelayedTrims.most)).map { trims.watch($0, watch(1, until: $0 == 0 ? 10 : 20), now: 0) }
        #expect(hadRoom.allSatisfy { $0 })
        let hasRoom = [9, 10].map { trims.watch(UInt32(DelayedTrims.most), watch(2), now: $0) }
        #expect(hasRoom == [false, true])
    }

    @Test("what comes while the owner is asked ends what was asked for")
    func asked() {
        var trims = DelayedTrims()
        let hadRoom = [(0, 1), (1, 2), (1, 3)].map { trims.ask($0, mark: mark($1)) }
        #expect(hadRoom == [true, true, true])
        trims.end(0..<1, objectSize: Self.objectSize)
        let counts = [(0, 1), (1, 2), (1, 3)].map { trims.answered($0, mark: mark($1)) }
        #expect(counts == [false, false, true] && trims.isEmpty)
    }
}
