package import ObjectModel

/// One member of a placement group for one number of copies.
package struct Replica: Hashable, Sendable {
    package var disk: DiskID
    package var node: NodeID
    /// The log calls its node up. After a clean shutdown an in-sync member may be down.
    package var isUp: Bool
}

/// Where the objects of a placement group are, for volumes of one number of copies.
///
/// Writes go to all in sync and syncing and are acknowledged when all have them and at least ``minimum`` are in sync;
/// reads are served by any that is in sync.
package struct ReplicaSet: Hashable, Sendable {
    // In member order: as placed, then holding ones by id.
    package var inSync: [Replica] = []
    package var syncing: [Replica] = []
    package var out: [Replica] = []
    /// Only when nothing is in sync: those that left last, hence have every acknowledged write.
    package var lastMembers: [Replica] = []
    /// The last entry that touched a member.
    package var version: LogIndex
    /// In-sync members needed to acknowledge a write; fixed when the membership was planned.
    package var minimum: Int
}
