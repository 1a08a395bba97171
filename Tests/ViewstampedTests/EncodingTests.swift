import ObjectModel
import Testing
import Viewstamped

@Suite("Encodings of the control log")
struct EncodingTests {
    private let node = NodeID(high: 1, low: 2)
    private let other = NodeID(high: 3, low: 4)
    private let log = LogID(high: 5, low: 6)
    private var view: View { View(number: 7, leader: node) }
    private func index(_ value: UInt64) -> LogIndex { LogIndex(rawValue: value) }
    private var entries: [LogEntry] { [.payload([1, 2, 3]), .voters(.add(node)), .voters(.remove(other))] }
    private var snapshot: LogSnapshot { LogSnapshot(index: index(9), voters: [node, other], payload: [4, 5]) }

    @Test("every message survives the round trip, no truncation does")
    func messages() throws {
        let part = LogPart(after: index(9), entries: entries)
        let voters = Voters(settled: [node], proposed: [node, other])
        let messages: [Message] = [
            .promiseRequest(PromiseRequest(view: view)),
            .promise(Promise(view: view, lastNormal: .zero, last: index(8), committed: index(7), voters: voters)),
            .refusal(Refusal(promised: view)),
            .logRequest(LogRequest(view: view, after: index(8))),
            .logReply(LogReply(view: view, lastNormal: .zero, part: part)),
            .append(Append(view: view, part: LogPart(snapshot: snapshot, entries: entries), committed: index(9))),
            .heartbeat(Heartbeat(view: view, round: 10, committed: index(9))),
            .status(Status(view: view, round: 10, isFollowing: true, durable: index(9), received: index(10))),
            .proposal(Proposal(index: index(11), entry: .payload([6]))),
            .proposalRefusal(ProposalRefusal(index: index(11), reason: .leavesNoMajority)),
            .lookRequest(LookRequest(boot: BootID(rawValue: 12), number: 13)),
            .lookReply(LookReply(boot: BootID(rawValue: 12), number: 13, committed: index(14))),
        ]
        for message in messages {
            try expectRoundTrip(message)
            try expectRoundTrip(Envelope(log: log, sender: node, receiver: other, message: message))
            try expectRoundTrip(Envelope(log: nil, sender: node, receiver: nil, message: message))
        }
        for reason in RefusalReason.allCases { #expect(!reason.text.isEmpty) }
    }

    @Test("so do a store's records, and what they add up to")
    func records() throws {
        let part = LogPart(snapshot: snapshot, entries: entries)
        let records: [StoreRecord] = [
            .promise(view), .adopt(.init(log: log, view: view, part: part, committed: index(10))),
            .append(entries: entries, committed: index(12)),
            .compact(LogSnapshot(index: index(11), voters: [node], payload: [7])),
        ]
        var stored = StoredLog()
        try expectRoundTrip(stored)
        for record in records {
            try expectRoundTrip(record)
            stored.apply(record)
            try expectRoundTrip(stored)
        }
        #expect(stored.last == index(15))
        #expect(stored.entries.count == 4)
    }

    @Test("what no node may say is refused: it would overflow, or mean nothing")
    func hostile() throws {
        var writer = WireWriter()
        writer.write(UInt64.max)
        writer.write(node)
        #expect(throws: WireError.self) { try View(wire: writer.bytes) }
        #expect(throws: WireError.self) { try LogEntry(wire: [0, 0, 0, 0, 0]) }
        #expect(throws: WireError.self) { try LogEntry(wire: [9]) }
        #expect(throws: WireError.self) { try LogPart(wire: LogPart(after: LogIndex(rawValue: .max), entries: []).wire) }
        #expect(throws: WireError.self) { try Message(wire: [200]) }
        // A store whose last normal view is above its promise is damaged.
        var bytes = StoredLog(founding: log, voters: [node]).wire
        bytes[17 + 24] = 1
        #expect(throws: WireError.self) { try StoredLog(wire: bytes) }
    }
}
