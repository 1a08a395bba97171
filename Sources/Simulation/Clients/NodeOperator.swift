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

    func remove(_ node: NodeID) {
        underWay += 1
        attempt(node)
    }

    private func attempt(_ node: NodeID) {
        // To remove a removed one that is down gives up what only it has: whoever asks again looks first.
        if cluster.latestState?.nodes[node]?.isRemoved == true {
            underWay -= 1
            return
        }
        guard let sheep = world.pick(cluster.sheep.filter(\.isRunning)), let use = GatewayUse(sheep, world: world) else {
            return again(node)
        }
        use.administer(.nodeRemove(node)) { [self] result in
            use.close()
            world.log("operator at \(sheep.name)", "remove sheep\(node.high): \(result)")
            switch result {
            case .success: underWay -= 1
            // It never joined, or it is the last one with storage.
            case .failure(let error) where error.code == .noSuchNode || error.code == .invalidArgument: underWay -= 1
            case .failure: again(node)
            }
        }
    }

    private func again(_ node: NodeID) {
        world.schedule(after: 200_000_000) { [self] in attempt(node) }
    }
}
