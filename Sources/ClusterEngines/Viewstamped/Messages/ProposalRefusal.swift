package import ObjectModel

/// Why the leader does not take a proposal, now or ever.
package enum RefusalReason: UInt8, Hashable, Sendable, CaseIterable {
    case isVoterAlready, isNoVoter
    /// A node votes from the moment it is added; one that is away or behind would only make majorities rarer.
    case isNotCaughtUp
    case isLastVoter
    /// The change could not even be committed, and nothing else meanwhile.
    case leavesNoMajority

    package var text: String {
        switch self {
        case .isVoterAlready: "the node is a voter already"
        case .isNoVoter: "the node is not a voter"
        case .isNotCaughtUp: "the node is away, or has not caught up with the log; try again when it has"
        case .leavesNoMajority: "too few of the voters that would be left are here; start them, or remove the dead ones first"
        case .isLastVoter: "the node is the only voter; add another first"
        }
    }
}

/// The leader's answer to a ``Proposal`` that it will not take.
package struct ProposalRefusal: Hashable, WireCodable {
    package var index: LogIndex
    package var reason: RefusalReason

    package init(index: LogIndex, reason: RefusalReason) { (self.index, self.reason) = (index, reason) }

    package init(from reader: inout WireReader) throws(WireError) {
        index = try reader.readIndex()
        guard let reason = RefusalReason(rawValue: try reader.read()) else { throw .invalid("refusal of a proposal") }
        self.reason = reason
    }

    package func encode(to writer: inout WireWriter) {
        writer.write(index)
        writer.write(reason.rawValue)
    }
}
