package import Cluster
package import NIOCore
package import ObjectModel
package import ObjectStore
package import SheepProtocol

/// Time as a sheep sees it: real, or the simulator's.
package protocol NodeClock: AnyObject {
    /// CLOCK_BOOTTIME in nanoseconds; never goes back, goes on while the machine sleeps.
    func now() -> UInt64
    /// Nanoseconds since 1970; shown to people, never decided upon.
    func wallClock() -> UInt64
    /// Runs `action` on the sheep's thread after that many nanoseconds, unless the timer is cancelled before.
    @discardableResult
    func schedule(after nanoseconds: UInt64, _ action: @escaping () -> Void) -> Timer
}

/// A scheduled action that can be called off.
package final class Timer {
    package private(set) var isCancelled = false
    package init() {}
    package func cancel() { isCancelled = true }
}

/// What a peer answered.
package struct PeerReply {
    package var body: [UInt8]
    package var payload: ByteBuffer
    package init(body: [UInt8] = [], payload: ByteBuffer = ByteBuffer()) { (self.body, self.payload) = (body, payload) }
}

/// How a completed request is answered: exactly once.
package typealias PeerCompletion = (Result<PeerReply, SheepError>) -> Void

/// A sheep to keep a link to.
package struct Peer: Hashable, Sendable {
    package var node: NodeID
    package var boot: BootID
    package var address: NodeAddress
    /// Tried before ``address``, for a network of its own between sheep.
    package var dataAddress: NodeAddress?
    package init(node: NodeID, boot: BootID, address: NodeAddress, dataAddress: NodeAddress? = nil) {
        (self.node, self.boot, self.address, self.dataAddress) = (node, boot, address, dataAddress)
    }
}

/// The port to the links between sheep. Links are dialled again for as long as their peer is wanted.
///
/// Requests on one link arrive in the order sent; replies come in any order. A request whose link breaks completes with
/// ``SheepError/Code/unavailable``: it may or may not have been executed, or still be on its way. It is executed no more once
/// anything has come by a newer connection of the same run, so what is sent again is never overtaken by itself.
package protocol PeerNetwork: AnyObject {
    var delegate: (any PeerNetworkDelegate)? { get set }
    /// Keeps links to exactly these peers; a changed boot id or address drops the old link.
    func keepLinks(to peers: [Peer])
    /// Gives up the connection to this peer as if it had broken, and makes a new one at once.
    func renewLink(to node: NodeID)
    /// Rises with whatever comes from this peer by the link to it. A ping may stand behind megabytes of other requests, so that
    /// anything is answered shows that the link works.
    func arrivals(from node: NodeID) -> UInt64
    /// True when the link to the peer's present run is up.
    func isLinked(to node: NodeID) -> Bool
    func send(
        _ operation: Operation, body: [UInt8], payload: ByteBuffer?, to node: NodeID, completion: @escaping PeerCompletion)
}

package protocol PeerNetworkDelegate: AnyObject {
    func linked(to node: NodeID)
    /// The link broke; the peer's process may have ended.
    func unlinked(from node: NodeID)
    /// A request of another sheep. `reply` is called exactly once, perhaps later.
    func received(
        _ operation: Operation, body: [UInt8], payload: ByteBuffer, from node: NodeID, boot: BootID,
        reply: @escaping PeerCompletion)
}

/// The parts of the world that a sheep runs in: real ones in the `sheep` program, simulated ones in tests.
package protocol NodeEnvironment {
    associatedtype StoreDisk: Disk
    associatedtype Engine: ClusterEngine
    associatedtype Network: PeerNetwork
    associatedtype Clock: NodeClock
}

/// What an operator may set.
package struct NodeOptions: Sendable {
    package var address: NodeAddress
    /// Where other sheep are to reach this one first (`-i`).
    package var dataAddress: NodeAddress?
    package var zone: UInt32?
    package var virtualNodes: UInt16?
    /// How long a request waits for enough in-sync members before it fails; 0: for ever. Nanoseconds.
    package var inputOutputTimeout: UInt64 = 30_000_000_000
    /// Down for so long, a node is taken out and its share is rebuilt elsewhere; 0: at once. Nanoseconds.
    package var downOut: UInt64 = 300_000_000_000
    /// A lease unused for so long goes back; one that the clients of one other gateway alone used goes to that one. Nanoseconds.
    package var leaseUnused: UInt64 = 30_000_000_000
    /// Every acknowledgement means durable (`--durability=always`).
    package var alwaysDurable = false
    /// In so long everything here is read and compared once; 0: never by itself. Nanoseconds.
    package var scrubPeriod: UInt64 = 7 * 86_400_000_000_000
    /// Bytes a second that the first pass reads while no client wants anything.
    package var scrubRate: UInt64 = 16 << 20
    /// Syncs nothing (`-n`): a power cut may lose or tear anything written lately.
    package var neverSyncs = false
    /// What recovery may begin at most (`-R`); `dog node recovery set-throttle` changes it later.
    package var recoveryThrottle = RecoveryThrottle.none

    package init(address: NodeAddress, zone: UInt32? = nil, virtualNodes: UInt16? = nil) {
        (self.address, self.zone, self.virtualNodes) = (address, zone, virtualNodes)
    }

    package var isGateway: Bool { virtualNodes == 0 }
}
