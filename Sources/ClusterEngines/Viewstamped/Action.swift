package import ObjectModel

/// What a ``ViewstampedLog`` orders, to be done in the order given.
package enum Action: Hashable, Sendable {
    /// Make the record durable, after all those with lower numbers, then tell ``ViewstampedLog/persisted(_:)``. Others may
    /// be answered meanwhile: what depends on the record is ordered only after it.
    case persist(StoreRecord, number: UInt64)
    /// To the receiver that the envelope names, or to all members of the group. It may be lost, late, repeated.
    case send(Envelope)
    /// The entry is final: in order, each once.
    case committed(LogIndex, LogEntry)
    /// The state after the snapshot's index replaces that of the entries delivered so far, which it contains.
    case restored(LogSnapshot)
    /// All that was committed before ``ViewstampedLog/lookBegan(_:)`` with this number has been delivered.
    case lookEnded(UInt64)
    /// The proposal is not taken; nothing was appended for it.
    case proposalRefused(LogIndex, RefusalReason)
    /// A node of another log is in the group: an operator's mistake, for two logs never become one.
    case foreignLog(LogID, of: NodeID)
    /// What another node says contradicts what is committed here. This node must do nothing more; the reason is for the operator.
    case failed(String)
}
