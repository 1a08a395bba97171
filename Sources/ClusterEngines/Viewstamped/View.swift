package import ObjectModel

/// Names a control log from its founding on, so that the nodes of two logs that meet in one group do not mix them.
package struct LogID: UniqueIdentifier {
    package let high, low: UInt64
    package init(high: UInt64, low: UInt64) { (self.high, self.low) = (high, low) }
}

/// One leader's time: ordered by number, then by leader, so no two leaders share a view.
///
/// A node never begins the same view twice: it persists its own promise before anybody hears of the view.
/// (The group service's memberships have no number here; they only say who should try, see ``ViewstampedLog``.)
package struct View: Hashable, Comparable, WireCodable, CustomStringConvertible {
    /// No number from the wire is higher, so adding to it cannot overflow.
    package static let maximumNumber: UInt64 = 1 << 62
    /// Before every view; nobody leads it.
    package static let zero = View(number: 0, leader: NodeID(high: 0, low: 0))

    package let number: UInt64
    package let leader: NodeID

    package init(number: UInt64, leader: NodeID) { (self.number, self.leader) = (number, leader) }

    package static func < (a: View, b: View) -> Bool { (a.number, a.leader) < (b.number, b.leader) }
    package var description: String { "\(number) of \(leader)" }

    package init(from reader: inout WireReader) throws(WireError) {
        number = try reader.read()
        leader = try reader.readValue()
        guard number <= Self.maximumNumber else { throw .invalid("view number") }
    }

    package func encode(to writer: inout WireWriter) {
        writer.write(number)
        writer.write(leader)
    }
}
