import ObjectModel

/// Who has a share, and what a change of that means for every group.
extension Membership {
    /// Joins or removals are gathered that the latest epoch does not have.
    package func isPlacementPending(copiesInUse: CopyCounts) -> Bool {
        guard let latest = epochs.last else { return false }
        return Self.differ(plannedMembers(copiesInUse: copiesInUse), latest.members)
    }

    private static func differ(_ a: [EpochRecord.Member], _ b: [EpochRecord.Member]) -> Bool {
        func shares(_ members: [EpochRecord.Member]) -> Set<PlacementMember> {
            Set(EpochRecord(epoch: Epoch(rawValue: 0), index: .zero, time: 0, members: members).placementMembers)
        }
        return shares(a) != shares(b)
    }

    /// The first epoch: everybody who is up, all in sync, since nothing is written yet. Nil when there is no disk.
    mutating func format(at index: LogIndex, time: UInt64) -> Epoch? {
        let capacities = disks.values.filter { $0.isAttached && nodes[$0.node]!.isUp }.map { $0.capacity >> 20 }
        let unit = max(1, capacities.reduce(0, +) / UInt64(max(1, capacities.count)) * (1 << 20) / 128)
        let members = nodesWithDisks(weighing: unit) { nodes[$0.node]!.isUp && $0.isAttached }
        guard !members.isEmpty else { return nil }
        bytesPerWeight = unit
        for disk in sortedDiskIDs {
            disks[disk]!.standings = RangeMap(.inSync)
            if !nodes[disks[disk]!.node]!.isUp || !disks[disk]!.isAttached { putOut(disk, since: index) }
        }
        for node in sortedNodeIDs { nodes[node]!.cleanStop = nil }
        epochs = []
        append(EpochRecord(epoch: Epoch(rawValue: 1), index: index, time: time, members: members))
        (version, epochVersion) = (index, index)
        findHolders()
        return Epoch(rawValue: 1)
    }

    /// One epoch of all joins and removals gathered; nil when there are none.
    mutating func planPlacement(at index: LogIndex, time: UInt64, copiesInUse: CopyCounts) -> Epoch? {
        guard let latest = epochs.last else { return nil }
        let members = plannedMembers(copiesInUse: copiesInUse)
        guard !members.isEmpty, Self.differ(members, latest.members) else { return nil }
        let record = EpochRecord(epoch: latest.epoch.next, index: index, time: time, members: members)
        zonesHeld = max(zonesHeld, placement.zones)
        move(to: Placement(members: record.placementMembers), at: index, copiesInUse: copiesInUse)
        append(record)
        (version, epochVersion) = (index, index)
        findHolders()
        settle([.all], at: index)
        return record.epoch
    }

    // MARK: Members

    /// Disks of the latest epoch stay, down or not, unless their node was removed; those of nodes that are up join. A disk
    /// that its node lost leaves, but not where that would leave fewer zones than the largest number of copies in use.
    func plannedMembers(copiesInUse: CopyCounts, without removed: NodeID? = nil) -> [EpochRecord.Member] {
        let placed = Set(placement.members.map(\.disk))
        func stays(_ disk: DiskRecord) -> Bool {
            guard disk.node != removed, !nodes[disk.node]!.isRemoved else { return false }
            return placed.contains(disk.id) || nodes[disk.node]!.isUp && disk.isAttached
        }
        let all = nodesWithDisks(weighing: bytesPerWeight, where: stays)
        let attached = nodesWithDisks(weighing: bytesPerWeight) { stays($0) && $0.isAttached }
        return Self.zones(of: attached) >= min(Self.zones(of: all), Int(copiesInUse.largest)) && !attached.isEmpty ? attached : all
    }

    static func zones(of members: [EpochRecord.Member]) -> Int { Set(members.map(\.zone)).count }

    private func nodesWithDisks(weighing unit: UInt64, where takes: (DiskRecord) -> Bool) -> [EpochRecord.Member] {
        var disksOfNode: [NodeID: [DiskRecord]] = [:]
        for disk in sortedDiskIDs.map({ disks[$0]! }) where takes(disk) { disksOfNode[disk.node, default: []].append(disk) }
        return sortedNodeIDs.compactMap { id in
            let node = nodes[id]!
            guard node.virtualNodes != 0, let disks = disksOfNode[id] else { return nil }
            return EpochRecord.Member(
                node: id, address: node.address, zone: node.zone, disks: Self.weigh(disks, virtualNodes: node.virtualNodes, unit: unit))
        }
    }

    /// The node's virtual nodes divided by capacity; else the capacity in units, 128 being the average disk at format.
    private static func weigh(_ disks: [DiskRecord], virtualNodes: UInt16?, unit: UInt64) -> [EpochRecord.Disk] {
        let total = max(1, disks.reduce(0) { $0 + $1.capacity >> 20 })
        return disks.map { disk in
            let weight = virtualNodes.map { UInt64($0) * (disk.capacity >> 20) / total } ?? disk.capacity / unit
            return EpochRecord.Disk(id: disk.id, weight: UInt32(min(max(1, weight), 16_384)))
        }
    }

    // MARK: The move

    /// A former member that is no longer placed holds on, if it is in sync or nobody is; one newly placed for some k lacks
    /// the objects of volumes of that k.
    private mutating func move(to next: Placement, at index: LogIndex, copiesInUse: CopyCounts) {
        var changes = StandingChanges()
        for (piece, former) in runs(in: [.all], besides: next.starts) {
            let group = PlacementGroup(rawValue: piece.first)
            let served = Self.served(by: former)
            let list = next.disks(of: group)
            for member in former {
                let placed = list.firstIndex(of: member.disk).map(CopyCounts.above) ?? []
                let worthHolding = member.inSync.union(CopyCounts.all.subtracting(served))
                var standing = member.standing
                standing.holding = member.copies.subtracting(placed).intersection(copiesInUse).intersection(worthHolding)
                let gained = placed.subtracting(member.copies).intersection(copiesInUse)
                changes.set(member.disk, piece, to: standing.missing(gained))
            }
            for (position, disk) in list.enumerated() where !former.contains(where: { $0.disk == disk }) {
                let gained = CopyCounts.above(position).intersection(copiesInUse)
                changes.set(disk, piece, to: disks[disk]!.standings[group].missing(gained))
            }
        }
        changes.apply(to: &self, at: index)
    }

    // MARK: Removal

    /// Takes a node out of the next epoch. The automatic out is refused where there would be nowhere to rebuild; an operator's
    /// is not.
    mutating func nodeOut(
        _ node: NodeID, byOperator: Bool, at index: LogIndex, copiesInUse: CopyCounts
    ) throws(SheepError) {
        guard let record = nodes[node] else { throw SheepError(.noSuchNode, "no node \(node) is known") }
        let before = Self.zones(of: plannedMembers(copiesInUse: copiesInUse))
        let after = Self.zones(of: plannedMembers(copiesInUse: copiesInUse, without: node))
        if !byOperator {
            guard !record.isUp else { throw SheepError(.stale, "node \(record.address) is up again") }
            guard after == before || after >= Int(copiesInUse.largest) else {
                throw SheepError(
                    .unavailable,
                    "node \(record.address) stays a member: without it \(after) zones are left for \(copiesInUse.largest) copies")
            }
        }
        guard after > 0 || before == 0 || epochs.isEmpty else {
            throw SheepError(.invalidArgument, "node \(record.address) is the last with storage")
        }
        nodes[node]!.isRemoved = true
        version = index
    }

    /// What only the disks of a removed node that is down still hold is waited for no more.
    mutating func giveUp(_ node: NodeID, at index: LogIndex) throws(SheepError) {
        guard let record = nodes[node] else { throw SheepError(.noSuchNode, "no node \(node) is known") }
        guard record.isRemoved, !record.isUp else {
            throw SheepError(
                .stale,
                "node \(record.address) is \(record.isUp ? "up, and hands on what it holds by itself" : "no removed one: remove it first")")
        }
        for disk in disks(of: node) where disks[disk]!.isHolding {
            change(disk, [.all], at: index) { standing in
                var standing = standing
                standing.holding = []
                return standing
            }
            // Members left, which lowers no version.
            epochVersion = index
        }
        findHolders()
    }
}
