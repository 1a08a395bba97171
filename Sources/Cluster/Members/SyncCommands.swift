import ObjectModel

/// How disks come back into replica sets.
extension Membership {
    /// From this entry on every write to these groups goes to the disk as well.
    mutating func syncing(_ disk: DiskID, boot: BootID, _ ranges: [GroupRange], at index: LogIndex) throws(SheepError) {
        try check(disk, boot: boot)
        change(disk, ranges, at: index) { $0.syncing(.all) }
    }

    /// The disk leaves the in-sync sets of these groups for the k of which another member that is up is in sync: who would
    /// else have nobody to copy from stays, damaged as it is.
    mutating func groupsOut(
        _ disk: DiskID, boot: BootID, _ ranges: [GroupRange], at index: LogIndex, copiesInUse: CopyCounts
    ) throws(SheepError) {
        try check(disk, boot: boot)
        var changes = StandingChanges()
        var isAny = false
        for piece in pieces(of: ranges) {
            let members = members(of: PlacementGroup(rawValue: piece.first))
            guard let own = members.first(where: { $0.disk == disk }) else { continue }
            let others = members.filter { $0.disk != disk && nodes[disks[$0.disk]!.node]!.isUp }
            let leaving = Self.served(by: others).intersection(own.inSync).intersection(copiesInUse)
            guard !leaving.isEmpty else { continue }
            isAny = true
            changes.set(disk, piece, to: own.standing.out(leaving, since: index))
        }
        guard isAny else {
            throw SheepError(.unavailable, "disk \(disk) has the only copies in sync of these groups: nobody has them to copy from")
        }
        changes.apply(to: &self, at: index)
    }

    /// The disk has everything of these groups that the members in sync have.
    ///
    /// It takes effect for the k of which another member is in sync: without one there was nothing to copy from, and only
    /// `openGroups` may decide who has the last writes. Refused whole when the disk fell out of one of the groups meanwhile.
    mutating func inSync(
        _ disk: DiskID, boot: BootID, _ ranges: [GroupRange], at index: LogIndex, copiesInUse: CopyCounts
    ) throws(SheepError) {
        try check(disk, boot: boot)
        var changes = StandingChanges()
        for piece in pieces(of: ranges) {
            let members = members(of: PlacementGroup(rawValue: piece.first))
            guard let own = members.first(where: { $0.disk == disk }) else { continue }
            let ready = Self.served(by: members).intersection(own.copies)
            guard own.standing.copies(.out).isDisjoint(with: ready.intersection(copiesInUse)) else {
                throw SheepError(.stale, "disk \(disk) left group \(piece.first) while it was syncing; it must sync again")
            }
            changes.set(disk, piece, to: own.standing.inSync(ready))
        }
        changes.apply(to: &self, at: index)
        settle(ranges, at: index)
        dropMeaninglessLayers(of: disk)
        if disks[disk]!.standings.values.allSatisfy(\.exceptions.isEmpty) { disks[disk]!.lostPower = false }
        version = index
    }

    /// Where every placed member is in sync, the holding ones leave.
    mutating func settle(_ ranges: [GroupRange], at index: LogIndex) {
        guard !holders.isEmpty else { return }
        var changes = StandingChanges()
        for piece in pieces(of: ranges) {
            let members = members(of: PlacementGroup(rawValue: piece.first))
            assert(members.contains { !$0.placed.isEmpty }, "an epoch has a member at least")
            let unsettled = members.reduce(into: CopyCounts()) {
                $0.formUnion($1.placed.intersection($1.standing.exceptions))
            }
            guard members.contains(where: { !$0.standing.holding.isSubset(of: unsettled) }) else { continue }
            // All are touched, for a set whose member leaves must not get an older version.
            for member in members {
                var standing = member.standing
                standing.holding.formIntersection(unsettled)
                changes.set(member.disk, piece, to: standing)
            }
        }
        changes.apply(to: &self, at: index)
        findHolders()
    }

    /// Layers for groups and k of which the disk is no member mean nothing; without them equal runs merge.
    private mutating func dropMeaninglessLayers(of disk: DiskID) {
        var changes: [(range: GroupRange, value: Standing)] = []
        for piece in pieces(of: [.all]) {
            let group = PlacementGroup(rawValue: piece.first)
            let copies = members(of: group).first { $0.disk == disk }?.copies ?? []
            changes.append((piece, disks[disk]!.standings[group].inSync(CopyCounts.all.subtracting(copies))))
        }
        disks[disk]!.standings.assign(changes)
    }

    // MARK: Groups without an in-sync member

    /// Of each group and k that no member is in sync for: of those that left last, the first preferred, else the first
    /// present one is the authority from now on; the others stay out and copy from it.
    mutating func openGroups(present: [DiskID], preferred: [DiskID], at index: LogIndex) {
        let (present, preferred) = (Set(present), Set(preferred))
        let changes = broughtIn(.all) { last in
            let up = last.filter { nodes[disks[$0.disk]!.node]!.isUp && disks[$0.disk]!.isAttached }
            let choice = up.first { preferred.contains($0.disk) } ?? up.first { present.contains($0.disk) }
            return choice.map { [$0.disk] } ?? []
        }
        changes.apply(to: &self, at: index)
        settle([.all], at: index)
    }

    /// The first volume of `copies` is about to be: nobody can have missed a write to it, so where no member is in sync
    /// for this k, all that are up are.
    mutating func openUnused(_ copies: UInt8, at index: LogIndex) {
        let changes = broughtIn(CopyCounts(copies: copies), fromLastOnly: false) { members in
            members.map(\.disk).filter { nodes[disks[$0]!.node]!.isUp && disks[$0]!.isAttached }
        }
        changes.apply(to: &self, at: index)
    }

    /// Those chosen in sync, for each group and each of `counts` that no member is in sync for.
    private func broughtIn(
        _ counts: CopyCounts, fromLastOnly: Bool = true, choose: ([GroupMember]) -> [DiskID]
    ) -> StandingChanges {
        var changes = StandingChanges()
        for piece in pieces(of: [.all]) {
            let members = members(of: PlacementGroup(rawValue: piece.first))
            var opened: [DiskID: CopyCounts] = [:]
            var waiting = counts.subtracting(Self.served(by: members))
            while let copies = waiting.smallest {
                let alike = Self.alike(copies, for: members)
                let candidates = fromLastOnly
                    ? Self.lastMembers(members, copies: copies)
                    : members.filter { $0.copies.contains(copies: copies) }
                for disk in choose(candidates) { opened[disk, default: []].formUnion(alike.intersection(waiting)) }
                waiting.subtract(alike)
            }
            // Whoever was syncing had nothing to copy from until now: it must list what changed once more.
            let all = opened.values.reduce(into: CopyCounts()) { $0.formUnion($1) }
            for member in members where !all.isEmpty {
                let standing = member.standing.inSync(opened[member.disk] ?? []).interrupted(all)
                if standing != member.standing { changes.set(member.disk, piece, to: standing) }
            }
        }
        return changes
    }

    /// The k for which the group has the same members with the same layers as for `copies`.
    private static func alike(_ copies: UInt8, for members: [GroupMember]) -> CopyCounts {
        members.reduce(into: .all) { alike, member in
            guard member.copies.contains(copies: copies) else { return alike.subtract(member.copies) }
            let layer = member.standing.layer(for: copies)?.copies ?? CopyCounts.all.subtracting(member.standing.exceptions)
            alike.formIntersection(member.copies.intersection(layer))
        }
    }
}
