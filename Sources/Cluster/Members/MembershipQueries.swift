package import ObjectModel

extension Membership {
    /// The replica set of a group for volumes of `copies`. Linear in the members; callers cache it by ``version``.
    package func replicas(of group: PlacementGroup, copies: UInt8) -> ReplicaSet {
        let members = members(of: group).filter { $0.copies.contains(copies: copies) }
        var set = ReplicaSet(version: epochVersion, minimum: 0)
        for member in members {
            let disk = disks[member.disk]!
            let replica = replica(member.disk)
            switch member.standing.layer(for: copies)?.state {
            case nil: set.inSync.append(replica)
            case .syncing: set.syncing.append(replica)
            case .out: set.out.append(replica)
            }
            set.version = max(set.version, disk.touched[group])
        }
        set.minimum = minimum(copies: copies, isHolding: members.contains { $0.standing.holding.contains(copies: copies) })
        if set.inSync.isEmpty {
            set.lastMembers = Self.lastMembers(members, copies: copies).map { self.replica($0.disk) }
        }
        return set
    }

    var presentDisks: [DiskID] { sortedDiskIDs.filter(isPresent) }

    /// Its node is up and announces it.
    func isPresent(_ disk: DiskID) -> Bool { nodes[disks[disk]!.node]!.isUp && disks[disk]!.isAttached }

    func replica(_ disk: DiskID) -> Replica {
        let node = disks[disk]!.node
        return Replica(disk: disk, node: node, isUp: nodes[node]!.isUp)
    }

    /// Half of the placed copies, rounded up; that of the epochs that holding members come from while it is more.
    private func minimum(copies: UInt8, isHolding: Bool) -> Int {
        let placed = min(Int(copies), placement.zones)
        let held = isHolding ? min(Int(copies), zonesHeld) : 0
        return (max(placed, held) + 1) / 2
    }

    /// The lowest `since` of any member that is out or syncing for a number of copies in use; nil: all are in sync.
    package func oldestOutSince(copiesInUse: CopyCounts) -> LogIndex? {
        var oldest: LogIndex?
        for (_, members) in runs(in: disks.values.flatMap { $0.exceptions(for: copiesInUse) }) {
            for member in members {
                for layer in member.standing.layers
                where !layer.copies.isDisjoint(with: member.copies.intersection(copiesInUse)) {
                    oldest = min(oldest ?? layer.since, layer.since)
                }
            }
        }
        return oldest
    }
}
