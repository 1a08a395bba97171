import Cluster
import ObjectModel
import Viewstamped

/// The control log that the machines of a simulated cluster keep among themselves: every sheep, also one that stores nothing, is a
/// voter, and a majority decides.
///
/// The messages are datagrams on the wires that the sheep's own links use, so whatever is wrong with these is wrong for the log: on a
/// way that is cut they are lost, on a slow one they are late and overtake each other. A few are lost always.
final class VotingGroup: ControlLog {
    enum Message {
        case log(Envelope)
        case presence(Presence)
    }

    /// What outlives a machine's processes.
    final class Machine {
        let store: LogStore
        var reports = ShownReports()
        /// The last entry that a run may have been told of; durable before it is.
        var reached = LogIndex.zero
        /// The same at the end of the last run that joined, until another one has.
        var reachedBefore: LogIndex?
        init(store: LogStore) { self.store = store }
    }

    private static let lossRate = 0.005

    let world: World
    private let switchboard: Switchboard
    private var machines: [NodeID: Machine] = [:]
    private var engines: [NodeID: VotingEngine] = [:]
    private var numbers: UInt64 = 0
    /// The last entry that any delegate was told of. Looks are checked by it.
    private(set) var known = LogIndex.zero

    init(switchboard: Switchboard) { (self.switchboard, world) = (switchboard, switchboard.world) }

    /// The operator's order that begins the log. Nobody joins or leaves the voters later.
    func found(by nodes: [NodeID]) {
        let log = StoredLog(founding: LogID(high: world.random.next(), low: world.random.next()), voters: nodes)
        for node in nodes { machines[node] = Machine(store: LogStore(identity: node, log: log, planted: nil)) }
    }

    func engine(for process: SheepProcess) -> any ClusterEngine {
        guard let machine = machines[process.node] else { preconditionFailure("a node that did not found the log is no voter") }
        return VotingEngine(process: process, machine: machine, group: self)
    }

    /// Of what was on its way to the disk a beginning is there; whether the machine lost its power makes no difference to the rest.
    func ended(_ process: SheepProcess) {
        if let engine = engines[process.node], engine.process === process { engine.stop() }
        machines[process.node]?.store.crash { world.below($0 + 1) }
    }

    /// Nobody sees the other machines' processes.
    func stopped(_ node: NodeID, _ isStopped: Bool) {}
    /// Each machine has its own disk, and its process ends.
    func powerFailed() {}

    // MARK: For the engines

    /// All that may ever be in the group.
    var nodes: [NodeID] { machines.keys.sorted() }

    func enter(_ engine: VotingEngine) {
        precondition(engines[engine.node] == nil, "two engines of one node")
        engines[engine.node] = engine
    }

    func leave(_ engine: VotingEngine) {
        if engines[engine.node] === engine { engines[engine.node] = nil }
    }

    /// Ascending over all nodes and runs; a real node counts its runs in its store.
    func nextNumber() -> UInt64 {
        numbers += 1
        return numbers
    }

    func told(of index: LogIndex) { known = max(known, index) }

    /// To whichever run of the receiver is there when it arrives.
    func send(_ message: Message, from sender: NodeID, to receiver: NodeID) {
        let way = Switchboard.Way(from: sender, to: receiver)
        guard !switchboard.isCut(way), !world.chance(Self.lossRate) else { return }
        world.schedule(after: world.draw(switchboard.delay(on: way))) { [self] in
            if !switchboard.isCut(way) { engines[receiver]?.hear(after: 0) { $0.received(message) } }
        }
    }
}
