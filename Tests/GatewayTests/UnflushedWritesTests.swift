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

    private func group(_ index: UInt32) -> PlacementGroup { PlacementGroup(family: Family(rawValue: 7), index: index) }

    private mutating func flush(succeeds: Bool = true) -> Bool {
        writes.flushBegins()
        return writes.flushEnded(succeeded: succeeds, known: &client)
    }

    @Test("a loss fails the next flush, once")
    mutating func once() {
        write(object: 3)
        #expect(writes.lost { $0 == group(3) })
        #expect(flush())
        #expect(!flush())
    }

    @Test("what was flushed, or is in other groups, was not lost")
    mutating func elsewhere() {
        write(object: 3, objects: 2)
        #expect(!writes.lost { $0 == group(5) })
        #expect(!flush())
        #expect(!writes.lost { _ in true })
        write(object: 6)
        #expect(writes.lost { $0 == group(6) })
    }

    @Test("a flush under way, or one that failed, has made nothing durable")
    mutating func underWay() {
        write(object: 3)
        writes.flushBegins()
        #expect(writes.lost { $0 == group(3) })
        #expect(writes.flushEnded(succeeded: true, known: &client))
        write(object: 4)
        #expect(!flush(succeeds: false))
        #expect(writes.lost { $0 == group(4) })
        #expect(flush())
    }

    @Test("each client is told; who comes after one was told is not, who comes before anybody was told is")
    mutating func clients() {
        let first = writes.known
        write(object: 3)
        _ = writes.lost { _ in true }
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
        #expect(writes.lost { $0 == group(0) })
    }
}
