import CLinux
package import ObjectModel

/// Finds the winners among a segment's bytes, which it is fed in order as they appear.
///
/// The rule is the same for every reader, and bytes below the end of the file never change, so all find the same:
/// - a whole record with the index that is next wins; whole records with a lower index lose;
/// - behind a whole entry with a higher index nothing wins: an entry is written only after the one before it was delivered, and so was
///   durable. That one was there, and rots;
/// - a seal that wins ends the segment; whatever follows is void;
/// - bytes that are no whole record are skipped, byte by byte, to the next whole record;
/// - the beginning of a record at the end of the file may still be in the making: it is waited for. When a whole record
///   follows it, it is torn, for the kernel makes appends to a file one after another.
package struct RecordScanner {
    package let tag: UInt64
    /// The index of the next winner.
    package private(set) var next: LogIndex
    package private(set) var isSealed = false
    /// A record behind this one proves that the winner of ``next`` was lost.
    package private(set) var proof: LogIndex?
    /// The highest index of a whole entry.
    package private(set) var highest = LogIndex.zero
    /// Bytes not yet told to be a record or garbage: at most one record's beginning.
    private var undecided: [UInt8] = []

    package init(tag: UInt64, next: LogIndex) { (self.tag, self.next) = (tag, next) }

    /// Takes the bytes that follow those fed before; returns the winners that are complete now, in order.
    package mutating func feed(_ bytes: [UInt8]) -> [LogRecord] {
        guard !isSealed else { return [] }
        undecided += bytes
        let whole = undecided
        var winners: [LogRecord] = []
        let decided = whole.withUnsafeBytes { scan($0, winners: &winners) }
        undecided = isSealed ? [] : Array(whole[decided...])
        return winners
    }

    /// Returns how many bytes are decided.
    private mutating func scan(_ bytes: UnsafeRawBufferPointer, winners: inout [LogRecord]) -> Int {
        var position = 0
        while position < bytes.count, !isSealed {
            switch RecordSight(at: position, in: bytes, tag: tag) {
            case .whole(let index, let payload):
                if !payload.isEmpty { highest = max(highest, index) }
                // A seal may be written while what is before it is on its way to the disk, and nobody acts upon either.
                if index > next, !payload.isEmpty { proof = proof ?? index }
                if index == next, proof == nil { winners.append(accept(index, bytes[payload])) }
                position = payload.upperBound
            case .nothing:
                position = nextCandidate(from: position + 1, in: bytes)
            case .incomplete:
                guard let following = firstWhole(after: position, in: bytes) else { return position }
                position = following
            }
        }
        return position
    }

    private mutating func accept(_ index: LogIndex, _ payload: Slice<UnsafeRawBufferPointer>) -> LogRecord {
        let record = LogRecord(index: index, payload: Array(payload))
        next = index.next
        isSealed = record.isSeal
        return record
    }

    private func firstWhole(after position: Int, in bytes: UnsafeRawBufferPointer) -> Int? {
        var candidate = position
        while true {
            candidate = nextCandidate(from: candidate + 1, in: bytes)
            guard candidate < bytes.count else { return nil }
            if case .whole = RecordSight(at: candidate, in: bytes, tag: tag) { return candidate }
        }
    }

    /// The next place where the tag stands, or where it may begin at the very end.
    private func nextCandidate(from start: Int, in bytes: UnsafeRawBufferPointer) -> Int {
        guard start < bytes.count, let base = bytes.baseAddress else { return bytes.count }
        return withUnsafeBytes(of: tag.littleEndian) { tag in
            let found = clinux_find(base + start, bytes.count - start, tag.baseAddress!, tag.count)
            return found.map { $0 - base } ?? max(start, bytes.count - (tag.count - 1))
        }
    }
}
