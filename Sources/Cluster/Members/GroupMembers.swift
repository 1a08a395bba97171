import ObjectModel

/// A disk that is a member of a group for some number of copies.
struct GroupMember {
    var disk: DiskID
    /// The k whose first k of the list it is among.
    var placed: CopyCounts
    var standing: Standing

    /// All k for which it is a member.
    var copies: CopyCounts { placed.union(standing.holding) }
    var inSync: CopyCounts { copies.subtracting(standing.exceptions) }

    /// As placed, then holding ones. `standing` is asked with a disk's id and its place among `placed` and, behind these, `holders`.
    fileprivate static func inOrder(
        _ list: [UInt16], of placed: [PlacementMember], holders: [DiskID], standing: (DiskID, Int) -> Standing
    ) -> [GroupMember] {
        var members: [GroupMember] = []
        members.reserveCapacity(list.count + holders.count)
        for (position, number) in list.enumerated() {
            let disk = placed[Int(number)].disk
            members.append(GroupMember(disk: disk, placed: .above(position), standing: standing(disk, Int(number))))
        }
        for (number, holder) in holders.enumerated() where !members.contains(where: { $0.disk == holder }) {
            let standing = standing(holder, placed.count + number)
            if !standing.holding.isEmpty { members.append(GroupMember(disk: holder, placed: [], standing: standing)) }
        }
        return members
    }
}

extension Membership {
    /// The members of a group in member order: as placed, then holding ones by id.
    func members(of group: PlacementGroup) -> [GroupMember] {
        GroupMember.inOrder(placement.list(of: group), of: placement.members, holders: holders) { disk, _ in disks[disk]!.standings[group] }
    }

    /// Cuts `ranges` so that within a piece no member's list position and no disk's standing changes.
    func pieces(of ranges: [GroupRange], besides other: [UInt16] = []) -> [GroupRange] {
        let ranges = GroupRange.merged(ranges)
        guard !ranges.isEmpty else { return [] }
        // Some of them more than once. Runs that are sorted already are sorted together quickly.
        var cuts = placement.starts + other
        for disk in disks.values where disk.standings.runCount > 1 { cuts += disk.standings.starts }
        cuts.sort()
        var pieces: [GroupRange] = []
        var next = 0
        for range in ranges {
            var first = range.first
            while next < cuts.count, cuts[next] <= range.last {
                let start = cuts[next]
                next += 1
                guard start > first else { continue }
                pieces.append(GroupRange(first: first, last: start - 1))
                first = start
            }
            pieces.append(GroupRange(first: first, last: range.last))
        }
        return pieces
    }

    /// The groups of `ranges`, run by run, and each run's members.
    func runs(in ranges: [GroupRange], besides other: [UInt16] = []) -> MemberRuns {
        MemberRuns(of: self, pieces: pieces(of: ranges, besides: other))
    }

    /// The k for which some of these members is in sync.
    static func served(by members: [GroupMember]) -> CopyCounts {
        members.reduce(into: []) { $0.formUnion($1.inSync) }
    }

    /// Of members none of which is in sync for k copies: those that left last, in member order.
    static func lastMembers(_ members: [GroupMember], copies: UInt8) -> [GroupMember] {
        let candidates = members.filter { $0.copies.contains(copies: copies) }
        let latest = candidates.compactMap { $0.standing.layer(for: copies)?.since }.max()
        return candidates.filter { $0.standing.layer(for: copies)?.since == latest }
    }
}

/// The same as ``Membership/pieces(of:besides:)`` and ``Membership/members(of:)`` for each, but nothing is looked up twice: every sheep asks for
/// all of a thousand runs whenever members change, while clients wait.
struct MemberRuns: Swift.Sequence, IteratorProtocol {
    private let pieces: [GroupRange]
    private let placed: [PlacementMember]
    private let holders: [DiskID]
    private var position = 0
    private var lists: RangeMap<[UInt16]>.Cursor
    /// Of the placed disks, then of the held ones.
    private var standings: [RangeMap<Standing>.Cursor]

    init(of membership: Membership, pieces: [GroupRange]) {
        self.pieces = pieces
        placed = membership.placement.members
        holders = membership.holders
        lists = membership.placement.cursor
        standings = pieces.isEmpty ? [] : (placed.map(\.disk) + holders).map { membership.disks[$0]!.standings.cursor }
    }

    mutating func next() -> (groups: GroupRange, members: [GroupMember])? {
        guard position < pieces.count else { return nil }
        let groups = pieces[position]
        position += 1
        let members = GroupMember.inOrder(lists.value(of: groups.first), of: placed, holders: holders) { _, number in
            standings[number].value(of: groups.first)
        }
        return (groups, members)
    }
}

/// New standings, gathered piece by piece and then put in place together.
struct StandingChanges {
    private var changes: [DiskID: [(range: GroupRange, value: Standing)]] = [:]

    /// Ranges must come in ascending order for a disk, once each.
    mutating func set(_ disk: DiskID, _ range: GroupRange, to standing: Standing) {
        Self.append(range, standing, to: &changes[disk, default: []])
    }

    private static func append(_ range: GroupRange, _ standing: Standing, to runs: inout [(range: GroupRange, value: Standing)]) {
        if let last = runs.last, Int(last.range.last) + 1 == Int(range.first), last.value == standing {
            runs[runs.count - 1].range.last = range.last
        } else {
            runs.append((range, standing))
        }
    }

    /// The entry `index` makes and touches what was gathered.
    func apply(to membership: inout Membership, at index: LogIndex) {
        for disk in changes.keys.sorted() {
            let changes = changes[disk]!
            membership.disks[disk]!.standings.assign(changes)
            membership.disks[disk]!.touched.update(changes.map(\.range)) { _ in index }
            membership.version = index
        }
    }
}
