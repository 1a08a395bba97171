package import Gateway
package import NIOCore
package import ObjectModel
package import SheepProtocol

/// The wires between all processes, and what is wrong with them.
package final class Switchboard {
    let world: World
    private var networks: [NodeID: SimulatedNetwork] = [:]
    private var connections: [Connection] = []
    /// Pairs that cannot reach each other now.
    private var cuts: Set<[NodeID]> = []
    /// How long a message takes, in nanoseconds.
    package var delay: ClosedRange<UInt64> = 20_000...200_000
    /// Decides about a request that arrives: true makes the network acknowledge it without giving it to the receiver. A
    /// fault that no real network has; it is here to show that the checkers see it.
    package var swallows: ((_ operation: SheepProtocol.Operation, _ receiver: NodeID) -> Bool)?

    init(world: World) { self.world = world }

    func listen(_ network: SimulatedNetwork) { networks[network.process.node] = network }

    /// Who accepts connections for this run of a node.
    func listener(_ peer: Peer, from node: NodeID) -> SimulatedNetwork? {
        guard let network = networks[peer.node], network.process.isAlive, network.process.boot == peer.boot,
            !cuts.contains([node, peer.node].sorted())
        else { return nil }
        return network
    }

    func opened(_ connection: Connection) {
        connections.removeAll { !$0.isUp }
        connections.append(connection)
    }

    /// What a dead process sent arrives, but on some connections it had not left yet; who talked to it learns that the
    /// connection is gone.
    func processEnded(_ process: SheepProcess) {
        for connection in connections where connection.isUp {
            if connection.sender.process === process { connection.end(loses: world.chance(0.4)) }
            if connection.receiver.process === process { connection.lose() }
        }
    }

    /// Resets a connection: what is under way on it is lost.
    func reset(from sender: NodeID, to receiver: NodeID) {
        for connection in connections
        where connection.isUp && connection.sender.process.node == sender && connection.receiver.process.node == receiver {
            connection.lose()
        }
    }

    package func cut(_ a: NodeID, _ b: NodeID) {
        cuts.insert([a, b].sorted())
        reset(from: a, to: b)
        reset(from: b, to: a)
    }

    package func heal(_ a: NodeID, _ b: NodeID) { cuts.remove([a, b].sorted()) }
    package func healAll() { cuts = [] }
}

/// One connection, dialled by the sender for its requests.
final class Connection {
    let sender: SimulatedNetwork
    let receiver: SimulatedNetwork
    private unowned let link: SimulatedLink
    var isUp = true
    /// What is on the wires is gone.
    private(set) var isLost = false
    private var requestsArrive: UInt64 = 0
    private var repliesArrive: UInt64 = 0

    init(sender: SimulatedNetwork, receiver: SimulatedNetwork, link: SimulatedLink) {
        (self.sender, self.receiver, self.link) = (sender, receiver, link)
    }

    private var world: World { sender.switchboard.world }

    private func arrival(after last: inout UInt64) -> UInt64 {
        last = max(last, world.now + world.draw(sender.switchboard.delay))
        return last - world.now
    }

    func toReceiver(_ action: @escaping () -> Void) {
        guard !isLost else { return }
        world.schedule(after: arrival(after: &requestsArrive), in: receiver.process) { [self] in
            if !isLost { action() }
        }
    }

    func toSender(_ action: @escaping () -> Void) {
        guard isUp else { return }
        world.schedule(after: arrival(after: &repliesArrive), in: sender.process) { [self] in
            if isUp { action() }
        }
    }

    /// The sender is dead; with `loses` what is on the wires does not arrive.
    func end(loses: Bool) { (isUp, isLost) = (false, loses) }

    /// The sender notices soon.
    func lose() {
        guard isUp else { return }
        (isUp, isLost) = (false, true)
        world.schedule(after: world.draw(10_000...2_000_000), in: sender.process) { [link, self] in link.closed(self) }
    }
}

/// One sheep's links, with the behaviour of the real ones: dialled again while wanted, boot ids compared.
package final class SimulatedNetwork: PeerNetwork {
    package weak var delegate: (any PeerNetworkDelegate)?
    let process: SheepProcess
    let switchboard: Switchboard
    private var links: [NodeID: SimulatedLink] = [:]

    init(process: SheepProcess, switchboard: Switchboard) { (self.process, self.switchboard) = (process, switchboard) }

    package func keepLinks(to peers: [Peer]) {
        for node in links.keys.sorted() where !peers.contains(links[node]!.peer) {
            links.removeValue(forKey: node)?.drop()
        }
        for peer in peers where links[peer.node] == nil {
            let link = SimulatedLink(peer: peer, network: self)
            links[peer.node] = link
            link.dial()
        }
    }

    package func isLinked(to node: NodeID) -> Bool { links[node]?.isLinked ?? false }

    package func send(
        _ operation: SheepProtocol.Operation, body: [UInt8], payload: ByteBuffer?, to node: NodeID,
        completion: @escaping PeerCompletion
    ) {
        guard let link = links[node] else { return completion(.failure(SheepError(.unavailable, "node \(node) is down"))) }
        link.send(operation, body: body, payload: payload, completion: completion)
    }
}

/// The dialling side of a connection to one run of one peer.
final class SimulatedLink {
    let peer: Peer
    private unowned let network: SimulatedNetwork
    private var connection: Connection?
    private(set) var isLinked = false
    private var isDropped = false
    private var nextID: UInt64 = 1
    private var requests: [UInt64: PeerCompletion] = [:]

    init(peer: Peer, network: SimulatedNetwork) { (self.peer, self.network) = (peer, network) }

    private var world: World { network.switchboard.world }

    func dial() {
        world.schedule(after: world.draw(100_000...2_000_000), in: network.process) { [self] in
            guard !isDropped, connection == nil else { return }
            guard let receiver = network.switchboard.listener(peer, from: network.process.node) else { return dialLater() }
            let connection = Connection(sender: network, receiver: receiver, link: self)
            self.connection = connection
            network.switchboard.opened(connection)
            connection.toReceiver { connection.toSender { [self] in greeted(connection) } }
        }
    }

    private func dialLater() {
        world.schedule(after: 100_000_000, in: network.process) { [self] in dial() }
    }

    private func greeted(_ connection: Connection) {
        guard !isDropped, self.connection === connection else { return }
        isLinked = true
        network.delegate?.linked(to: peer.node)
    }

    func closed(_ lost: Connection) {
        guard connection === lost else { return }
        connection = nil
        let wasLinked = isLinked
        isLinked = false
        failAll()
        if isDropped { return }
        if wasLinked { network.delegate?.unlinked(from: peer.node) }
        dialLater()
    }

    private func failAll() {
        let lost = requests.sorted { $0.key < $1.key }
        requests = [:]
        for (_, completion) in lost { completion(.failure(SheepError(.unavailable, "the link to \(peer.address) broke"))) }
    }

    func send(
        _ operation: SheepProtocol.Operation, body: [UInt8], payload: ByteBuffer?, completion: @escaping PeerCompletion
    ) {
        guard isLinked, let connection else {
            return completion(.failure(SheepError(.unavailable, "there is no link to \(peer.address) now")))
        }
        let id = nextID
        nextID += 1
        requests[id] = completion
        let sender = network.process
        connection.toReceiver { [self] in
            let answer = replier(to: id, operation, on: connection)
            if let swallows = network.switchboard.swallows, swallows(operation, peer.node) {
                return answer(.success(PeerReply()))
            }
            connection.receiver.delegate?.received(
                operation, body: body, payload: payload ?? ByteBuffer(), from: sender.node, boot: sender.boot, reply: answer)
        }
    }

    private func replier(
        to id: UInt64, _ operation: SheepProtocol.Operation, on connection: Connection
    ) -> PeerCompletion {
        var isAnswered = false
        let world = world
        return { [self] result in
            if isAnswered { world.fail("a \(operation) was answered twice") }
            isAnswered = true
            connection.toSender { [self] in requests.removeValue(forKey: id)?(result) }
        }
    }

    /// Nobody wants this peer, in this run, any more: what is under way fails.
    func drop() {
        isDropped = true
        isLinked = false
        connection?.isUp = false
        connection = nil
        failAll()
    }
}
