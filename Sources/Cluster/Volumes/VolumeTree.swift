package import ObjectModel

/// All volumes and snapshots, with their descent.
///
/// Invariants:
/// 1. A birth's ancestors are in the tree: a record goes only when it is deleted, forgotten and childless.
/// 2. Ancestors are frozen, and no larger than their children.
/// 3. Working volumes have distinct names; snapshots of one name have distinct tags (but for the empty one) and ids.
/// 4. No two records, deleted ones included, have the same VID.
/// 5. Everything but ``records`` follows from it.
package struct VolumeTree: Sendable {
    private(set) var records: [Birth: VolumeRecord] = [:]

    // Derived.
    private var childrenOf: [Birth: [Birth]] = [:]
    private var members: [Family: [Birth]] = [:]
    private var working: [String: Birth] = [:]
    private var snapshots: [String: [Birth]] = [:]
    private var births: [VID: Birth] = [:]
    private var volumesOfCopies = Array(repeating: 0, count: 32)

    package init() {}

    // MARK: Queries

    subscript(birth: Birth) -> VolumeRecord? { records[birth] }

    func volume(named name: String) -> VolumeRecord? { working[name].map { records[$0]! } }
    func volume(_ vid: VID) -> VolumeRecord? { births[vid].map { records[$0]! } }

    /// Living snapshots of a name, oldest first.
    func snapshots(named name: String) -> [VolumeRecord] { (snapshots[name] ?? []).map { records[$0]! } }

    /// In the order of birth.
    func children(of birth: Birth) -> [Birth] { childrenOf[birth] ?? [] }

    /// Deleted ones included, in the order of birth.
    func volumes(in family: Family) -> [Birth] { members[family] ?? [] }

    /// The birth as which a volume went on, of a later one: after a snapshot, or after the rollback that buried it. Nil: it ended, or the
    /// records of what followed are gone.
    func heir(of record: VolumeRecord) -> VolumeRecord? {
        if let snapshotAt = record.snapshotAt {
            // Born in the entry that made the snapshot, before anything else could descend from that.
            let first = children(of: record.birth).first.flatMap { records[$0] }
            return first?.createdAt == snapshotAt ? first : nil
        }
        guard record.isDeleted else { return nil }
        // A rollback buries the working birth and gives birth to another in one entry.
        let heir = records[Birth(rawValue: record.lastEntry.rawValue)]
        return heir.flatMap { $0.birth > record.birth && $0.family == record.family ? $0 : nil }
    }

    /// Itself first, the root last; empty for an unknown birth.
    func ancestry(of birth: Birth) -> [Birth] {
        var line: [Birth] = []
        var next = records[birth]
        while let record = next {
            line.append(record.birth)
            next = record.parent.flatMap { records[$0] }
        }
        return line
    }

    /// Deleted records count: their objects may still be needed.
    var copiesInUse: CopyCounts {
        (1...31).reduce(into: []) { if volumesOfCopies[$1] > 0 { $0.insert(CopyCounts(copies: UInt8($1))) } }
    }

    /// The preferred VID of the name or the first free one after it, wrapping to 1; nil when all are taken.
    func freeVID(for name: String) -> VID? {
        let preferred = VID.preferred(for: name).rawValue
        guard births.count < 0xFF_FFFF else { return nil }
        var candidate = preferred
        while births[VID(rawValue: candidate)] != nil { candidate = candidate == 0xFF_FFFF ? 1 : candidate + 1 }
        return VID(rawValue: candidate)
    }

    // MARK: Changes

    mutating func insert(_ record: VolumeRecord) {
        precondition(records[record.birth] == nil && births[record.vid] == nil)
        records[record.birth] = record
        if let parent = record.parent { childrenOf[parent, default: []].append(record.birth) }
        members[record.family, default: []].append(record.birth)
        births[record.vid] = record.birth
        volumesOfCopies[Int(record.copies)] += 1
        addName(record)
    }

    mutating func update(_ birth: Birth, _ change: (inout VolumeRecord) -> Void) {
        var record = records[birth]!
        let (name, wasWorking) = (record.name, record.isWorking)
        change(&record)
        records[birth] = record
        if (name, wasWorking) != (record.name, record.isWorking) || record.isDeleted {
            removeName(name, of: birth)
            addName(record)
        }
    }

    /// Nothing needs the deleted birth. Its record goes now, or with its last child.
    mutating func forget(_ birth: Birth) {
        records[birth]?.isUnneeded = true
        var next = records[birth]
        while let record = next, record.isDeleted, record.isUnneeded, children(of: record.birth).isEmpty {
            remove(record)
            next = record.parent.flatMap { records[$0] }
        }
    }

    private mutating func remove(_ record: VolumeRecord) {
        records[record.birth] = nil
        childrenOf[record.birth] = nil
        births[record.vid] = nil
        volumesOfCopies[Int(record.copies)] -= 1
        if let parent = record.parent { childrenOf[parent]?.removeAll { $0 == record.birth } }
        members[record.family]?.removeAll { $0 == record.birth }
        if members[record.family]?.isEmpty == true { members[record.family] = nil }
    }

    private mutating func addName(_ record: VolumeRecord) {
        guard !record.isDeleted else { return }
        if record.isSnapshot {
            snapshots[record.name, default: []].append(record.birth)
            snapshots[record.name]!.sort()
        } else {
            precondition(working[record.name] == nil)
            working[record.name] = record.birth
        }
    }

    private mutating func removeName(_ name: String, of birth: Birth) {
        if working[name] == birth { working[name] = nil }
        snapshots[name]?.removeAll { $0 == birth }
        if snapshots[name]?.isEmpty == true { snapshots[name] = nil }
    }
}

extension VolumeTree: WireCodable {
    package init(from reader: inout WireReader) throws(WireError) {
        self.init()
        for record in try reader.readArray(of: VolumeRecord.self) {
            guard records[record.birth] == nil, births[record.vid] == nil,
                record.isFrozen || working[record.name] == nil,
                record.parent.map({ records[$0] != nil }) ?? true
            else { throw .invalid("volume tree") }
            insert(record)
        }
    }

    package func encode(to writer: inout WireWriter) {
        // In the order of birth, so parents come before their children.
        writer.write(records.keys.sorted().map { records[$0]! })
    }
}
