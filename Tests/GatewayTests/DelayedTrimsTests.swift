import Gateway
import ObjectModel
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
}
