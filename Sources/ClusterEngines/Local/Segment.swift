import Cluster
package import ObjectModel

/// An open segment of the log, read from its start towards its growing end.
package final class Segment {
    private static let readSize = 1 << 20

    package let file: OpenFile
    package let header: SegmentHeader
    private var scanner: RecordScanner
    private var readOffset: UInt64

    package init(_ file: OpenFile) throws(EngineFailure) {
        self.file = file
        let bytes = try file.read(at: 0, count: SegmentHeader.length)
        do throws(WireError) { header = try SegmentHeader(decoding: bytes) } catch {
            throw .damaged(path: file.path, what: error.text)
        }
        scanner = RecordScanner(tag: header.tag, next: header.index.next)
        readOffset = header.recordsOffset
    }

    /// The index of its first entry.
    package var first: LogIndex { header.index.next }
    /// The index of the next winner, after all that was read.
    package var next: LogIndex { scanner.next }
    /// Its seal was read; nothing follows in this segment.
    package var isSealed: Bool { scanner.isSealed }
    /// Bytes of records read so far.
    package var recordBytes: UInt64 { readOffset - header.recordsOffset }

    /// Its name was removed: the log has gone on without this process, or somebody deleted it.
    package func isRemoved() throws(EngineFailure) -> Bool { try file.status().links == 0 }

    package func readSnapshot() throws(EngineFailure) -> [UInt8] {
        let bytes = try file.read(at: UInt64(SegmentHeader.length), count: Int(header.snapshotLength))
        guard bytes.count == header.snapshotLength, Checksum.of(bytes) == header.snapshotChecksum else {
            throw .damaged(path: file.path, what: "snapshot checksum")
        }
        return bytes
    }

    /// Reads to the end of the file; returns the winners found. `damaged` when an entry that was there is not any more: what came after
    /// it cannot be applied, and to go on without it would take back what was acted upon.
    package func read() throws(EngineFailure) -> [LogRecord] {
        let winners = try readWhatIsWhole()
        if let proof = scanner.proof {
            throw .damaged(path: file.path, what: "entry \(scanner.next) cannot be read, and entry \(proof) follows it")
        }
        return winners
    }

    /// The highest index of a whole entry read so far, of one that did not win too.
    package var highest: LogIndex { scanner.highest }

    /// The winners before the first one that cannot be read.
    package func readWhatIsWhole() throws(EngineFailure) -> [LogRecord] {
        var winners: [LogRecord] = []
        while !isSealed {
            let bytes = try file.read(at: readOffset, count: Self.readSize)
            if !bytes.isEmpty { winners += scanner.feed(bytes) }
            readOffset += UInt64(bytes.count)
            guard bytes.count == Self.readSize else { break }
        }
        return winners
    }

    /// Appends a record by one write. A short write (a full disk) leaves torn bytes, which all readers skip; then the whole
    /// record is tried again, and the disk says what is wrong.
    package func append(_ record: LogRecord) throws(EngineFailure) {
        let bytes = record.encoded(tag: header.tag)
        for _ in 0..<8 where try file.writeOnce(bytes) == bytes.count { return }
        throw .damaged(path: file.path, what: "records are cut short on writing")
    }
}
