import LocalEngine
import ObjectModel
import Testing

@Suite struct ChecksumTests {
    @Test("CRC32C of the check string, whole and in pieces")
    func checkValue() {
        #expect(Checksum.of(Array("123456789".utf8)) == 0xE306_9283)
        var pieces = Checksum()
        for piece in ["1234", "", "56789"] { Array(piece.utf8).withUnsafeBytes { pieces.update($0) } }
        #expect(pieces.value == 0xE306_9283)
        #expect(Checksum.of([]) == 0)
    }
}

@Suite struct SegmentHeaderTests {
    private let header = SegmentHeader(tag: 77, index: LogIndex(rawValue: 12), snapshot: [1, 2, 3])

    @Test("a header reads back as written")
    func roundTrip() throws {
        #expect(try SegmentHeader(decoding: header.encoded) == header)
        #expect(header.recordsOffset == 51)
    }

    @Test("every truncation and every flipped bit of a header is refused")
    func damage() {
        for length in 0..<SegmentHeader.length {
            #expect(throws: WireError.self) { try SegmentHeader(decoding: Array(header.encoded.prefix(length))) }
        }
        for bit in 0..<SegmentHeader.length * 8 {
            var bytes = header.encoded
            bytes[bit / 8] ^= 1 << (bit % 8)
            #expect(throws: WireError.self) { try SegmentHeader(decoding: bytes) }
        }
    }
}

@Suite struct RecordScannerTests {
    private let tag: UInt64 = 0x1122_3344_5566_7788
    private func bytes(_ index: UInt64, _ payload: [UInt8]) -> [UInt8] {
        LogRecord(index: LogIndex(rawValue: index), payload: payload).encoded(tag: tag)
    }
    private func scanner() -> RecordScanner { RecordScanner(tag: tag, next: LogIndex(rawValue: 1)) }
    /// The winners when the bytes come in pieces of this size.
    private func winners(_ bytes: [UInt8], piece: Int) -> [[UInt8]] {
        var scanner = scanner()
        return stride(from: 0, to: bytes.count, by: piece).flatMap { start in
            scanner.feed(Array(bytes[start..<min(start + piece, bytes.count)])).map(\.payload)
        }
    }

    @Test("the first whole record with an index wins, duplicates and late records lose")
    func firstWins() {
        let log = bytes(1, [1]) + bytes(1, [2]) + bytes(2, [4]) + bytes(1, [3]) + bytes(2, [4]) + bytes(3, [5])
        for piece in 1...log.count { #expect(winners(log, piece: piece) == [[1], [4], [5]]) }
    }

    @Test("a seal that outlived what was before it is no proof: nobody has acted upon either")
    func sealAlone() {
        var scanner = scanner()
        #expect(scanner.feed(bytes(1, [1]) + bytes(3, []) + bytes(2, [2]) + bytes(3, [3])).map(\.payload) == [[1], [2], [3]])
        #expect(scanner.proof == nil && !scanner.isSealed)
    }

    @Test("a record that rots is noticed by the one behind it: nothing behind it wins, and its index is never given away again")
    func rot() {
        let (first, second, third) = (bytes(1, [1]), bytes(2, [2, 2]), bytes(3, [3]))
        for bit in 0..<second.count * 8 {
            var damaged = second
            damaged[bit / 8] ^= 1 << (bit % 8)
            var scanner = scanner()
            #expect(scanner.feed(first + damaged + third).map(\.payload) == [[1]])
            #expect(scanner.proof == LogIndex(rawValue: 3) && scanner.next == LogIndex(rawValue: 2))
            #expect(scanner.feed(second).isEmpty)
        }
    }

    @Test("a record torn at any byte is skipped, and whoever reads in whatever pieces sees the same")
    func tornEverywhere() {
        let torn = bytes(2, [9, 9, 9, 9, 9])
        for cut in 0..<torn.count {
            let log = bytes(1, [1]) + torn.prefix(cut) + bytes(2, [2]) + torn.prefix(cut) + torn.prefix(cut) + bytes(3, [3])
            for piece in [1, 2, 7, 24, 25, log.count] { #expect(winners(log, piece: piece) == [[1], [2], [3]]) }
        }
    }

    @Test("a torn record that claims more than follows does not hold up what follows")
    func tornLongRecord() {
        let torn = bytes(2, [UInt8](repeating: 7, count: 5000)).prefix(600)
        var scanner = scanner()
        #expect(scanner.feed(bytes(1, [1]) + torn).map(\.payload) == [[1]])
        #expect(scanner.feed(bytes(2, [2])).map(\.payload) == [[2]])
        #expect(scanner.feed(bytes(3, [UInt8](repeating: 1, count: 6000))).count == 1)
    }

    @Test("every flipped bit of a record makes it lose")
    func flippedBits() {
        let record = bytes(1, [1, 2, 3])
        for bit in 0..<record.count * 8 {
            var damaged = record
            damaged[bit / 8] ^= 1 << (bit % 8)
            #expect(winners(damaged + bytes(1, [4]), piece: 1000) == [[4]])
        }
    }

    @Test("a client's payload that looks like a record of another segment is not one when its record is torn")
    func imageInsidePayload() {
        let image = LogRecord(index: LogIndex(rawValue: 1), payload: [6, 6, 6]).encoded(tag: tag &+ 1)
        let outer = bytes(1, image + [0])
        #expect(winners(outer.dropLast() + bytes(1, [1]), piece: 10) == [[1]])
        #expect(winners(outer, piece: 10) == [image + [0]])
    }

    @Test("zeros and garbage between records are skipped")
    func garbage() {
        let zeros = [UInt8](repeating: 0, count: 5000)
        var generator = TestGenerator(seed: 5)
        let noise = (0..<5000).map { _ in UInt8.random(in: 0...255, using: &generator) }
        #expect(winners(zeros + bytes(1, [1]) + noise + bytes(2, [2]) + zeros, piece: 999) == [[1], [2]])
    }

    @Test("a length over the limit is garbage, not something to wait for")
    func lengthOverLimit() {
        var writer = WireWriter()
        writer.write(tag)
        writer.write(UInt64(1))
        writer.write(UInt32.max)
        writer.write(UInt32(0))
        var scanner = scanner()
        #expect(scanner.feed(writer.bytes + bytes(1, [1])).map(\.payload) == [[1]])
    }

    @Test("a seal that wins ends the segment and voids what follows; one that loses does nothing")
    func seal() {
        var scanner = scanner()
        #expect(scanner.feed(bytes(1, [1]) + bytes(1, [])).count == 1)
        #expect(!scanner.isSealed)
        #expect(scanner.feed(bytes(2, []) + bytes(2, [2]) + bytes(3, [3])).map(\.isSeal) == [true])
        #expect(scanner.isSealed)
        #expect(scanner.next == LogIndex(rawValue: 3))
        #expect(scanner.feed(bytes(3, [3])).isEmpty)
    }
}
