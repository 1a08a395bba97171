import ObjectModel
import Viewstamped

/// The state machine behind the log: executes each request once, and sums up all that it did.
struct LogApplication: Hashable {
    private(set) var digest: UInt64 = 0
    private(set) var executed: Set<UInt64> = []

    /// Whether the entry was executed; a repeat is not.
    mutating func apply(_ entry: LogEntry, at index: LogIndex) {
        var effect: UInt64 = 0
        if let request = entry.request, executed.insert(request).inserted { effect = request }
        digest = (digest ^ effect &+ index.rawValue) &* 0x9E37_79B9_7F4A_7C15
        digest ^= digest >> 29
    }
}

extension LogApplication: WireCodable {
    init(from reader: inout WireReader) throws(WireError) {
        digest = try reader.read()
        for _ in 0..<(try reader.read(UInt32.self)) { executed.insert(try reader.read()) }
    }

    func encode(to writer: inout WireWriter) {
        writer.write(digest)
        writer.write(UInt32(executed.count))
        for request in executed.sorted() { writer.write(request) }
    }
}

extension LogEntry {
    init(request: UInt64) { self = .payload((0..<8).map { UInt8(truncatingIfNeeded: request >> ($0 * 8)) }) }

    var request: UInt64? {
        guard case .payload(let bytes) = self else { return nil }
        return bytes.enumerated().reduce(0) { $0 | UInt64($1.element) << UInt64($1.offset * 8) }
    }
}
