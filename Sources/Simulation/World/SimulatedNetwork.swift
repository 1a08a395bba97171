package import Gateway
package import NIOCore
package import ObjectModel
package import SheepProtocol

/// The wires between all processes, and what is wrong with them.
///
/// All is TCP, so a connection neither repeats nor reorders: what is lost is retransmitted and late. What can happen:
///
/// - a way is cut, in one direction or both: bytes wait in the sender's kernel, and arrive some time after the way is back,
///   or never when the connection is given up before that (by the sender, or by its kernel after many seconds). Where only the
///   acknowledgements are cut, the first bytes still arrive. Nobody is told that a connection broke on the other side;
/// - a way is slow: up to seconds, each connection in order, two connections not;
/// - a connection is reset: of what was under way a part arrived, the rest is lost, and so are all replies. The sender sends
///   again by a new connection what it has no reply for, so requests are repeated by their sender, and what stood in the
///   buffers of the old connection may be read after what came by the new one.
///
/// A control log that all share (a folder of the machine) stays within reach whatever happens here; a voted one is told by datagrams,
/// which are lost on a way that is cut.
package final class Switchboard {
    struct Way: Hashable {
        var from, to: NodeID
        var back: Way { Way(from: to, to: from) }
    }

    private enum Trouble {
        case cut(Set<Way>)
        case slow(Set<Way>, ClosedRange<UInt64>)
    }

    let world: World
    private var networks: [NodeID: SimulatedNetwork] = [:]
    private var connections: [Connection] = []
    private var troubles: [Int: Trouble] = [:]
    private var nextTrouble = 0
    private var cuts: Set<Way> = []
    /// How long a message takes where nothing is wrong, in nanoseconds.
    package var delay: ClosedRange<UInt64> = 20_000...200_000
    /// Decides about a request that arrives: true makes the network acknowledge it without giving it to the receiver. A
    /// fault that no real network has; it is here to show that the checkers see it.
    package var swallows: ((_ operation: SheepProtocol.Operation, _ receiver: NodeID) -> Bool)?

    init(world: World) { self.world = world }

    /// Networks refer to their switchboard.
    func forget() { (networks, connections, swallows) = ([:], [], nil) }

    func listen(_ network: SimulatedNetwork) { networks[network.process.node] = network }

    /// Who accepts connections for this run of a node.
    func listener(_ peer: Peer) -> SimulatedNetwork? {
        guard let network = networks[peer.node], network.process.isAlive, network.process.boot == peer.boot else { return nil }
        return network
    }

    func opened(_ connection: Connection) {
        connections.removeAll(where: \.isOver)
        connections.append(connection)
    }

    /// What a dead process sent arrives, but on some connections it had not left yet; who talked to it learns that the
    /// connection is gone.
    func processEnded(_ process: SheepProcess) {
        for connection in connections {
            if connection.sender.process === process { connection.senderEnded(loses: world.chance(0.4)) }
            if connection.receiver.process === process { connection.receiverEnded() }
        }
        if let network = networks[process.node], network.process === process { network.ended() }
    }

    // MARK: Troubles

    func isCut(_ way: Way) -> Bool { cuts.contains(way) }

    func delay(on way: Way) -> ClosedRange<UInt64> {
        var slowest = delay
        for trouble in troubles.values {
            if case .slow(let ways, let range) = trouble, ways.contains(way), range.upperBound > slowest.upperBound { slowest = range }
        }
        return slowest
    }

    /// Nothing passes on these ways until then.
    func cut(_ ways: Set<Way>, for duration: UInt64) { add(.cut(ways), for: duration) }

    func slow(_ ways: Set<Way>, _ range: ClosedRange<UInt64>, for duration: UInt64) { add(.slow(ways, range), for: duration) }

    private func add(_ trouble: Trouble, for duration: UInt64) {
        nextTrouble += 1
        let number = nextTrouble
        troubles[number] = trouble
        noteCuts()
        world.schedule(after: duration) { [self] in
            guard troubles.removeValue(forKey: number) != nil else { return }
            noteCuts()
        }
    }

    func healAll() {
        troubles = [:]
        noteCuts()
    }

    private func noteCuts() {
        var now: Set<Way> = []
        for case .cut(let ways) in troubles.values { now.formUnion(ways) }
        let (added, gone) = (now.subtracting(cuts), cuts.subtracting(now))
        cuts = now
        for connection in connections where !connection.isOver {
            if added.contains(connection.way) || added.contains(connection.way.back) { connection.wasCut() }
            if gone.contains(connection.way) || gone.contains(connection.way.back) { connection.wasRestored() }
        }
    }

    /// Resets the connection that one node made to another.
    func reset(from sender: NodeID, to receiver: NodeID) {
        for connection in between(sender, receiver) { connection.reset() }
    }

    /// Resets it when the next reply is on its way: the request has been executed.
    func resetAtReply(from sender: NodeID, to receiver: NodeID) {
        for connection in between(sender, receiver) { connection.resetsAtReply = true }
    }

    private func between(_ sender: NodeID, _ receiver: NodeID) -> [Connection] {
        connections.filter { $0.isUp && $0.way == Way(from: sender, to: receiver) }
    }
}

/// One connection, dialled by the sender for its requests.
final class Connection {
    /// One of its two directions.
    private struct Stream {
        /// When the last message arrives.
        var arrives: UInt64 = 0
        /// Sent while the way was cut, or after such.
        var held: [(UInt64) -> Void] = []
        /// Sent while the acknowledgements were cut.
        var unacknowledged = 0
    }

    /// Messages that fit into the window of a connection whose acknowledgements do not come.
    private static let window = 24

    let sender: SimulatedNetwork
    let receiver: SimulatedNetwork
    let way: Switchboard.Way
    private unowned let link: SimulatedLink
    /// The sender has not given it up, nor been told that it broke.
    var isUp = true
    /// The receiver listens to a newer connection of the same run.
    private var isSuperseded = false
    /// Requests that arrive later are lost.
    private var lastArrival = UInt64.max
    private var requests = Stream()
    private var replies = Stream()
    private var cutNumber = 0
    var resetsAtReply = false

    init(sender: SimulatedNetwork, receiver: SimulatedNetwork, link: SimulatedLink) {
        (self.sender, self.receiver, self.link) = (sender, receiver, link)
        way = Switchboard.Way(from: sender.process.node, to: receiver.process.node)
    }

    private var world: World { sender.switchboard.world }
    private var switchboard: Switchboard { sender.switchboard }
    /// Nothing more will happen on it.
    var isOver: Bool { !isUp && (isSuperseded || !receiver.process.isAlive || requests.arrives < world.now && requests.held.isEmpty) }

    // MARK: Messages

    func toReceiver(_ action: @escaping () -> Void) {
        if sender.process.isDying { return }
        send(on: \.requests, way) { [self] arrival in
            world.schedule(after: arrival - world.now, in: receiver.process) { [self] in
                if arrival <= lastArrival, !isSuperseded { action() }
            }
        }
    }

    func toSender(_ action: @escaping () -> Void) {
        guard isUp, !receiver.process.isDying else { return }
        if resetsAtReply { return reset(sparingRequests: true) }
        send(on: \.replies, way.back) { [self] arrival in
            world.schedule(after: arrival - world.now, in: sender.process) { [self] in
                if isUp { action() }
            }
        }
    }

    private func send(on stream: ReferenceWritableKeyPath<Connection, Stream>, _ way: Switchboard.Way, _ deliver: @escaping (UInt64) -> Void) {
        if switchboard.isCut(way.back) { self[keyPath: stream].unacknowledged += 1 }
        guard self[keyPath: stream].held.isEmpty, !switchboard.isCut(way), self[keyPath: stream].unacknowledged <= Self.window else {
            return self[keyPath: stream].held.append(deliver)
        }
        let arrival = max(self[keyPath: stream].arrives, world.now + world.draw(switchboard.delay(on: way)))
        self[keyPath: stream].arrives = arrival
        deliver(arrival)
    }

    /// The first message of a newer connection was read: this one is read no more.
    func supersede() { isSuperseded = true }

    // MARK: Troubles

    /// The sender's kernel gives up after a while.
    func wasCut() {
        cutNumber += 1
        let number = cutNumber
        world.schedule(after: world.draw(3_000_000_000...20_000_000_000)) { [self] in
            if number == cutNumber { reset() }
        }
    }

    /// Kernels try again ever more rarely, so it takes a while until anything is sent again.
    func wasRestored() {
        guard !switchboard.isCut(way), !switchboard.isCut(way.back) else { return }
        cutNumber += 1
        let number = cutNumber
        world.schedule(after: world.draw(1_000_000...1_500_000_000)) { [self] in
            guard number == cutNumber else { return }
            if !receiver.process.isAlive { return receiverEnded() }
            release(\.requests, way)
            release(\.replies, way.back)
        }
    }

    private func release(_ stream: ReferenceWritableKeyPath<Connection, Stream>, _ way: Switchboard.Way) {
        let held = self[keyPath: stream].held
        (self[keyPath: stream].held, self[keyPath: stream].unacknowledged) = ([], 0)
        for deliver in held { send(on: stream, way, deliver) }
    }

    /// It breaks: replies are lost, and what was under way from some byte on. The sender notices soon.
    func reset(sparingRequests: Bool = false) {
        guard isUp else { return }
        isUp = false
        if !sparingRequests {
            lastArrival = world.now + (world.chance(0.5) ? 0 : world.draw(0...switchboard.delay(on: way).upperBound))
            requests.held = []
        }
        tellSender()
    }

    /// The sender's program closes it: what it has sent arrives, when the way is open.
    func close() {
        guard isUp else { return }
        isUp = false
        tellSender()
    }

    /// The sender is dead; with `loses` what it had still to send does not arrive.
    func senderEnded(loses: Bool) {
        guard isUp else { return }
        isUp = false
        if loses { (lastArrival, requests.held) = (world.now, []) }
    }

    /// The receiver's kernel says so to whoever sends; where that cannot come through nobody knows.
    func receiverEnded() {
        guard isUp, !switchboard.isCut(way), !switchboard.isCut(way.back) else { return }
        close()
    }

    private func tellSender() {
        world.schedule(after: world.draw(10_000...2_000_000), in: sender.process) { [link, self] in link.closed(self) }
    }
}

/// One sheep's links, with the behaviour of the real ones: dialled again while wanted, boot ids compared.
package final class SimulatedNetwork: PeerNetwork {
    package weak var delegate: (any PeerNetworkDelegate)?
    let process: SheepProcess
    let switchboard: Switchboard
    private var links: [NodeID: SimulatedLink] = [:]
    /// The newest connection of each run that connected here: only that is listened to.
    private var newest: [BootID: Connection] = [:]

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

    package func arrivals(from node: NodeID) -> UInt64 { links[node]?.arrivals ?? 0 }

    package func renewLink(to node: NodeID) { links[node]?.renew() }

    func greeted(by connection: Connection) {
        newest.updateValue(connection, forKey: connection.sender.process.boot)?.supersede()
    }

    /// Nobody waits for an answer any more; connections refer to their networks, which refer to them.
    func ended() {
        for link in links.values { link.ended() }
        (links, newest) = ([:], [:])
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
    private(set) var arrivals: UInt64 = 0
    private var isDropped = false
    private var nextID: UInt64 = 1
    private var requests: [UInt64: PeerCompletion] = [:]

    init(peer: Peer, network: SimulatedNetwork) { (self.peer, self.network) = (peer, network) }

    private var world: World { network.switchboard.world }

    func dial() {
        world.schedule(after: world.draw(100_000...2_000_000), in: network.process) { [self] in
            guard !isDropped, connection == nil else { return }
            let way = Switchboard.Way(from: network.process.node, to: peer.node)
            // Nobody answers until the time for connecting is over.
            if network.switchboard.isCut(way) || network.switchboard.isCut(way.back) { return dialLater(after: 1_100_000_000) }
            guard let receiver = network.switchboard.listener(peer) else { return dialLater() }
            let connection = Connection(sender: network, receiver: receiver, link: self)
            self.connection = connection
            network.switchboard.opened(connection)
            connection.toReceiver {
                receiver.greeted(by: connection)
                connection.toSender { [self] in greeted(connection) }
            }
        }
    }

    private func dialLater(after delay: UInt64 = 100_000_000) {
        world.schedule(after: delay, in: network.process) { [self] in dial() }
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
            connection.toSender { [self] in
                arrivals += 1
                requests.removeValue(forKey: id)?(result)
            }
        }
    }

    func ended() { (connection, requests) = (nil, [:]) }

    func renew() { connection?.close() }

    /// Nobody wants this peer, in this run, any more: what is under way fails.
    func drop() {
        isDropped = true
        isLinked = false
        connection?.isUp = false
        connection = nil
        failAll()
    }
}
