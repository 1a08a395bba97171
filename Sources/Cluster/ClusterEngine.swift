package import ObjectModel

/// The port to a cluster engine: who is alive, a durable and totally ordered control log, and the node lease.
///
/// All calls and all delegate calls happen on the sheep's one event loop (in simulation: the one thread).
/// Safety rests on the log's order and on the node lease, never on a time-out alone.
package protocol ClusterEngine: AnyObject {
    /// The control state machine's side; set before ``start()``.
    var delegate: (any ClusterEngineDelegate)? { get set }

    /// Reads the log from its last snapshot, delivers it, then goes on telling of commits and of who is alive.
    func start()

    /// Tries to append `payload` as the entry `index`, which must be the one after the last delivered
    /// (an older one has lost already: nothing happens).
    ///
    /// The payload is neither empty nor longer than ``maximumControlPayload``.
    /// Another node's entry may win the index; the caller learns by ``ClusterEngineDelegate/committed(index:payload:)``,
    /// which is called for the winner, and proposes again. Nothing is called for a loser, but some entry always wins.
    /// An entry is delivered only when it is durable, and never from within this call.
    func append(_ payload: [UInt8], at index: LogIndex)

    /// Looks for new entries now, because somebody (a peer, an operator) says there are some.
    func look()

    /// When this node's last look at the committed end of the log that did not call it down began, in ns of CLOCK_BOOTTIME;
    /// 0: never. Everything that this look and those before it saw has been delivered, so whether one of these entries
    /// calls this node down is known to the delegate. The node lease lasts ``nodeLeaseDuration`` from there.
    var lastLookStarted: UInt64 { get }

    /// Asks for proof that `node` is dead (`local`: its liveness lock is free). Calls back, later, with true only on proof:
    /// no process of it ran at one moment after the call. After a false, ``ClusterEngineDelegate/suspects(_:)`` follows
    /// if the node is seen to die.
    func proveDead(_ node: NodeID, completion: @escaping (Bool) -> Void)

    /// Nodes the engine itself calls alive now (this one too); used when a sheep starts. Who is not among them is proven dead, as by
    /// ``proveDead(_:completion:)``: an engine that has no proof names all that it cannot rule out.
    func aliveNodes(completion: @escaping ([NodeID]) -> Void)

    /// What the engine sees of a run that the log calls up, for a sheep that starts; ``RunSight/running`` where ``aliveNodes(completion:)``
    /// says all that there is to say.
    func sight(of run: BootID, of node: NodeID) -> RunSight

    /// No run of this node up to the last that joined acted upon a later entry: the store notes durably how far a run may be told before
    /// it is. Nil where all share one log.
    var reachedBefore: LogIndex? { get }

    /// The log names this run: ``reachedBefore`` is told.
    func joined()

    /// The engine sees that the process of `node` was stopped (SIGSTOP, a debugger): it does nothing until somebody lets it go on,
    /// which may be at any moment. A hint; false where the engine cannot tell.
    func isStopped(_ node: NodeID) -> Bool

    /// Shows `report` to the others in place of what this node showed before, for as long as it is not replaced, the end of
    /// the process included. It need not survive a power cut. What cannot be shown is left out: the others see the former one.
    func show(_ report: [UInt8])

    /// What the other nodes show now, those that have ended too; perhaps a little late, never torn.
    func shown() -> [NodeID: [UInt8]]

    /// Leaves the engine: later calls do nothing, nothing more is delivered, ``lastLookStarted`` is 0, and others may
    /// take this node for dead from now on. Durable state is already durable.
    func stop()
}

/// What an engine that has no proof of death sees of another node's run.
package enum RunSight: Hashable, Sendable {
    /// It ran at some moment after this node's own run began.
    case running
    /// Another run of the node ran after the log had called this one up: this one is over.
    case ended
    /// Nothing was heard of the node for so long that it is not waited for any more.
    case silent
    /// Nothing was heard of the node since this run began; perhaps that comes yet.
    case unknown
}

package protocol ClusterEngineDelegate: AnyObject {
    /// The entry `index` is durable and final; called once for each, in order.
    ///
    /// An empty payload is an index that the engine used for itself (`local`: the end of a segment). It changes nothing
    /// but counts: the next entry is the one after it, and a proposal for this index has lost.
    func committed(index: LogIndex, payload: [UInt8])
    /// The log starts later than what was delivered: take over this state, which is that after entry `index`.
    func restored(index: LogIndex, snapshot: [UInt8])
    /// A snapshot of the state after the last delivered entry; the engine asks when the log has grown, replaces the
    /// older part of the log by it, and hands it to whoever starts or was stopped for long.
    func snapshot() -> [UInt8]
    /// All that was in the log when the engine started has been delivered.
    func caughtUp()
    /// The engine saw that a node may have died (its lock was released, its heartbeat ended). A hint, no proof; called
    /// once each time the engine no longer sees a node that it saw before.
    func suspects(_ node: NodeID)
    /// The engine cannot go on (the log's folder is gone, a disk failed); `reason` says what and what to do.
    /// Nothing is delivered after it, and ``ClusterEngine/lastLookStarted`` stays, so the node lease ends by itself.
    func engineFailed(_ reason: String)
}

/// The longest payload of a control log entry, in bytes. A batch of in-sync changes for all 65,536 groups takes under 1 MiB.
package let maximumControlPayload = 16 << 20
/// T: how long a look at the control log keeps the node lease, in nanoseconds of CLOCK_BOOTTIME.
package let nodeLeaseDuration: UInt64 = 1_000_000_000
/// After a `nodesDown` without proof of death: the time until nobody of them can hold a node lease. A clock may be off by 5 % either
/// way: T on one that is slow lasts T / 0.95, and this must last as long on one that is fast, so 1.05 T / 0.95.
package let nodeFenceDuration: UInt64 = 1_106_000_000
/// The longest report that an engine shows of a node, in bytes.
package let maximumReport = 32 << 10

/// Where a sheep keeps a copy of the control log, besides the engine.
package protocol ControlLogCopy: AnyObject {
    /// The last entry of the copy that an earlier run left; nil: there is none.
    var last: LogIndex? { get }
    /// It could not be written: what is appended is lost until it begins again.
    var isBroken: Bool { get }
    /// The copy begins with this state, in the place of whatever it had.
    func begin(after index: LogIndex, snapshot: [UInt8])
    /// An entry was applied, the one after the last.
    func append(_ payload: [UInt8], at index: LogIndex)
}
