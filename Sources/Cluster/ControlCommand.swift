package import ObjectModel

/// What a control log entry orders. Commands are values: times, identities and random numbers come with them.
package enum ControlCommand: Hashable, Sendable {
    // Cluster and members.
    case format(Format)
    case nodesDown(NodesDown)
    case nodeUp(NodeUp)
    /// An operator's removal, or the automatic out after `--down-out`; takes effect in the next `planPlacement`.
    case nodeOut(NodeID, byOperator: Bool)
    /// Puts all gathered joins and removals into one epoch.
    case planPlacement
    /// A disk failed, or a member did not acknowledge within its bound: it leaves all in-sync sets.
    case diskOut(DiskID, boot: BootID)
    /// Objects of these groups are damaged on the disk beyond what it can mend itself: it leaves their in-sync sets, where
    /// others are in them, and catches up. Refused where none is.
    case groupsOut(DiskID, boot: BootID, [GroupRange])
    case syncing(DiskID, boot: BootID, [GroupRange])
    /// The disk gives up to sync these groups, for want of space: it is out of them, since when it was before.
    case syncStopped(DiskID, boot: BootID, [GroupRange])
    case inSync(DiskID, boot: BootID, [GroupRange])
    /// After a full stop: of each group without an in-sync member, the first of its last members, in the group's
    /// member order, among `present` opens it; those with an unbroken machine (`preferred`) before the others.
    case openGroups(present: [DiskID], preferred: [DiskID])
    /// An operator's order to go on without members that will never return: also a present member that missed writes, or
    /// never had everything, opens a group, and what only others have is given up. Refused when `present` are not those
    /// whose nodes are up.
    case forceOpen(present: [DiskID], preferred: [DiskID])
    /// An operator's order: what only the disks of this node have, which was removed and is down, is given up.
    case giveUpNode(NodeID)
    case shutdown
    /// All members of a clean shutdown wrote everything: their in-sync state outlives the stop.
    case cleanStop(NodeID, boot: BootID)

    // Volumes.
    case createVolume(CreateVolume)
    case snapshotVolume(SnapshotVolume)
    case cloneVolume(CloneVolume)
    case rollbackVolume(RollbackVolume)
    case resizeVolume(ResizeVolume)
    case deleteVolume(DeleteVolume)
    case setAttribute(SetAttribute)
    /// Nothing living anywhere needs this deleted birth any more: forget it and free its VID.
    case forgetVolume(Birth)
    case renameVolume(RenameVolume)

    // Leases (who orders a volume's writes) and Sheepdog's locks (who may attach).
    case acquireLease(Birth, NodeID, boot: BootID)
    case releaseLease(Birth, NodeID, Term)
    /// Everything that the owner ordered is on all members: from here on `to` orders the writes, under the next term.
    case handOverLease(Birth, NodeID, Term, to: NodeID)
    case lockVolume(Birth, owner: NodeID, shared: Bool)
    case unlockVolume(Birth, owner: NodeID?)

    package struct Format: Hashable, Sendable {
        package var cluster: ClusterID
        package var copies: UInt8
        package var objectShift: UInt8
        /// Sheepdog's cluster flags (1 STRICT, 4 AUTO_VNODES, 8 USE_LOCK, 0x10 RECYCLE_VID, 0x20 AVOID_DISKFULL).
        package var flags: UInt16
        /// Formats again over an existing cluster: all volumes are gone.
        package var force: Bool
        package init(cluster: ClusterID, copies: UInt8, objectShift: UInt8, flags: UInt16, force: Bool) {
            (self.cluster, self.copies, self.objectShift, self.flags, self.force) = (cluster, copies, objectShift, flags, force)
        }
    }

    package struct NodesDown: Hashable, Sendable {
        package struct Victim: Hashable, Sendable {
            package var node: NodeID
            package var boot: BootID
            package init(node: NodeID, boot: BootID) { (self.node, self.boot) = (node, boot) }
        }
        package var victims: [Victim]
        /// Every victim is proven dead, so nobody need wait for its node lease to end.
        package var proven: Bool
        package init(victims: [Victim], proven: Bool) { (self.victims, self.proven) = (victims, proven) }
    }

    package struct NodeUp: Hashable, Sendable {
        package var node: NodeID
        package var boot: BootID
        package var address: NodeAddress
        /// Where other sheep reach it first; nil: at ``address``.
        package var dataAddress: NodeAddress?
        /// Nil: the engine's default (`local`: the port; else the address).
        package var zone: UInt32?
        /// Virtual nodes; 0 for a gateway without storage; nil: by capacity.
        package var virtualNodes: UInt16?
        package var disks: [DiskAnnouncement]
        /// The machine restarted since the node was last up: what its disks had not synced is gone.
        package var lostPower: Bool
        /// The node's former runs acted upon no later entry; nil: perhaps upon any.
        package var reached: LogIndex?
        package init(
            node: NodeID, boot: BootID, address: NodeAddress, zone: UInt32?, virtualNodes: UInt16?,
            disks: [DiskAnnouncement], lostPower: Bool = false, reached: LogIndex? = nil, dataAddress: NodeAddress? = nil
        ) {
            (self.node, self.boot, self.address, self.zone) = (node, boot, address, zone)
            (self.virtualNodes, self.disks, self.lostPower) = (virtualNodes, disks, lostPower)
            (self.reached, self.dataAddress) = (reached, dataAddress)
        }
    }

    package struct CreateVolume: Hashable, Sendable {
        package var name: String
        package var size: UInt64
        /// 0: the cluster's default.
        package var copies: UInt8
        package var objectShift: UInt8
        package init(name: String, size: UInt64, copies: UInt8 = 0, objectShift: UInt8 = 0) {
            (self.name, self.size, self.copies, self.objectShift) = (name, size, copies, objectShift)
        }
    }

    /// The working birth becomes the snapshot; the volume goes on under a new birth, its child.
    package struct SnapshotVolume: Hashable, Sendable {
        package var volume: Birth
        package var tag: String
        /// The owner's term when the volume is open, else nil; a stale one is refused.
        package var term: Term?
        package init(volume: Birth, tag: String, term: Term?) { (self.volume, self.tag, self.term) = (volume, tag, term) }
    }

    package struct CloneVolume: Hashable, Sendable {
        package var source: Birth
        package var name: String
        /// 0: as the source.
        package var copies: UInt8
        package init(source: Birth, name: String, copies: UInt8 = 0) {
            (self.source, self.name, self.copies) = (source, name, copies)
        }
    }

    /// The working birth is deleted; the volume goes on under a new birth, child of the snapshot.
    package struct RollbackVolume: Hashable, Sendable {
        package var volume: Birth
        package var snapshot: Birth
        package var term: Term?
        package init(volume: Birth, snapshot: Birth, term: Term?) {
            (self.volume, self.snapshot, self.term) = (volume, snapshot, term)
        }
    }

    package struct ResizeVolume: Hashable, Sendable {
        package var volume: Birth
        package var size: UInt64
        package var term: Term?
        package init(volume: Birth, size: UInt64, term: Term?) { (self.volume, self.size, self.term) = (volume, size, term) }
    }

    package struct DeleteVolume: Hashable, Sendable {
        package var volume: Birth
        package var term: Term?
        package init(volume: Birth, term: Term?) { (self.volume, self.term) = (volume, term) }
    }

    /// The volume and all living snapshots of its name go by another name; births, VIDs, tags, locks and terms stay.
    package struct RenameVolume: Hashable, Sendable {
        package var volume: Birth
        package var name: String
        package init(volume: Birth, name: String) { (self.volume, self.name) = (volume, name) }
    }

    package struct SetAttribute: Hashable, Sendable {
        package var volume: Birth
        package var key: String
        /// Nil deletes.
        package var value: [UInt8]?
        /// Refused with `attributeExists` when the key is there.
        package var exclusive: Bool
        package init(volume: Birth, key: String, value: [UInt8]?, exclusive: Bool) {
            (self.volume, self.key, self.value, self.exclusive) = (volume, key, value, exclusive)
        }
    }
}

/// One record of the control log: a command and all that the state machine may not invent itself.
package struct ControlEntry: Hashable, Sendable {
    package var request: RequestID
    package var proposer: NodeID
    /// Wall clock of the proposer, nanoseconds since 1970; only shown, never decided upon.
    package var time: UInt64
    /// The digest of the state before this entry (``ControlState/digest``); a node that differs stops.
    package var stateDigest: UInt64
    package var command: ControlCommand

    package init(request: RequestID, proposer: NodeID, time: UInt64, stateDigest: UInt64, command: ControlCommand) {
        (self.request, self.proposer, self.time) = (request, proposer, time)
        (self.stateDigest, self.command) = (stateDigest, command)
    }
}

/// What an entry gave; the same on every node.
package enum ControlResult: Hashable, Sendable {
    case done
    /// The working birth after create, snapshot, clone or rollback.
    case volume(Birth)
    /// The lease is this node's, with this term; or another's (`refused`, ``SheepError/Code/volumeLocked`` naming it).
    case lease(Term)
    case refused(SheepError)
}
