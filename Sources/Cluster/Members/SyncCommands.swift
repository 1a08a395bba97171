import ObjectModel

/// How disks come back into replica sets.
extension Membership {
    /// From this entry on every write to these groups goes to the disk as well.
    mutating func syncing(_ disk: DiskID, boot: BootID, _ ranges: [GroupRange], at index: LogIndex) throws(SheepError) {
        try check(disk, boot: boot)
        change(disk, ranges, at: index) { $0.syncing(.all) }
    }

    /// What the disk has of these groups stays, and counts for what it did before it began.
    mutating func syncStopped(_ disk: DiskID, boot: BootID, _ ranges: [GroupRange], at index: LogIndex) throws(SheepError) {
        try check(disk, boot: boot)
        change(disk, ranges, at: index) { $0.interrupted() }
    }

    /// The disk leaves the in-sync sets of these groups for the k of which another member that is up is in sync: who would
    /// else have nobody to copy from stays, damaged as it is.
    mutating func groupsOut(
        _ disk: DiskID, boot: BootID, _ ranges: [GroupRange], at index: LogIndex, copiesInUse: CopyCounts
    ) throws(SheepError) {
        try check(disk, boot: boot)
        var changes = StandingChanges()
        var isAny = false
        for (piece, members) in runs(in: ranges) {
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
        for (piece, members) in runs(in: ranges) {
            guard let own = members.first(where: { $0.disk == disk }) else { continue }
            let ready = Self.served(by: members).intersection(own.copies)
            let out = own.standing.copies(.out).intersection(copiesInUse)
            // Of what it only holds it fetches nothing: there it stays out until the placed members are in sync.
            guard out.isDisjoint(with: ready.intersection(own.placed)) else {
                throw SheepError(.stale, "disk \(disk) left group \(piece.first) while it was syncing; it must sync again")
            }
            changes.set(disk, piece, to: own.standing.inSync(ready.subtracting(out)))
        }
        changes.apply(to: &self, at: index)
        settle(ranges, at: index)
        dropMeaninglessLayers(of: disk)
        endPowerLoss(of: disk)
        version = index
    }

    /// Where every placed member is in sync, the holding ones leave.
    mutating func settle(_ ranges: [GroupRange], at index: LogIndex) {
        guard !holders.isEmpty else { return }
        var changes = StandingChanges()
        for (piece, members) in runs(in: ranges) {
            precondition(members.contains { !$0.placed.isEmpty }, "an epoch has a member at least")
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
        let standings = disks[disk]!.standings
        guard standings.values.contains(where: { !$0.layers.isEmpty }) else { return }
        var changes: [(range: GroupRange, value: Standing)] = []
        for (piece, members) in runs(in: [.all]) {
            let copies = members.first { $0.disk == disk }?.copies ?? []
            changes.append((piece, standings[PlacementGroup(rawValue: piece.first)].inSync(CopyCounts.all.subtracting(copies))))
        }
        disks[disk]!.standings.assign(changes)
    }

    // MARK: Groups without an in-sync member

    /// Of each group and k that no member is in sync for: of those that left last, the first preferred, else the first
    /// present one is the authority from now on; the others stay out and copy from it.
    mutating func openGroups(present: [DiskID], preferred: [DiskID], at index: LogIndex) {
        let (present, preferred) = (Set(present), Set(preferred))
        let changes = broughtIn(.all) { members, copies in
            let up = Self.lastMembers(members, copies: copies).filter { isPresent($0.disk) }
            let choice = up.first { preferred.contains($0.disk) } ?? up.first { present.contains($0.disk) }
            return choice.map { [$0.disk] } ?? []
        }
        changes.apply(to: &self, at: index)
        settle([.all], at: index)
        for disk in presentDisks where disks[disk]!.lostPower {
            dropMeaninglessLayers(of: disk)
            endPowerLoss(of: disk)
        }
    }

    /// In sync everywhere, it has whatever counts.
    private mutating func endPowerLoss(of disk: DiskID) {
        if disks[disk]!.standings.values.allSatisfy(\.exceptions.isEmpty) { disks[disk]!.lostPower = false }
    }

    /// An operator gives up what only absent members have. Where one of those that left last is present, it opens the group
    /// as ever. Of each other group and k that no member is in sync for, one that is present becomes the ``authority(of:copies:preferred:)``,
    /// and all others lack everything, for what they have beyond it never was. Groups without a present member stay closed.
    ///
    /// Refused when others are present than the operator was told of: there might be more to lose.
    mutating func forceOpen(
        present: [DiskID], preferred: [DiskID], _ counts: CopyCounts, at index: LogIndex
    ) throws(SheepError) {
        guard present == presentDisks else {
            throw SheepError(.stale, "sheep came or went meanwhile: look once more at what would be lost")
        }
        // Who stopped cleanly and is not back is one of the absent.
        endCleanStops(at: index)
        openGroups(present: present, preferred: preferred, at: index)
        let preferred = Set(preferred)
        let changes = broughtIn(counts, othersMissAll: true) { members, copies in
            authority(of: members, copies: copies, preferred: preferred).map { [$0.disk] } ?? []
        }
        changes.apply(to: &self, at: index)
        settle([.all], at: index)
    }

    /// Of members none of which is in sync for k copies: whom to go on with if the absent ones never return. Of the present
    /// ones that left last, first a preferred one; among these one that is not half-way between what it had and what others
    /// had, but when it never had everything, one that was being filled. Nil: none is present.
    func authority(of members: [GroupMember], copies: UInt8, preferred: Set<DiskID> = []) -> GroupMember? {
        let last = Self.lastMembers(members.filter { isPresent($0.disk) }, copies: copies)
        let favoured = last.filter { preferred.contains($0.disk) }
        let choices = favoured.isEmpty ? last : favoured
        return choices.first { member in
            let layer = member.standing.layer(for: copies)!
            return (layer.state == .syncing) == (layer.since == .zero)
        } ?? choices.first
    }

    /// The first volume of `copies` is about to be: nobody can have missed a write to it, so where no member is in sync
    /// for this k, all that are up are.
    mutating func openUnused(_ copies: UInt8, at index: LogIndex) {
        let changes = broughtIn(CopyCounts(copies: copies)) { members, copies in
            members.filter { $0.copies.contains(copies: copies) }.map(\.disk).filter(isPresent)
        }
        changes.apply(to: &self, at: index)
    }

    /// Those chosen in sync, for each group and each of `counts` that no member is in sync for. With `othersMissAll` the
    /// others have nothing any more where some are chosen; else they stay as they are.
    private func broughtIn(
        _ counts: CopyCounts, othersMissAll: Bool = false, choose: ([GroupMember], UInt8) -> [DiskID]
    ) -> StandingChanges {
        var changes = StandingChanges()
        for (piece, members) in runs(in: [.all]) {
            var opened: [DiskID: CopyCounts] = [:]
            var waiting = counts.subtracting(Self.served(by: members))
            while let copies = waiting.smallest {
                let alike = Self.alike(copies, for: members)
                for disk in choose(members, copies) { opened[disk, default: []].formUnion(alike.intersection(waiting)) }
                waiting.subtract(alike)
            }
            // Whoever was syncing had nothing to copy from until now: it must list what changed once more.
            let all = opened.values.reduce(into: CopyCounts()) { $0.formUnion($1) }
            for member in members where !all.isEmpty {
                let own = opened[member.disk] ?? []
                var standing = member.standing.inSync(own).interrupted(all)
                if othersMissAll { standing = standing.missing(all.intersection(member.copies).subtracting(own)) }
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
