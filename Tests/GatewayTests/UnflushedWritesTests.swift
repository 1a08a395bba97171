import Gateway
import ObjectModel
import Testing

@Suite struct UnflushedWritesTests {
    private static let objectSize: UInt64 = 4 << 20
    private var writes = UnflushedWrites()
    private var client = 0

    private mutating func write(object index: UInt64, objects: UInt64 = 1) {
        let start = index * Self.objectSize
        writes.insert(start..<start + objects * Self.objectSize, of: Family(rawValue: 7), objectSize: Self.objectSize)
    }

    private mutating func loses(_ index: UInt32) -> Bool {
        let lost = PlacementGroup(family: Family(rawValue: 7), index: index)
        return writes.lost { $0 == lost }
    }

    private mutating func losesAll() -> Bool { writes.lost { _ in true } }

    private mutating func flush(succeeds: Bool = true) -> Bool {
        writes.flushBegins()
        return writes.flushEnded(succeeded: succeeds, known: &client)
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
        write(object: 3, objects: 2)
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
        let isTold = writes.flushEnded(succeeded: true, known: &client)
        #expect(isTold)
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

    @Test("a trim of a volume of any size is noted at once")
    mutating func large() {
        write(object: 0, objects: 1 << 24)
        #expect(loses(0))
    }
}
