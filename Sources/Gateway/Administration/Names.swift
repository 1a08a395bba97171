// Both the control state and the administration protocol have their own record of a volume and of a node;
// here the control state's go by these names.
package import Cluster

package typealias VolumeRow = Cluster.VolumeRecord
package typealias NodeRow = Cluster.NodeRecord
package typealias ControlOrder = ControlCommand
