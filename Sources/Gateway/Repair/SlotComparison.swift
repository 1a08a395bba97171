package import ObjectModel
package import SheepProtocol

/// What one member says of a slot.
package struct SlotView: Sendable {
    package var node: NodeID
    package var objects: [SourceObject]
    package var unsettled: [UnsettledRecord]

    package init(node: NodeID, objects: [SourceObject], unsettled: [UnsettledRecord]) {
        (self.node, self.objects, self.unsettled) = (node, objects, unsettled)
    }
}

/// Decides whether the copies of a slot differ, and whose is wrong, from what their members say time after time.
///
/// Writes go on meanwhile, so that one look proves nothing: a difference counts when it was there in every one of several
/// looks, each member saying the same each time, and no change was under way that would explain it.
///
/// Whose copy is wrong when each agrees with its own checksums (its disk lost both a write and that of its table): what most
/// members say is right. Of two copies, one that has a block is right against one that never got it. Otherwise nobody can
/// tell, and nothing is touched.
package struct SlotComparison: Sendable {
    package enum Verdict: Hashable, Sendable {
        case agreed
        /// Look again.
        case doubtful
        /// These members' copies are to be made anew.
        case outvoted([NodeID: [ObjectName]])
        case undecided([ObjectName])
    }

    /// A block of an object, or (nil) whether the object is there and is a hole.
    private struct Place: Hashable {
        var name: ObjectName
        var block: Int?
    }

    /// Looks that must agree before a difference counts.
    private static let looksNeeded = 4

    private var looks = 0
    private var members: [NodeID] = []
    private var doubts: [Place: [UInt32]] = [:]

    package init() {}

    /// One more look; the views in the order of their members.
    package mutating func look(_ views: [SlotView]) -> Verdict {
        let found = Self.differences(views)
        if looks == 0 || members != views.map(\.node) {
            (looks, members, doubts) = (1, views.map(\.node), found)
        } else {
            looks += 1
            doubts = doubts.filter { found[$0.key] == $0.value }
        }
        if doubts.isEmpty { return .agreed }
        return looks < Self.looksNeeded ? .doubtful : verdict()
    }

    private func verdict() -> Verdict {
        var outvoted: [NodeID: Set<ObjectName>] = [:]
        var undecided: Set<ObjectName> = []
        for (place, values) in doubts {
            guard let right = Self.right(of: values, isBlock: place.block != nil) else {
                undecided.insert(place.name)
                continue
            }
            for (member, value) in zip(members, values) where value != right { outvoted[member, default: []].insert(place.name) }
        }
        if outvoted.isEmpty { return .undecided(undecided.sorted()) }
        return .outvoted(outvoted.mapValues { $0.sorted() })
    }

    private static func right(of values: [UInt32], isBlock: Bool) -> UInt32? {
        let counts = values.reduce(into: [UInt32: Int]()) { $0[$1, default: 0] += 1 }
        if let most = counts.first(where: { 2 * $0.value > values.count }) { return most.key }
        guard isBlock, values.count == 2, values.contains(0) else { return nil }
        return values.first { $0 != 0 }
    }

    private static func differences(_ views: [SlotView]) -> [Place: [UInt32]] {
        let tables = views.map { view in Dictionary(view.objects.map { ($0.name, $0) }) { first, _ in first } }
        let moving = views.flatMap(\.unsettled)
        var found: [Place: [UInt32]] = [:]
        for name in Set(tables.flatMap(\.keys)) {
            let changes = moving.filter { $0.object == name }
            let copies = tables.map { $0[name] }
            let presence = copies.map { copy -> UInt32 in copy.map { $0.isHole ? 1 : 2 } ?? 0 }
            guard presence.allSatisfy({ $0 == presence[0] }) else {
                if changes.isEmpty { found[Place(name: name)] = presence }
                continue
            }
            guard copies.contains(where: { $0!.table != copies[0]!.table }) else { continue }
            for block in 0..<(copies.map { $0!.table.count }.max() ?? 0) {
                let values = copies.map { block < $0!.table.count ? $0!.table[block] : 0 }
                guard values.contains(where: { $0 != values[0] }) else { continue }
                let offset = UInt32(block * blockSize)
                if changes.contains(where: { $0.offset <= offset && offset - $0.offset < $0.length }) { continue }
                found[Place(name: name, block: block)] = values
            }
        }
        return found
    }
}
