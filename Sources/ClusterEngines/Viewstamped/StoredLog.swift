// Invariants
// 1. `lastNormal <= promised`.
// 2. Two logs with the same `lastNormal`: one is the beginning of the other. A log takes the name of a view only together with
//    all that the view's leader had adopted, and then follows that leader alone.
// 3. `base.index <= committed <= last`; nothing up to `committed` is ever replaced by something else.
package import ObjectModel

/// What one node's store holds of the control log: all that a crash may leave, and nothing else.
package struct StoredLog: Hashable, Sendable {
    /// Nil in an empty store: a new node, whoever had its address before.
    package private(set) var log: LogID?
    /// Nothing of a lower view is accepted.
    package private(set) var promised = View.zero
    /// The view whose log this is a beginning of.
    package private(set) var lastNormal = View.zero
    package private(set) var base: LogSnapshot
    package private(set) var entries: [LogEntry] = []
    /// Up to here the log is known to be final; in a store it may be older than what the node knew.
    package private(set) var committed = LogIndex.zero
    /// The voters without and with the last entry.
    private var votersBefore: [NodeID]
    private var votersAfter: [NodeID]

    /// An empty store.
    package init() {
        base = LogSnapshot(index: .zero, voters: [], payload: [])
        (votersBefore, votersAfter) = ([], [])
    }

    /// The beginning of a log. An operator orders it once, for the same voters in all their stores: nodes that decided it by
    /// themselves could found two.
    package init(founding log: LogID, voters: [NodeID]) {
        self.log = log
        base = LogSnapshot(index: .zero, voters: voters.sorted(), payload: [])
        (votersBefore, votersAfter) = (base.voters, base.voters)
    }

    package var last: LogIndex { LogIndex(rawValue: base.index.rawValue + UInt64(entries.count)) }

    /// Who decides about this log.
    package var voters: Voters {
        if case .voters = entries.last, committed < last { return Voters(settled: votersBefore, proposed: votersAfter) }
        return Voters(settled: votersAfter)
    }

    /// Nil: it has been cut away, or is not there yet.
    package func entry(_ index: LogIndex) -> LogEntry? {
        guard index > base.index, index <= last else { return nil }
        return entries[Int(index.rawValue - base.index.rawValue) - 1]
    }

    /// What a node has to be given that has everything up to `index`. Who has nothing may not even have the founding voters.
    package func part(after index: LogIndex) -> LogPart {
        guard index >= base.index, index > .zero else { return LogPart(snapshot: base, entries: entries) }
        let after = min(index, last)
        return LogPart(after: after, entries: Array(entries.dropFirst(Int(after.rawValue - base.index.rawValue))))
    }

    /// The state after the committed entry `index`, to replace all up to it.
    func snapshot(at index: LogIndex, payload: [UInt8]) -> LogSnapshot {
        precondition(base.index <= index && index <= committed)
        let covered = entries.prefix(Int(index.rawValue - base.index.rawValue))
        return LogSnapshot(index: index, voters: Self.voters(after: covered, from: base.voters), payload: payload)
    }

    mutating func noteCommitted(_ index: LogIndex) {
        precondition(index <= last)
        committed = max(committed, index)
    }

    package mutating func apply(_ record: StoreRecord) {
        switch record {
        case .promise(let view): promised = max(promised, view)
        case .adopt(let adoption): adopt(adoption)
        case .append(let new, let committed):
            for entry in new {
                votersBefore = votersAfter
                if case .voters(let change) = entry { votersAfter = change.applied(to: votersAfter) }
                entries.append(entry)
            }
            self.committed = max(self.committed, min(committed, last))
        case .compact(let snapshot):
            guard snapshot.index > base.index, snapshot.index <= last else { return }
            entries.removeFirst(Int(snapshot.index.rawValue - base.index.rawValue))
            base = snapshot
            committed = max(committed, snapshot.index)
            countVoters()
        }
    }

    private mutating func adopt(_ adoption: StoreRecord.Adoption) {
        log = adoption.log
        promised = max(promised, adoption.view)
        lastNormal = adoption.view
        if let snapshot = adoption.part.snapshot {
            (base, entries) = (snapshot, adoption.part.entries)
            committed = max(committed, snapshot.index)
        } else {
            let kept = max(adoption.part.after, base.index).rawValue - base.index.rawValue
            entries = entries.prefix(Int(kept)) + adoption.part.entries
        }
        committed = min(max(committed, adoption.committed), last)
        countVoters()
    }

    private mutating func countVoters() {
        votersBefore = Self.voters(after: entries.dropLast(), from: base.voters)
        votersAfter = Self.voters(after: entries.suffix(1), from: votersBefore)
    }

    private static func voters(after entries: ArraySlice<LogEntry>, from voters: [NodeID]) -> [NodeID] {
        var voters = voters
        for case .voters(let change) in entries { voters = change.applied(to: voters) }
        return voters
    }
}

/// log | promised | last normal | base | entries | committed
extension StoredLog: WireCodable {
    package init(from reader: inout WireReader) throws(WireError) {
        self.init()
        log = try reader.readOptional()
        promised = try reader.readValue()
        lastNormal = try reader.readValue()
        base = try reader.readValue()
        entries = try reader.readArray()
        committed = try reader.readIndex()
        guard lastNormal <= promised, base.index <= committed, committed <= last else { throw .invalid("stored control log") }
        countVoters()
    }

    package func encode(to writer: inout WireWriter) {
        writer.write(optional: log)
        writer.write(promised)
        writer.write(lastNormal)
        writer.write(base)
        writer.write(entries)
        writer.write(committed)
    }
}
