package import ObjectModel

/// The replicated state machine of the control plane: the same log gives the same state on every node.
///
/// Invariants:
/// 1. It is a pure function of the entries: times, ids and random numbers come with them, and no result depends on the
///    order of a dictionary.
/// 2. A refused entry changes nothing but the history and the digest.
/// 3. A request id takes effect once.
/// 4. A lease is held by a node that is up, under its current boot id; a birth without a held lease has no owner, and
///    terms only rise. What may write therefore always shows in the log.
/// 5. Membership, volume tree, leases: see ``Membership``, ``VolumeTree``, ``LeaseTable``.
package struct ControlState: Sendable {
    package internal(set) var cluster: ClusterRecord?
    package internal(set) var appliedIndex = LogIndex.zero
    /// Of the state after ``appliedIndex``; every entry carries the one before it.
    package internal(set) var digest: UInt64 = 0
    /// The shutdown that is going on.
    var shutdownIndex: LogIndex?

    package internal(set) var membership = Membership()
    var tree = VolumeTree()
    var leaseTable = LeaseTable()
    var lockTable = LockTable()
    var history = RequestHistory()
    /// Where the log was made anew from a store's copy, the oldest first.
    package private(set) var restorations: [LogRestorationMark] = []

    package init() {}

    /// The log ends here, and is made anew: what it may have had beyond this is lost. Indices go on far behind it, so that none is used twice,
    /// and whoever acted on what was lost, or on what another restoration began, can be told by how far it got.
    ///
    /// - Parameter gap: A random one of ``LogRestorationMark/gaps``.
    package mutating func restoreLog(skipping gap: UInt64) {
        let mark = LogRestorationMark(from: appliedIndex, to: LogIndex(rawValue: appliedIndex.rawValue + gap))
        restorations.append(mark)
        appliedIndex = mark.to
    }

    /// Takes the next entry; indices ascend, but the log may skip some.
    ///
    /// Throws when the entry was made for another state; then nothing has changed and this node must stop.
    package mutating func apply(_ entry: ControlEntry, at index: LogIndex) throws(StateMismatch) -> ControlResult {
        precondition(index > appliedIndex, "entry \(index) comes after \(appliedIndex)")
        guard entry.stateDigest == digest else {
            throw StateMismatch(index: index.rawValue, expected: entry.stateDigest, actual: digest)
        }
        let result: ControlResult
        if let first = history.result(of: entry.request) {
            result = first
        } else {
            result = executed(entry, at: index)
            history.record(entry.request, result)
        }
        appliedIndex = index
        updateDigest(entry, result)
        return result
    }

    /// An index of the log that carries no entry (the end of a segment).
    package mutating func skip(to index: LogIndex) {
        precondition(index > appliedIndex)
        appliedIndex = index
    }

    private mutating func executed(_ entry: ControlEntry, at index: LogIndex) -> ControlResult {
        do {
            return try execute(entry.command, at: VolumeTree.Moment(index: index, time: entry.time))
        } catch {
            return .refused(error)
        }
    }

    private mutating func updateDigest(_ entry: ControlEntry, _ result: ControlResult) {
        var next = StateDigest(value: digest)
        next.add(entry.wire)
        next.add(result.wire)
        for number in summary { next.add(number) }
        digest = next.value
    }

    /// What is cheap to ask and changes when something went another way.
    private var summary: [UInt64] {
        let runs = membership.disks.values.reduce(0) { $0 + $1.standings.runCount }
        let sizes = [
            membership.nodes.count, membership.disks.count, runs, membership.epochs.count, tree.records.count,
            leaseTable.records.count, lockTable.records.count, history.count,
        ]
        return [appliedIndex.rawValue, membership.version.rawValue] + sizes.map(UInt64.init)
    }
}

extension ControlState: WireCodable {
    /// Changes with the encoding of the state.
    private static let format: UInt16 = 1

    package init(from reader: inout WireReader) throws(WireError) {
        guard try reader.read(UInt16.self) == Self.format else { throw .invalid("version of the control state") }
        cluster = try reader.readOptional()
        appliedIndex = try reader.readValue()
        digest = try reader.read()
        shutdownIndex = try reader.readOptional()
        membership = try reader.readValue()
        tree = try reader.readValue()
        leaseTable = try reader.readValue()
        lockTable = try reader.readValue()
        history = try reader.readValue()
        restorations = try reader.readArray()
    }

    package func encode(to writer: inout WireWriter) {
        writer.write(Self.format)
        writer.write(optional: cluster)
        writer.write(appliedIndex)
        writer.write(digest)
        writer.write(optional: shutdownIndex)
        writer.write(membership)
        writer.write(tree)
        writer.write(leaseTable)
        writer.write(lockTable)
        writer.write(history)
        writer.write(restorations)
    }
}

/// No entry of the log has an index between these: one that a store's copy has there was lost.
package struct LogRestorationMark: Hashable, Sendable, WireCodable {
    /// More entries than any copy lacks, and than any log gets.
    package static let gaps: ClosedRange<UInt64> = 1 << 20...1 << 40

    /// The last entry that the log was made anew from, and the one before its next.
    package var from: LogIndex
    package var to: LogIndex

    package init(from: LogIndex, to: LogIndex) { (self.from, self.to) = (from, to) }

    package init(from reader: inout WireReader) throws(WireError) {
        from = try reader.readValue()
        to = try reader.readValue()
    }

    package func encode(to writer: inout WireWriter) {
        writer.write(from)
        writer.write(to)
    }
}
