import Cluster
import ObjectModel
import SheepProtocol

/// Somebody who removes nodes: asks one gateway after another until the order was taken.
final class NodeOperator {
    private let cluster: SimulatedCluster
    private var world: World { cluster.world }
    private var underWay = 0

    init(cluster: SimulatedCluster) { self.cluster = cluster }

    var isIdle: Bool { underWay == 0 }

    /// With `givesUp` the node is known to have lost its store: it is removed until nobody waits for it any more.
    func remove(_ node: NodeID, givesUp: Bool = false) {
        underWay += 1
        attempt(node, givesUp)
    }

    private func attempt(_ node: NodeID, _ givesUp: Bool) {
        if let state = cluster.latestState, state.nodes[node]?.isRemoved == true {
            let isAwaited = state.disks.values.contains { $0.node == node && $0.isHolding }
            if !givesUp || !isAwaited && !state.pendingPlacement {
                underWay -= 1
                return
            }
            if !isAwaited { return again(node, givesUp) }
        }
        guard let sheep = world.pick(cluster.sheep.filter(\.isRunning)), let use = GatewayUse(sheep, world: world) else {
            return again(node, givesUp)
        }
        use.administer(.nodeRemove(node, givesUp: givesUp)) { [self] result in
            use.close()
            world.log("operator at \(sheep.name)", "remove sheep\(node.high): \(result)")
            switch result {
            case .success where !givesUp: underWay -= 1
            // It never joined, or it is the last one with storage.
            case .failure(let error) where error.code == .noSuchNode || error.code == .invalidArgument: underWay -= 1
            case .success, .failure: again(node, givesUp)
            }
        }
    }

    private func again(_ node: NodeID, _ givesUp: Bool) {
        world.schedule(after: 200_000_000) { [self] in attempt(node, givesUp) }
    }
}
