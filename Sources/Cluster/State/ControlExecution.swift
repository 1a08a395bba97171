import ObjectModel

/// One table of all commands: what must hold before, and who carries it out.
extension ControlState {
    mutating func execute(_ command: ControlCommand, at moment: VolumeTree.Moment) throws(SheepError) -> ControlResult {
        switch command {
        case .format(let format): try self.format(format, at: moment)
        case .nodesDown(let down): vacate(membership.nodesDown(down.victims, at: moment.index, time: moment.time))
        case .nodeUp(let up): try nodeUp(up, at: moment)
        case .nodeOut(let node, let byOperator):
            try membership.nodeOut(node, byOperator: byOperator, at: moment.index, copiesInUse: copiesInUse)
        case .planPlacement:
            _ = membership.planPlacement(at: moment.index, time: moment.time, copiesInUse: copiesInUse)
        case .diskOut(let disk, let boot): try membership.diskOut(disk, boot: boot, at: moment.index)
        case .groupsOut(let disk, let boot, let ranges):
            try membership.groupsOut(disk, boot: boot, ranges, at: moment.index, copiesInUse: copiesInUse)
        case .syncStopped(let disk, let boot, let ranges): try membership.syncStopped(disk, boot: boot, ranges, at: moment.index)
        case .syncing(let disk, let boot, let ranges):
            try membership.syncing(disk, boot: boot, ranges, at: moment.index)
        case .inSync(let disk, let boot, let ranges):
            try membership.inSync(disk, boot: boot, ranges, at: moment.index, copiesInUse: copiesInUse)
        case .openGroups(let present, let preferred):
            membership.openGroups(present: present, preferred: preferred, at: moment.index)
        case .forceOpen(let present, let preferred):
            try checkVolumesMayChange()
            try membership.forceOpen(present: present, preferred: preferred, closingCounts, at: moment.index)
        case .giveUpNode(let node): try membership.giveUp(node, at: moment.index)
        case .shutdown: try shutDown(at: moment)
        case .cleanStop(let node, let boot): try cleanStop(node, boot: boot, at: moment)

        case .createVolume(let create): return try createVolume(create, at: moment)
        case .snapshotVolume(let snapshot): return try snapshotVolume(snapshot, at: moment)
        case .cloneVolume(let clone): return try cloneVolume(clone, at: moment)
        case .rollbackVolume(let rollback): return try rollbackVolume(rollback, at: moment)
        case .resizeVolume(let resize):
            try checkVolumesMayChange()
            try checkTerm(resize.term, of: resize.volume)
            try tree.resize(resize, at: moment)
        case .deleteVolume(let delete): try deleteVolume(delete, at: moment)
        case .setAttribute(let attribute):
            try checkVolumesMayChange()
            try tree.setAttribute(attribute)
        case .renameVolume(let rename):
            try checkVolumesMayChange()
            try tree.rename(rename)
        case .forgetVolume(let birth):
            _ = try formatted()
            try tree.forgetDeleted(birth)

        case .acquireLease(let birth, let node, let boot):
            return .lease(try acquireLease(birth, node, boot: boot, at: moment.index))
        case .releaseLease(let birth, let node, let term): try releaseLease(birth, node, term)
        case .handOverLease(let birth, let node, let term, let heir): try handOverLease(birth, node, term, to: heir)
        case .lockVolume(let birth, let owner, let shared): try lockVolume(birth, owner: owner, shared: shared)
        case .unlockVolume(let birth, let owner):
            _ = try formatted()
            try lockTable.unlock(birth, owner: owner)
        }
        return .done
    }

    func formatted() throws(SheepError) -> ClusterRecord {
        guard let cluster else {
            throw SheepError(.notFormatted, "the cluster is not formatted; run: dog cluster format")
        }
        return cluster
    }

    func checkVolumesMayChange() throws(SheepError) {
        _ = try formatted()
        guard !isShutDown else { throw SheepError(.shuttingDown, "the cluster is shutting down; start its nodes again") }
    }
}
