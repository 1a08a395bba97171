package import ObjectModel

/// A disk on the ring: its share of the groups is proportional to its weight.
package struct PlacementMember: Hashable, Sendable {
    package var disk: DiskID
    package var zone: UInt32
    package var weight: UInt32
    package init(disk: DiskID, zone: UInt32, weight: UInt32) { (self.disk, self.zone, self.weight) = (disk, zone, weight) }
}

/// The ordered member list L(g) of every placement group in one epoch: disks in distinct zones; k copies use the first k.
///
/// Groups stand evenly around a ring, on which every disk has ``tokensPerWeight`` × weight points at hashed places. A group
/// takes the disks that follow it, one a zone, passing over those that have their share already (``LoadBound``). Objects are
/// spread over groups by a hash, so groups need none of their own, and neighbours mostly have the same list: the table is
/// kept as runs. A pure function of the members: every node computes the same.
///
/// Invariants: a list names each zone at most once; all lists have length min(zones, 31).
package struct Placement: Hashable, Sendable {
    /// Sorted by disk; lists name them by their index here.
    package let members: [PlacementMember]
    /// Distinct zones of the members.
    package let zones: Int
    private let lists: RangeMap<[UInt16]>

    package static let longestList = 31
    /// More points balance the ring itself better and make more runs. With 8 × 128 a disk and the bound, 3 to 8 equal disks have
    /// shares within 4 % for every number of copies, and a new disk moves 98 to 101 % of its share (`PlacementTests`).
    static let tokensPerWeight: UInt32 = 8
    /// Beyond it the share of a very heavy disk is kept by the bound alone.
    static let mostTokens: UInt32 = 16_384

    package init(members unsorted: [PlacementMember]) {
        members = unsorted.sorted { $0.disk < $1.disk }
        zones = Set(members.map(\.zone)).count
        lists = members.isEmpty ? RangeMap([]) : Ring(members: members, width: min(zones, Self.longestList)).lists()
    }

    /// The disks of a group in order, as indices into ``members``.
    package func list(of group: PlacementGroup) -> [UInt16] { lists[group] }

    package func disks(of group: PlacementGroup) -> [DiskID] { list(of: group).map { members[Int($0)].disk } }

    var cursor: RangeMap<[UInt16]>.Cursor { lists.cursor }

    /// Where runs of equal lists start.
    package var starts: [UInt16] { lists.starts }
}
