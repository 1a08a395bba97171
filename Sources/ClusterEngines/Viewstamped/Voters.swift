package import ObjectModel

/// A change of the voters: one node an entry, so a majority before it and one after it always meet.
package enum VoterChange: Hashable, WireCodable {
    case add(NodeID)
    case remove(NodeID)

    /// The voters after the change, in order; adding one that is there, or removing one that is not, changes nothing.
    func applied(to voters: [NodeID]) -> [NodeID] {
        switch self {
        case .add(let node): voters.contains(node) ? voters : (voters + [node]).sorted()
        case .remove(let node): voters.filter { $0 != node }
        }
    }

    package init(from reader: inout WireReader) throws(WireError) {
        switch try reader.read(UInt8.self) {
        case 0: self = .add(try reader.readValue())
        case 1: self = .remove(try reader.readValue())
        default: throw .invalid("voter change")
        }
    }

    package func encode(to writer: inout WireWriter) {
        switch self {
        case .add(let node):
            writer.write(UInt8(0))
            writer.write(node)
        case .remove(let node):
            writer.write(UInt8(1))
            writer.write(node)
        }
    }
}

/// Who decides about a log: a majority of the voters, and while the log's last entry is a change of them that is not known
/// to be committed, a majority of those after the change as well.
///
/// Whether a node is up plays no part: being down does not end a vote.
package struct Voters: Hashable, WireCodable {
    package var settled: [NodeID]
    /// The voters after the change that is under way.
    package var proposed: [NodeID]?

    package init(settled: [NodeID], proposed: [NodeID]? = nil) { (self.settled, self.proposed) = (settled, proposed) }

    /// Those who decide once the change is known to be committed.
    var changed: Voters { Voters(settled: proposed ?? settled) }

    package func contains(_ node: NodeID) -> Bool { settled.contains(node) || proposed?.contains(node) ?? false }

    /// Those for whom `agrees` holds decide. Nobody decides for an empty list.
    package func isMajority(_ agrees: (NodeID) -> Bool) -> Bool {
        Self.isMajority(of: settled, agrees) && (proposed.map { Self.isMajority(of: $0, agrees) } ?? true)
    }

    private static func isMajority(of voters: [NodeID], _ agrees: (NodeID) -> Bool) -> Bool {
        voters.count { agrees($0) } > voters.count / 2
    }

    package init(from reader: inout WireReader) throws(WireError) {
        settled = try reader.readArray()
        proposed = try reader.readBool() ? try reader.readArray() : nil
    }

    package func encode(to writer: inout WireWriter) {
        writer.write(settled)
        writer.write(proposed != nil)
        if let proposed { writer.write(proposed) }
    }
}
