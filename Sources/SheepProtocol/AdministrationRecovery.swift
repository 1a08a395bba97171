package import ObjectModel

/// What is lost if sheep that are away never return: placement groups that no current copy serves, and what would become of
/// them. A group is counted once.
package struct RecoveryRisk: Hashable, Sendable, WireCodable {
    /// They go back to a copy that missed writes.
    package var olderGroups: UInt32
    /// No sheep that is up ever had all of their objects.
    package var lostGroups: UInt32
    /// None of their sheep is up: they stay closed.
    package var closedGroups: UInt32
    /// A sheep with a current copy is back: they open by themselves.
    package var openingGroups: UInt32
    /// Who has newer copies than those that would be gone on with.
    package var absent: [AbsentNode]
    /// Volumes and snapshots with objects in older, lost or closed groups.
    package var volumes: [VolumeRisk]
    /// Disks that are there, sorted: with others more may be lost.
    package var present: [DiskID]

    package init(
        olderGroups: UInt32 = 0, lostGroups: UInt32 = 0, closedGroups: UInt32 = 0, openingGroups: UInt32 = 0,
        absent: [AbsentNode] = [], volumes: [VolumeRisk] = [], present: [DiskID] = []
    ) {
        (self.olderGroups, self.lostGroups, self.closedGroups) = (olderGroups, lostGroups, closedGroups)
        (self.openingGroups, self.absent, self.volumes, self.present) = (openingGroups, absent, volumes, present)
    }

    /// Groups that wait, of all ``PlacementGroup/count``.
    package var waitingGroups: UInt32 { olderGroups + lostGroups + closedGroups + openingGroups }
    /// Going on would give something up, and open something.
    package var givesUpData: Bool { olderGroups > 0 || lostGroups > 0 }

    package init(from reader: inout WireReader) throws(WireError) {
        olderGroups = try reader.readGroupCount()
        lostGroups = try reader.readGroupCount()
        closedGroups = try reader.readGroupCount()
        openingGroups = try reader.readGroupCount()
        absent = try reader.readArray()
        volumes = try reader.readArray()
        present = try reader.readArray()
    }

    package func encode(to writer: inout WireWriter) {
        writer.write(olderGroups)
        writer.write(lostGroups)
        writer.write(closedGroups)
        writer.write(openingGroups)
        writer.write(absent)
        writer.write(volumes)
        writer.write(present)
    }
}

/// A sheep whose copies are missed.
package struct AbsentNode: Hashable, Sendable, WireCodable {
    package var host: String
    package var port: UInt16
    /// The entry of the control log that called it down; nil: it is up without its disk.
    package var downSince: LogIndex?

    package init(host: String, port: UInt16, downSince: LogIndex?) { (self.host, self.port, self.downSince) = (host, port, downSince) }

    package init(from reader: inout WireReader) throws(WireError) {
        host = try reader.readHost()
        port = try reader.read()
        downSince = try reader.readOptional()
    }

    package func encode(to writer: inout WireWriter) {
        writer.write(host)
        writer.write(port)
        writer.write(optional: downSince)
    }
}

/// How many of a volume's or snapshot's objects, written or not, lie in groups that wait.
package struct VolumeRisk: Hashable, Sendable, WireCodable {
    package var name: String
    package var isSnapshot: Bool
    /// The snapshot's id within its volume, from 1; 0 for the working volume.
    package var snapshotID: UInt32
    /// The snapshot's tag; empty when it has none and for the working volume.
    package var tag: String
    package var vid: VID
    /// That its size takes.
    package var objects: UInt64
    package var older: UInt64
    package var lost: UInt64
    package var closed: UInt64

    package init(
        name: String, isSnapshot: Bool, snapshotID: UInt32, tag: String, vid: VID, objects: UInt64, older: UInt64, lost: UInt64,
        closed: UInt64
    ) {
        (self.name, self.isSnapshot, self.snapshotID, self.tag, self.vid) = (name, isSnapshot, snapshotID, tag, vid)
        (self.objects, self.older, self.lost, self.closed) = (objects, older, lost, closed)
    }

    package init(from reader: inout WireReader) throws(WireError) {
        name = try reader.readVolumeName()
        isSnapshot = try reader.readBool()
        snapshotID = try reader.read()
        tag = try reader.readVolumeName()
        vid = try reader.readValue()
        objects = try reader.read()
        older = try reader.read()
        lost = try reader.read()
        closed = try reader.read()
    }

    package func encode(to writer: inout WireWriter) {
        writer.write(name)
        writer.write(isSnapshot)
        writer.write(snapshotID)
        writer.write(tag)
        writer.write(vid)
        writer.write(objects)
        writer.write(older)
        writer.write(lost)
        writer.write(closed)
    }
}

extension WireReader {
    fileprivate mutating func readGroupCount() throws(WireError) -> UInt32 {
        let count: UInt32 = try read()
        guard count <= UInt32(PlacementGroup.count) else { throw .invalid("number of groups") }
        return count
    }
}
