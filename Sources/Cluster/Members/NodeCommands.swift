import ObjectModel

extension Membership {
    /// The disks of a node, detached ones too, sorted.
    func disks(of node: NodeID) -> [DiskID] { sortedDiskIDs.filter { disks[$0]!.node == node } }

    func isCurrent(_ boot: BootID, of node: NodeID) -> Bool {
        guard let record = nodes[node] else { return false }
        return record.isUp && record.boot == boot
    }

    /// Returns those who were up under the boot ids given; the others are ignored, since that process is gone already.
    mutating func nodesDown(_ victims: [ControlCommand.NodesDown.Victim], at index: LogIndex, time: UInt64) -> [NodeID] {
        var downed: [NodeID] = []
        for victim in victims where isCurrent(victim.boot, of: victim.node) {
            takeDown(victim.node, at: index, time: time)
            downed.append(victim.node)
        }
        return downed
    }

    private mutating func takeDown(_ node: NodeID, at index: LogIndex, time: UInt64) {
        leave(node, at: index, time: time)
        for disk in disks(of: node) { putOut(disk, since: index) }
    }

    private mutating func leave(_ node: NodeID, at index: LogIndex, time: UInt64) {
        nodes[node]!.isUp = false
        nodes[node]!.incarnation = nodes[node]!.incarnation.next
        (nodes[node]!.downSince, nodes[node]!.downTime) = (index, time)
        version = index
    }

    // MARK: Up

    /// A process announces itself and its disks. Returns true when that ended a former process of the node, whose leases end too.
    ///
    /// A known disk keeps its exceptions; one that is not announced any more is out and leaves with the next epoch.
    /// For numbers of copies that no volume has there is nothing to miss: the node's disks are in sync for these.
    mutating func nodeUp(
        _ up: ControlCommand.NodeUp, at index: LogIndex, time: UInt64, copiesInUse: CopyCounts
    ) throws(SheepError) -> Bool {
        try checkNodeUp(up)
        let isFormerUp = nodes[up.node].map { $0.isUp && $0.boot != up.boot } ?? false
        if isFormerUp { takeDown(up.node, at: index, time: time) }
        record(up)
        for announced in up.disks.sorted(by: { $0.id < $1.id }) { attach(announced, to: up.node, lostPower: up.lostPower) }
        if let reached = up.reached { noteReach(reached, of: up.node, at: index) }
        for disk in disks(of: up.node) {
            if nodes[up.node]!.diskIDs.contains(disk) {
                change(disk, [.all], at: index) { $0.inSync(CopyCounts.all.subtracting(copiesInUse)) }
            } else if disks[disk]!.isAttached {
                disks[disk]!.isAttached = false
                putOut(disk, since: index)
            }
        }
        version = index
        return isFormerUp
    }

    /// Who left by entries that the node's former runs never acted upon has every write that these acknowledged, so the node is the
    /// equal of the last of them, though the log learned of its end later.
    private mutating func noteReach(_ reached: LogIndex, of node: NodeID, at index: LogIndex) {
        let leaves = disks.values.lazy.filter { $0.node != node }.flatMap { $0.standings.values }.flatMap(\.layers).map(\.since)
        let unseen = Set(leaves.filter { $0 > reached })
        if unseen.isEmpty { return }
        for disk in disks(of: node) {
            change(disk, [.all], at: index) { $0.movingSince { since in unseen.filter { $0 < since }.max() ?? since } }
        }
    }

    private func checkNodeUp(_ up: ControlCommand.NodeUp) throws(SheepError) {
        guard (1...NodeAddress.longestHost).contains(up.address.host.utf8.count) else {
            throw SheepError(
                .invalidArgument, "node \(up.node) has an address of \(up.address.host.utf8.count) bytes; 1 to \(NodeAddress.longestHost) are allowed")
        }
        guard up.disks.count <= 255, disks.count + up.disks.count < Int(UInt16.max) else {
            throw SheepError(.invalidArgument, "node \(up.node) announces \(up.disks.count) disks; 255 a node is the most")
        }
        guard Set(up.disks.map(\.id)).count == up.disks.count else {
            throw SheepError(.invalidArgument, "node \(up.node) announces a disk twice; is a store folder a copy of another?")
        }
        for announced in up.disks {
            guard let disk = disks[announced.id], disk.node != up.node, disk.isAttached else { continue }
            if nodes[disk.node]!.isUp {
                throw SheepError(
                    .invalidArgument,
                    "disk \(announced.id) of node \(up.node) is in use by node \(nodes[disk.node]!.address); a disk cannot be copied")
            }
        }
    }

    private mutating func record(_ up: ControlCommand.NodeUp) {
        let zone = up.zone ?? up.address.defaultZone
        var node = nodes[up.node] ?? NodeRecord(id: up.node, boot: up.boot, address: up.address, zone: zone)
        let isSameProcess = node.isUp && node.boot == up.boot
        (node.boot, node.address, node.zone, node.virtualNodes) = (up.boot, up.address, zone, up.virtualNodes)
        (node.isUp, node.downSince, node.downTime, node.cleanStop) = (true, nil, nil, nil)
        node.dataAddress = up.dataAddress
        node.isRemoved = node.isRemoved && isSameProcess
        node.diskIDs = up.disks.map(\.id).sorted()
        nodes[up.node] = node
    }

    private mutating func attach(_ announced: DiskAnnouncement, to node: NodeID, lostPower: Bool) {
        var disk = disks[announced.id] ?? DiskRecord(id: announced.id, node: node, capacity: announced.capacity)
        if disk.node != node { nodes[disk.node]!.diskIDs.removeAll { $0 == announced.id } }
        (disk.node, disk.capacity, disk.isAttached) = (node, announced.capacity, true)
        disk.lostPower = disk.lostPower || lostPower
        disks[announced.id] = disk
    }

    // MARK: Clean stops

    /// The node wrote everything after the shutdown of index `shutdown` and stops: its disks stay in sync where they are.
    mutating func cleanStop(
        _ node: NodeID, boot: BootID, shutdown: LogIndex, at index: LogIndex, time: UInt64
    ) throws(SheepError) {
        guard isCurrent(boot, of: node) else {
            throw SheepError(.stale, "node \(node) stopped under a boot id that is not current")
        }
        leave(node, at: index, time: time)
        nodes[node]!.cleanStop = shutdown
        for disk in disks(of: node) { change(disk, [.all], at: index) { $0.interrupted() } }
    }

    /// Writes become possible: whoever stopped cleanly and is not back will miss them.
    mutating func endCleanStops(at index: LogIndex) {
        for node in sortedNodeIDs where nodes[node]!.cleanStop != nil {
            nodes[node]!.cleanStop = nil
            for disk in disks(of: node) { putOut(disk, since: index) }
        }
    }

    // MARK: Disks

    mutating func diskOut(_ disk: DiskID, boot: BootID, at index: LogIndex) throws(SheepError) {
        try check(disk, boot: boot)
        putOut(disk, since: index)
    }

    /// Refuses what a former process says, or of a disk that is gone.
    func check(_ disk: DiskID, boot: BootID) throws(SheepError) {
        guard let record = disks[disk], record.isAttached, isCurrent(boot, of: record.node) else {
            throw SheepError(.stale, "disk \(disk) is not attached under boot id \(boot)")
        }
    }
}

extension NodeAddress {
    /// The zone of a node that names none: by its host, so that sheep of one machine share it.
    /// For IPv4 its four bytes, the first lowest, as Sheepdog has it; else a hash (FNV-1a) of the text.
    package var defaultZone: UInt32 {
        let parts = host.split(separator: ".", omittingEmptySubsequences: false).map { UInt8($0) }
        if parts.count == 4, !parts.contains(nil) {
            return parts.reversed().reduce(0) { $0 << 8 | UInt32($1!) }
        }
        return host.utf8.reduce(0x811c_9dc5) { ($0 ^ UInt32($1)) &* 0x0100_0193 }
    }
}
