package import Cluster
package import ObjectModel

extension Cluster.VolumeRecord {
    /// The size of the volume's objects; the control state admits valid ones only.
    package var shift: ObjectShift { ObjectShift(rawValue: objectShift)! }
}
