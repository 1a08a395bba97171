import Cluster
import ObjectModel
import ObjectStore

/// What a replica asks of a birth for each request: as of the last entry of the control log.
final class VolumeFacts {
    let name: String
    let copies: UInt8
    let shift: ObjectShift
    let objectShift: UInt8
    let lastEntry: LogIndex
    /// A snapshot, or deleted: never written.
    let isFrozen: Bool
    let leaseTerm: Term?

    init(_ volume: Cluster.VolumeRecord, leaseTerm: Term?) {
        (name, copies, shift, objectShift) = (volume.name, volume.copies, volume.shift, volume.objectShift)
        (lastEntry, isFrozen, self.leaseTerm) = (volume.lastEntry, volume.isFrozen || volume.isDeleted, leaseTerm)
    }
}
