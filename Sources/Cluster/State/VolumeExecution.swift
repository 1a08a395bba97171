import ObjectModel

/// Volume commands as the state carries them out: terms before, leases and locks after.
extension ControlState {
    mutating func createVolume(_ command: ControlCommand.CreateVolume, at moment: VolumeTree.Moment) throws(SheepError) -> ControlResult {
        let defaults = try formatted()
        try checkVolumesMayChange()
        let before = copiesInUse
        let birth = try tree.create(command, defaults: defaults, at: moment)
        openIfFirst(birth, before: before, at: moment)
        return .volume(birth)
    }

    mutating func cloneVolume(_ command: ControlCommand.CloneVolume, at moment: VolumeTree.Moment) throws(SheepError) -> ControlResult {
        try checkVolumesMayChange()
        let before = copiesInUse
        let birth = try tree.clone(command, at: moment)
        openIfFirst(birth, before: before, at: moment)
        return .volume(birth)
    }

    private mutating func openIfFirst(_ birth: Birth, before: CopyCounts, at moment: VolumeTree.Moment) {
        let copies = tree[birth]!.copies
        if !before.contains(copies: copies) { membership.openUnused(copies, at: moment.index) }
    }

    mutating func snapshotVolume(_ command: ControlCommand.SnapshotVolume, at moment: VolumeTree.Moment) throws(SheepError) -> ControlResult {
        try checkVolumesMayChange()
        try checkTerm(command.term, of: command.volume)
        let birth = try tree.snapshot(command, at: moment)
        passOver(from: command.volume, to: birth)
        return .volume(birth)
    }

    mutating func rollbackVolume(_ command: ControlCommand.RollbackVolume, at moment: VolumeTree.Moment) throws(SheepError) -> ControlResult {
        try checkVolumesMayChange()
        try checkTerm(command.term, of: command.volume)
        let birth = try tree.rollback(command, at: moment)
        passOver(from: command.volume, to: birth)
        return .volume(birth)
    }

    mutating func deleteVolume(_ command: ControlCommand.DeleteVolume, at moment: VolumeTree.Moment) throws(SheepError) {
        try checkVolumesMayChange()
        try checkTerm(command.term, of: command.volume)
        try tree.delete(command.volume, at: moment)
        leaseTable[command.volume] = nil
        lockTable.remove(command.volume)
    }

    /// Owner, term and lock go on with the volume under its new birth.
    private mutating func passOver(from old: Birth, to new: Birth) {
        leaseTable.move(from: old, to: new)
        lockTable.move(from: old, to: new)
    }

    /// An open volume changes only at its owner's word, which names the term; a volume without owner takes none.
    func checkTerm(_ term: Term?, of birth: Birth) throws(SheepError) {
        let record = try tree.checkedLiving(birth)
        switch (leaseTable[birth], term) {
        case (nil, nil): return
        case (let lease?, let term?) where lease.term == term: return
        case (let lease?, nil):
            throw SheepError(.busy, "volume \(record.name) is open at node \(lease.owner), which must order this")
        case (_, .some):
            throw SheepError(.stale, "volume \(record.name) is in term \(record.term), not \(term!)")
        }
    }

    // MARK: Leases and locks

    mutating func acquireLease(_ birth: Birth, _ node: NodeID, boot: BootID, at index: LogIndex) throws(SheepError) -> Term {
        try checkVolumesMayChange()
        let record = try tree.checkedWorking(birth)
        guard membership.isCurrent(boot, of: node) else {
            throw SheepError(.stale, "node \(node) is not up under boot id \(boot)")
        }
        if let lease = leaseTable[birth], lease.owner != node {
            throw SheepError(.volumeLocked, "volume \(record.name) is open at node \(lease.owner)")
        }
        membership.endCleanStops(at: index)
        let term = record.term.next
        tree.update(birth) { $0.term = term }
        leaseTable[birth] = LeaseRecord(owner: node, boot: boot, term: term)
        return term
    }

    mutating func releaseLease(_ birth: Birth, _ node: NodeID, _ term: Term) throws(SheepError) {
        try checkLease(birth, node, term)
        leaseTable[birth] = nil
    }

    mutating func handOverLease(_ birth: Birth, _ node: NodeID, _ term: Term, to heir: NodeID) throws(SheepError) {
        try checkVolumesMayChange()
        try checkLease(birth, node, term)
        guard heir != node else { throw SheepError(.invalidArgument, "node \(node) holds the lease of birth \(birth) already") }
        guard let run = membership.nodes[heir], run.isUp else { throw SheepError(.noSuchNode, "node \(heir) is not up") }
        let next = term.next
        tree.update(birth) { $0.term = next }
        leaseTable[birth] = LeaseRecord(owner: heir, boot: run.boot, term: next)
    }

    private func checkLease(_ birth: Birth, _ node: NodeID, _ term: Term) throws(SheepError) {
        guard let lease = leaseTable[birth], lease.owner == node, lease.term == term else {
            throw SheepError(.stale, "node \(node) does not hold the lease of birth \(birth) in term \(term)")
        }
    }

    mutating func lockVolume(_ birth: Birth, owner: NodeID, shared: Bool) throws(SheepError) {
        try checkVolumesMayChange()
        _ = try tree.checkedLiving(birth)
        guard membership.nodes[owner]?.isUp == true else { throw SheepError(.noSuchNode, "node \(owner) is not up") }
        try lockTable.lock(birth, owner: owner, shared: shared)
    }
}
