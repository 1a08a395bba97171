package import ObjectModel

/// Sheepdog's lock on a volume: it admits clients of a sheep and orders nothing.
package struct LockRecord: Hashable, Sendable {
    package var isShared: Bool
    /// One for a normal lock, up to 31 for a shared one, in the order in which they came.
    package var owners: [NodeID]
}

package struct LockTable: Sendable {
    private(set) var records: [Birth: LockRecord] = [:]

    /// Sheepdog's record of a shared lock has room for as many.
    static let mostParticipants = 31

    mutating func lock(_ birth: Birth, owner: NodeID, shared: Bool) throws(SheepError) {
        guard var record = records[birth] else {
            records[birth] = LockRecord(isShared: shared, owners: [owner])
            return
        }
        // A normal lock is for one client; that this sheep has it says nothing about which.
        if record.isShared, shared, record.owners.contains(owner) { return }
        guard record.isShared, shared else {
            throw SheepError(.volumeLocked, "the volume is locked by node \(record.owners[0])")
        }
        guard record.owners.count < Self.mostParticipants else {
            throw SheepError(.volumeLocked, "\(Self.mostParticipants) nodes share the volume's lock, the most")
        }
        record.owners.append(owner)
        records[birth] = record
    }

    /// Without an owner: an operator breaks the lock.
    mutating func unlock(_ birth: Birth, owner: NodeID?) throws(SheepError) {
        guard var record = records[birth], owner.map(record.owners.contains) ?? true else {
            throw SheepError(.notLocked, "the volume is not locked\(owner.map { " by node \($0)" } ?? "")")
        }
        record.owners.removeAll { $0 == owner || owner == nil }
        records[birth] = record.owners.isEmpty ? nil : record
    }

    /// Nodes left the cluster, and their clients with them.
    mutating func release(_ nodes: [NodeID]) {
        for birth in records.keys.sorted() {
            records[birth]!.owners.removeAll(where: nodes.contains)
            if records[birth]!.owners.isEmpty { records[birth] = nil }
        }
    }

    mutating func remove(_ birth: Birth) { records[birth] = nil }

    mutating func move(from old: Birth, to new: Birth) {
        records[new] = records.removeValue(forKey: old)
    }
}

extension LockTable: WireCodable {
    package init(from reader: inout WireReader) throws(WireError) {
        for _ in 0..<(try reader.read(UInt32.self)) {
            let birth: Birth = try reader.readValue()
            records[birth] = LockRecord(isShared: try reader.readBool(), owners: try reader.readArray())
        }
    }

    package func encode(to writer: inout WireWriter) {
        writer.write(UInt32(records.count))
        for birth in records.keys.sorted() {
            writer.write(birth)
            writer.write(records[birth]!.isShared)
            writer.write(records[birth]!.owners)
        }
    }
}
