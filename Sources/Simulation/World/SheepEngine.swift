package import Cluster
package import ObjectModel

/// The engine of a simulated sheep, whichever kind its cluster has: a sheep's type names one engine.
package final class SheepEngine: ClusterEngine {
    private let engine: any ClusterEngine
    private let process: SheepProcess

    init(_ engine: any ClusterEngine, _ process: SheepProcess) { (self.engine, self.process) = (engine, process) }

    package var delegate: (any ClusterEngineDelegate)? {
        get { engine.delegate }
        set { engine.delegate = newValue }
    }
    package var lastLookStarted: UInt64 { engine.lastLookStarted }
    package var reachedBefore: LogIndex? { engine.reachedBefore }
    package func joined() { if !process.isDying { engine.joined() } }

    package func start() { if !process.isDying { engine.start() } }
    package func stop() { engine.stop() }
    package func append(_ payload: [UInt8], at index: LogIndex) { if !process.isDying { engine.append(payload, at: index) } }
    package func look() { engine.look() }
    package func proveDead(_ node: NodeID, completion: @escaping (Bool) -> Void) { engine.proveDead(node, completion: completion) }
    package func aliveNodes(completion: @escaping ([NodeID]) -> Void) { engine.aliveNodes(completion: completion) }
    package func sight(of run: BootID, of node: NodeID) -> RunSight { engine.sight(of: run, of: node) }
    package func isStopped(_ node: NodeID) -> Bool { engine.isStopped(node) }
    package func show(_ report: [UInt8]) { if !process.isDying { engine.show(report) } }
    package func shown() -> [NodeID: [UInt8]] { engine.shown() }
}
