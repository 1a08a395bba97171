package import ObjectModel

/// What the others ask the control state.
extension ControlState {
    // MARK: Members

    package var nodes: [NodeID: NodeRecord] { membership.nodes }
    package var disks: [DiskID: DiskRecord] { membership.disks }
    /// Oldest first, the last 1000.
    package var epochs: [EpochRecord] { membership.epochs }
    /// A shutdown was ordered and nobody came up since.
    package var isShutDown: Bool { shutdownIndex != nil }
    /// The last entry that touched any membership; replica sets derived of an older state are outdated.
    package var membershipVersion: LogIndex { membership.version }
    /// Disks that nodes which are up announce, sorted.
    package var presentDisks: [DiskID] { membership.presentDisks }

    /// Joins or removals wait for `planPlacement`.
    package var pendingPlacement: Bool {
        cluster != nil && membership.isPlacementPending(copiesInUse: tree.copiesInUse)
    }

    package func replicas(of group: PlacementGroup, copies: UInt8) -> ReplicaSet {
        membership.replicas(of: group, copies: copies)
    }

    /// Zones that the placed copies of the latest epoch lie in.
    package var zones: Int { membership.placement.zones }
    /// Numbers of copies that some volume, deleted ones included, has.
    package var copiesInUse: CopyCounts { tree.copiesInUse }
    /// Some volume has more copies than there are zones to put them in.
    package var zonesShort: Bool { Int(copiesInUse.largest) > zones }

    /// Records of removals from there on are still needed by some member; nil: by none.
    package var oldestOutSince: LogIndex? { membership.oldestOutSince(copiesInUse: copiesInUse) }

    // MARK: Volumes

    package func volume(_ birth: Birth) -> VolumeRecord? { tree[birth] }
    package func volume(named name: String) -> VolumeRecord? { tree.volume(named: name) }
    /// By Sheepdog's alias; deleted ones keep theirs until they are forgotten.
    package func volume(_ vid: VID) -> VolumeRecord? { tree.volume(vid) }

    /// Of those with the same (empty) tag the latest.
    package func snapshot(ofVolumeNamed name: String, tag: String) -> VolumeRecord? {
        tree.snapshots(named: name).last { $0.tag == tag }
    }

    package func snapshot(ofVolumeNamed name: String, id: UInt32) -> VolumeRecord? {
        tree.snapshots(named: name).first { $0.snapshotID == id }
    }

    /// Living snapshots of a name, oldest first; the working volume may be gone.
    package func snapshots(ofVolumeNamed name: String) -> [VolumeRecord] { tree.snapshots(named: name) }

    /// What goes on of a volume that was open as `birth` under `name`: itself, or what a snapshot or a rollback put in its place,
    /// under whatever name it has now. Nil: it is deleted. A volume of another family that got the name since is another one.
    package func successor(of birth: Birth, named name: String, in family: Family) -> VolumeRecord? {
        var name = name
        // Births ascend from one to the next, so this ends.
        var next = tree[birth]
        while let record = next {
            if record.isWorking { return record }
            guard record.isDeleted else {
                name = record.name
                break
            }
            let isSnapshot = record.isSnapshot
            next = tree.heir(of: record)
            if next == nil, !isSnapshot { return nil }
        }
        // Of its own snapshots or none: a clone of the family that got the name since is another one too.
        guard let present = tree.volume(named: name), present.family == family else { return nil }
        return present.parent.map { tree[$0]?.name == name } ?? true ? present : nil
    }

    /// What goes on of a deleted birth: the next of its volume that lives, and whether a rollback came in between. Nil: nothing does.
    package func livingHeir(of birth: Birth) -> (record: VolumeRecord, wasRolledBack: Bool)? {
        var wasRolledBack = false
        var next = tree[birth]
        while let record = next {
            if !record.isDeleted { return (record, wasRolledBack) }
            if !record.isSnapshot { wasRolledBack = true }
            next = tree.heir(of: record)
        }
        return nil
    }

    /// Itself first, the root last; empty for an unknown birth.
    package func ancestry(of birth: Birth) -> [Birth] { tree.ancestry(of: birth) }
    /// In the order of birth.
    package func children(of birth: Birth) -> [Birth] { tree.children(of: birth) }
    /// Deleted ones included, in the order of birth.
    package func volumesInFamily(_ family: Family) -> [Birth] { tree.volumes(in: family) }

    /// Everything living, by name, then snapshot id.
    package var volumes: [VolumeRecord] {
        tree.records.values.filter { !$0.isDeleted }.sorted { ($0.name, $0.snapshotID) < ($1.name, $1.snapshotID) }
    }

    /// Deleted births that are still in the tree, in the order of birth.
    package var deletedVolumes: [VolumeRecord] {
        tree.records.values.filter(\.isDeleted).sorted { $0.birth < $1.birth }
    }

    /// Whether a birth must stay in the tree though it is deleted and forgotten.
    package func needsRecord(_ birth: Birth) -> Bool { !children(of: birth).isEmpty }

    /// Whether nothing living resolves to the object; `presentBirths` have one at its (family, index), itself included.
    package func isGarbage(_ name: ObjectName, presentBirths: [Birth]) -> Bool {
        tree.isGarbage(name, presentBirths: presentBirths, appliedIndex: appliedIndex)
    }

    // MARK: Leases and locks

    /// Held leases, by working birth.
    package var leases: [Birth: LeaseRecord] { leaseTable.records }
    /// Nil: vacant.
    package func owner(of birth: Birth) -> LeaseRecord? { leaseTable[birth] }
    package var locks: [Birth: LockRecord] { lockTable.records }
}
