import ObjectModel

/// Commands on the cluster as a whole, and what a node's coming and going means for leases and locks.
extension ControlState {
    mutating func format(_ format: ControlCommand.Format, at moment: VolumeTree.Moment) throws(SheepError) {
        if let cluster, !format.force {
            throw SheepError(.alreadyFormatted, "the cluster is formatted as \(cluster.id); formatting again loses all volumes")
        }
        guard !isShutDown else { throw SheepError(.shuttingDown, "the cluster is shutting down; start its nodes again") }
        try VolumeTree.checkLayout(copies: format.copies, objectShift: format.objectShift)
        guard membership.format(at: moment.index, time: moment.time) != nil else {
            throw SheepError(.noSpace, "no node with a disk is up")
        }
        cluster = ClusterRecord(
            id: format.cluster, createdAt: moment.time, copies: format.copies, objectShift: format.objectShift,
            flags: format.flags)
        (tree, leaseTable, lockTable) = (VolumeTree(), LeaseTable(), LockTable())
    }

    mutating func nodeUp(_ up: ControlCommand.NodeUp, at moment: VolumeTree.Moment) throws(SheepError) {
        let isNewProcess = !membership.isCurrent(up.boot, of: up.node)
        let isFormerEnded = try membership.nodeUp(up, at: moment.index, time: moment.time, copiesInUse: copiesInUse)
        if isFormerEnded { vacate([up.node]) }
        if isNewProcess { shutdownIndex = nil }
    }

    /// From here on nobody may write: no lease is held, and none is granted until a node comes up anew. An owner with changes
    /// under way would leave copies that differ, and all of them would pass for complete.
    mutating func shutDown(at moment: VolumeTree.Moment) throws(SheepError) {
        if let birth = leaseTable.births.first {
            let name = tree[birth]?.name ?? "\(birth)"
            throw SheepError(.busy, "volume \(name) is in use: changes are under way that are not on all members yet")
        }
        shutdownIndex = shutdownIndex ?? moment.index
    }

    /// Nobody could write after the shutdown, so a member that wrote everything and stopped has missed nothing as long as no
    /// lease is granted; `acquireLease` ends that.
    mutating func cleanStop(_ node: NodeID, boot: BootID, at moment: VolumeTree.Moment) throws(SheepError) {
        guard let shutdownIndex else {
            throw SheepError(.stale, "no shutdown is going on; node \(node) will have to catch up")
        }
        try membership.cleanStop(node, boot: boot, shutdown: shutdownIndex, at: moment.index, time: moment.time)
        lockTable.release([node])
    }

    /// The processes of these nodes are gone: their leases are vacant under a higher term, their clients not admitted any more.
    mutating func vacate(_ nodes: [NodeID]) {
        for birth in leaseTable.births(ownedBy: nodes) { vacate(birth) }
        lockTable.release(nodes)
    }

    private mutating func vacate(_ birth: Birth) {
        leaseTable[birth] = nil
        tree.update(birth) { $0.term = $0.term.next }
    }
}
