// Invariants
// 1. A record is made before its object is touched and dropped only when the owner calls its sequence settled.
// 2. The term never goes down; a change of a lower term is refused from the moment a gather raised it.
// 3. A gather is answered only when no change is under way, so every record it tells of is done here, or marked as partial.
package import ObjectModel
package import SheepProtocol

/// What one replica remembers of one volume's latest changes, for a new owner to roll forward.
package struct UnsettledWindow {
    package private(set) var term = Term.zero
    private var records: [UnsettledRecord] = []
    private var underWay = 0
    private var hasPartial = false
    private var gathers: [([UnsettledRecord]) -> Void] = []

    package init() {}

    /// False: the term is outdated and nothing may be done for it.
    package mutating func admit(_ candidate: Term) -> Bool {
        guard candidate >= term else { return false }
        term = candidate
        return true
    }

    package mutating func began(_ change: ReplicaChange) {
        precondition(change.context.term == term)
        settle(upTo: change.settled, in: change.context.term)
        underWay += 1
        // Sent once more after it failed here.
        if hasPartial {
            records.removeAll { $0.isPartial && $0.term == change.context.term && $0.sequence == change.sequence }
            hasPartial = records.contains(where: \.isPartial)
        }
        records.append(
            UnsettledRecord(
                term: change.context.term, sequence: change.sequence, object: change.object, kind: change.kind,
                offset: change.offset, length: change.length, origin: change.origin))
    }

    /// The object was copied from a member that has these: each may be in the copy, or in part. Should that member die, nobody else knows
    /// that this one may differ there from a third.
    package mutating func inherit(_ record: UnsettledRecord) {
        let isKnown = records.contains { $0.term == record.term && $0.sequence == record.sequence && $0.object == record.object }
        guard !isKnown else { return }
        var record = record
        (record.isPartial, hasPartial) = (true, true)
        let at = records.firstIndex { ($0.term, $0.sequence) > (record.term, record.sequence) } ?? records.count
        records.insert(record, at: at)
    }

    /// The change is in the object, or failed on the way and may be there in part. The gathers to answer now with ``all``, if any.
    package mutating func ended(_ change: ReplicaChange, failed: Bool) -> [([UnsettledRecord]) -> Void] {
        underWay -= 1
        if failed, let at = records.lastIndex(where: { $0.term == change.context.term && $0.sequence == change.sequence }) {
            (records[at].isPartial, hasPartial) = (true, true)
        }
        guard underWay == 0 else { return [] }
        defer { gathers = [] }
        return gathers
    }

    /// Drops what every member has done. A watermark of a later term covers all earlier terms: its owner rolled them forward.
    package mutating func settle(upTo settled: Sequence, in settledTerm: Term) {
        guard settled > .zero, !records.isEmpty else { return }
        var keep = 0
        while keep < records.count, records[keep].term < settledTerm || records[keep].sequence <= settled {
            guard records[keep].term <= settledTerm else { break }
            keep += 1
        }
        if keep > 0 { records.removeFirst(keep) }
    }

    /// The term's owner rolled every earlier change forward, or made sure that it is on no member.
    package mutating func opened(_ openedTerm: Term) { records.removeAll { $0.term < openedTerm } }

    /// Everything is on all members: only what a gateway may ask for once more is of use.
    package mutating func keepForwarded() {
        records.removeAll { $0.origin?.isUndo ?? true || $0.isPartial }
        hasPartial = false
    }

    /// The records, when nothing is under way; else nil, and the answer is given when that has ended.
    package mutating func gather(_ answer: @escaping ([UnsettledRecord]) -> Void) -> [UnsettledRecord]? {
        if underWay == 0 { return records }
        gathers.append(answer)
        return nil
    }

    /// This disk begins to sync these groups: what it did before it left them may be outdated by now, and is compared with
    /// a member that stayed. Only what comes from here on is newer than what that member has.
    package mutating func forget(where isOutdated: (PlacementGroup) -> Bool) {
        records.removeAll { isOutdated($0.object.group) }
    }

    /// Objects that some member may lack: they count as changed when the membership changes.
    package var objects: [ObjectName] { records.map(\.object) }
    /// What another member may get yet. What a former owner left is among it until the present one has opened the volume: it
    /// may find it here alone, and do it on all.
    package var all: [UnsettledRecord] { records }
}
