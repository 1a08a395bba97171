import Cluster
import LocalEngine
import ObjectModel

/// The control log of a simulated cluster: gives each run of a sheep its engine, and is told what happens to processes and machines.
protocol ControlLog: AnyObject {
    /// These sheep begin the log; called once, before any of them runs.
    func found(by nodes: [NodeID])
    /// The engine of a run that begins; the node's former run has ended.
    func engine(for process: SheepProcess) -> any ClusterEngine
    /// The process is gone, whatever ended it.
    func ended(_ process: SheepProcess)
    /// A signal stopped the node's process, or lets it go on.
    func stopped(_ node: NodeID, _ isStopped: Bool)
    /// The power of all machines fails; their processes end after this.
    func powerFailed()
}

/// A file that all see: it belongs to no machine.
extension SimulatedLog: ControlLog {
    func found(by nodes: [NodeID]) {}
    func engine(for process: SheepProcess) -> any ClusterEngine { SimulatedEngine(node: process.node, log: self, loop: process) }
    func ended(_ process: SheepProcess) { setAlive(process.node, false) }
    func stopped(_ node: NodeID, _ isStopped: Bool) { if isStopped { stopped.insert(node) } else { stopped.remove(node) } }
    func powerFailed() { powerCut() }
}
