package import ObjectModel

/// The right to order a volume's writes.
package struct LeaseRecord: Hashable, Sendable {
    package var owner: NodeID
    package var boot: BootID
    package var term: Term
}

/// Held leases by working birth; a vacant one is in no record.
///
/// Invariants: a lease's owner is up under the lease's boot id; its volume is a working one whose term is the lease's.
package struct LeaseTable: Sendable {
    private(set) var records: [Birth: LeaseRecord] = [:]

    subscript(birth: Birth) -> LeaseRecord? {
        get { records[birth] }
        set { records[birth] = newValue }
    }

    /// The births whose lease these nodes hold, in order.
    func births(ownedBy nodes: [NodeID]) -> [Birth] {
        records.keys.filter { nodes.contains(records[$0]!.owner) }.sorted()
    }

    var births: [Birth] { records.keys.sorted() }

    /// Goes over to the new working birth.
    mutating func move(from old: Birth, to new: Birth) {
        records[new] = records.removeValue(forKey: old)
    }
}

extension LeaseTable: WireCodable {
    package init(from reader: inout WireReader) throws(WireError) {
        for _ in 0..<(try reader.read(UInt32.self)) {
            let birth: Birth = try reader.readValue()
            records[birth] = LeaseRecord(
                owner: try reader.readValue(), boot: try reader.readValue(), term: try reader.readValue())
        }
    }

    package func encode(to writer: inout WireWriter) {
        writer.write(UInt32(records.count))
        for birth in births {
            writer.write(birth)
            writer.write(records[birth]!.owner)
            writer.write(records[birth]!.boot)
            writer.write(records[birth]!.term)
        }
    }
}
