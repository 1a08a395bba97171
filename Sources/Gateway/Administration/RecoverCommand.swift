import Cluster
import Logging
import ObjectModel
import SheepProtocol

extension SheepNode {
    /// Tells what is lost if those who are away never return; goes on with the disks given, where that gives up anything.
    func recover(goingOnWith present: [DiskID]?, _ completion: @escaping AdministrationCompletion) {
        let state = control.state
        let risk = recoveryRisk(of: state.forcedOpening)
        guard let present, risk.givesUpData else { return completion(.success(.risk(risk))) }
        logger.warning("an operator gives up what only absent sheep have: \(risk.olderGroups) groups go back, \(risk.lostGroups) are lost")
        let preferred = present.filter { state.disks[$0]?.lostPower == false }
        propose(.forceOpen(present: present, preferred: preferred), completion) { _ in .done }
    }

    func recoveryRisk(of opening: ForcedOpening) -> RecoveryRisk {
        let state = control.state
        let groups = { (fate: GroupFate) in UInt32(opening.groups[fate] ?? 0) }
        let absent = opening.absentNodes.map { id in
            let node = state.nodes[id]!
            return AbsentNode(host: node.address.host, port: node.address.port, downSince: node.downSince)
        }
        let volumes = state.volumes
        let concerned = opening.objects(of: volumes)
        return RecoveryRisk(
            olderGroups: groups(.goesBack), lostGroups: groups(.isLost), closedGroups: groups(.staysClosed),
            openingGroups: groups(.opensItself), absent: absent,
            volumes: volumes.compactMap { volume in concerned[volume.birth].flatMap { Self.risk(of: volume, $0) } },
            present: state.presentDisks)
    }

    private static func risk(of volume: VolumeRow, _ objects: [GroupFate: UInt64]) -> VolumeRisk? {
        let count = { (fate: GroupFate) in objects[fate] ?? 0 }
        guard count(.goesBack) + count(.isLost) + count(.staysClosed) > 0 else { return nil }
        return VolumeRisk(
            name: volume.name, isSnapshot: volume.isFrozen, snapshotID: volume.isFrozen ? volume.snapshotID : 0,
            tag: volume.isFrozen ? volume.tag : "", vid: volume.vid, objects: volume.objectCount, older: count(.goesBack),
            lost: count(.isLost), closed: count(.staysClosed))
    }
}
