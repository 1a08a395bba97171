import Gateway
import ObjectModel
import Testing

@Suite struct UnflushedWritesTests {
    private var writes = UnflushedWrites()
    private var client = 0

    private func group(_ index: UInt32) -> PlacementGroup { PlacementGroup(family: Family(rawValue: 7), index: index) }

    private mutating func write(object index: UInt32) { writes.insert(group(index)) }

    private mutating func loses(_ index: UInt32) -> Bool {
        let lost = group(index)
        return writes.lost { $0 == lost }
    }

    private mutating func losesAll() -> Bool { writes.lost { _ in true } }

    private mutating func flush(succeeds: Bool = true) -> Bool {
        writes.flushBegins()
        defer { client = writes.losses }
        return writes.flushEnded(succeeded: succeeds, known: client)
    }

    @Test("a loss fails the next flush, once")
    mutating func once() {
        write(object: 3)
        #expect(loses(3))
        #expect(flush())
        #expect(!flush())
    }

    @Test("what was flushed, or is in other groups, was not lost")
    mutating func elsewhere() {
        write(object: 3)
        #expect(!loses(5))
        #expect(!flush())
        #expect(!losesAll())
        write(object: 6)
        #expect(loses(6))
    }

    @Test("a flush under way, or one that failed, has made nothing durable")
    mutating func underWay() {
        write(object: 3)
        writes.flushBegins()
        #expect(loses(3))
        let isTold = writes.flushEnded(succeeded: true, known: client)
        #expect(isTold)
        client = writes.losses
        write(object: 4)
        #expect(!flush(succeeds: false))
        #expect(loses(4))
        #expect(flush())
    }

    @Test("each client is told; who comes after one was told is not, who comes before anybody was told is")
    mutating func clients() {
        let first = writes.known
        write(object: 3)
        _ = losesAll()
        let beforeAnyWasTold = writes.known
        #expect(flush())
        for (known, isTold) in [(first, true), (beforeAnyWasTold, true), (writes.known, false)] {
            client = known
            #expect(flush() == isTold)
        }
    }

    @Test("what an owner may have acknowledged without an answer counts too")
    mutating func unanswered() {
        let lost = group(9)
        let isAnother = writes.lost(others: [group(8)]) { $0 == lost }
        #expect(!isAnother)
        let isLost = writes.lost(others: [group(8), lost]) { $0 == lost }
        #expect(isLost)
        #expect(flush())
    }
}
