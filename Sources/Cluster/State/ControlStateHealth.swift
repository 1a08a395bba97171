package import ObjectModel

/// Groups that no in-sync member serves, over the copies in use.
package struct ClosedGroups: Hashable, Sendable {
    package var hasAny = false
    /// Every one of the members that left last is up: nothing more is to be waited for.
    package var allMembersAreUp = true
    /// In some of them a member that left last is up.
    package var canOpen = false
    /// Down nodes of members that left last, sorted.
    package var absentNodes: [NodeID] = []
}

/// How many placement groups have what they should, for some numbers of copies.
package struct GroupHealth: Hashable, Sendable {
    /// Some member is out or syncing.
    package var degraded = 0
    /// Fewer in sync than the minimum: writes wait.
    package var notWritable = 0
    /// None in sync: reads wait as well.
    package var notReadable = 0
}

/// What the housekeeping and `dog` ask.
extension ControlState {
    /// Over runs of groups that are alike, a thousand or so: asking 65,536 groups one by one takes most of a second.
    package func groupHealth(copies counts: CopyCounts) -> GroupHealth {
        var health = GroupHealth()
        for piece in membership.pieces(of: [.all]) {
            let sets = counts.counts.map { replicas(of: PlacementGroup(rawValue: piece.first), copies: $0) }
            if sets.contains(where: { !$0.syncing.isEmpty || !$0.out.isEmpty }) { health.degraded += piece.size }
            if sets.contains(where: { $0.inSync.count < max(1, $0.minimum) }) { health.notWritable += piece.size }
            if sets.contains(where: \.inSync.isEmpty) { health.notReadable += piece.size }
        }
        return health
    }

    package var closedGroups: ClosedGroups {
        var closed = ClosedGroups()
        var absent: Set<NodeID> = []
        let counts = closingCounts
        // Where every member is in sync nothing is closed.
        for (_, members) in membership.runs(in: disks.values.flatMap { $0.exceptions(for: counts) }) {
            let served = Membership.served(by: members)
            for copies in counts.subtracting(served).counts {
                let last = Membership.lastMembers(members, copies: copies)
                guard !last.isEmpty else { continue }
                closed.hasAny = true
                for member in last {
                    let node = nodes[disks[member.disk]!.node]!
                    if node.isUp {
                        // A disk that its node does not announce any more cannot open anything.
                        if disks[member.disk]!.isAttached { closed.canOpen = true } else { closed.allMembersAreUp = false }
                    } else {
                        closed.allMembersAreUp = false
                        absent.insert(node.id)
                    }
                }
            }
        }
        closed.absentNodes = absent.sorted()
        return closed
    }

    /// The node's disks take part in nothing: it went down, or they failed.
    package func isOut(_ node: NodeID) -> Bool {
        disks.values.allSatisfy { disk in
            disk.node != node || disk.standings.values.allSatisfy { $0.copies(.out) == .all }
        }
    }

    /// Some group has no in-sync member for volumes of so many copies.
    package func hasClosedGroups(copies: UInt8) -> Bool {
        membership.runs(in: [.all]).contains { !Membership.served(by: $0.members).contains(copies: copies) }
    }

    /// Before the first volume the default counts, so that an empty cluster opens as well.
    var closingCounts: CopyCounts {
        guard let cluster else { return [] }
        return copiesInUse.isEmpty ? CopyCounts(copies: cluster.copies) : copiesInUse
    }

    /// Every group knows the disk as in sync, for the copies in use.
    package func isInSync(_ disk: DiskID) -> Bool {
        guard let record = disks[disk] else { return false }
        let counts = closingCounts
        return membership.runs(in: record.exceptions(for: counts)).allSatisfy { run in
            guard let own = run.members.first(where: { $0.disk == disk }) else { return true }
            return own.standing.exceptions.isDisjoint(with: own.copies.intersection(counts))
        }
    }

    /// Without the disk every group still has its minimum of members in sync that are up, for every number of copies in use but
    /// one: of a single copy there is none but the disk's, and it opens again by itself when the disk answers.
    package func mayLeave(_ disk: DiskID) -> Bool {
        let counts = copiesInUse.counts.filter { $0 > 1 }
        return membership.pieces(of: [.all]).allSatisfy { piece in
            let group = PlacementGroup(rawValue: piece.first)
            return counts.allSatisfy { copies in
                let set = replicas(of: group, copies: copies)
                guard set.inSync.contains(where: { $0.disk == disk }) else { return true }
                return set.inSync.count { $0.isUp && $0.disk != disk } >= set.minimum
            }
        }
    }

    /// Some birth of the family is deleted and not forgotten.
    package func hasDeletedVolumes(in family: Family) -> Bool {
        volumesInFamily(family).contains { volume($0)?.isDeleted ?? false }
    }

    package func copiesInUse(in family: Family) -> CopyCounts {
        volumesInFamily(family).reduce(into: []) { counts, birth in
            if let volume = volume(birth) { counts.formUnion(CopyCounts(copies: volume.copies)) }
        }
    }
}
