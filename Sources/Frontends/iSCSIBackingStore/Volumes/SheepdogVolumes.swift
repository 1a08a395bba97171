package import FrontendKit
package import ObjectModel

/// A volume or snapshot as Sheepdog's clients know it.
package struct SheepdogVolume: Hashable, Sendable {
    package enum State: Hashable, Sendable {
        case working
        case snapshot
        /// It is deleted, and its volume goes on under that name: a rollback put another in its place, or it was a snapshot.
        case replaced(by: String)
        case deleted
    }

    package var vid: VID
    /// Tells it from another that had its VID before.
    package var birth: Birth
    package var family: Family
    package var state: State
    /// Empty when deleted, also when replaced.
    package var name: String
    package var tag: String
    /// 1, 2, 3… per name; the working volume has the highest.
    package var snapshotID: UInt32
    /// Nanoseconds since 1970; 0: no snapshot.
    package var createdAt, snapshotAt: UInt64
    /// Bytes.
    package var size: UInt64
    package var objectShift: ObjectShift
    package var copies: UInt8
    package var parent: VID?
    /// Of a deleted snapshot the next of its volume that lives. It shows what the snapshot showed, but for what was written since.
    package var heir: VID?

    package init(
        vid: VID, birth: Birth, family: Family, state: State, name: String, tag: String = "", snapshotID: UInt32 = 1,
        createdAt: UInt64, snapshotAt: UInt64 = 0, size: UInt64, objectShift: ObjectShift = .standard, copies: UInt8,
        parent: VID? = nil, heir: VID? = nil
    ) {
        (self.vid, self.birth, self.family, self.state) = (vid, birth, family, state)
        (self.name, self.tag, self.snapshotID) = (name, tag, snapshotID)
        (self.createdAt, self.snapshotAt) = (createdAt, snapshotAt)
        (self.size, self.objectShift, self.copies, self.parent) = (size, objectShift, copies, parent)
        self.heir = heir
    }

    package var isWorking: Bool { state == .working }
    package var isDeleted: Bool { switch state { case .working, .snapshot: false; case .replaced, .deleted: true } }
    package var objectCount: UInt64 { (size + UInt64(objectShift.objectSize) - 1) >> UInt64(objectShift.rawValue) }
}

/// Neighbouring objects that a volume shows and that are of the same volume: its own, or an ancestor's.
package struct SlotRun: Hashable, Sendable {
    package var first: UInt32
    package var count: UInt32
    package var vid: VID

    package init(first: UInt32, count: UInt32, vid: VID) { (self.first, self.count, self.vid) = (first, count, vid) }
}

package struct SheepdogNode: Hashable, Sendable {
    package var host: String
    package var port: UInt16
    package var virtualNodes: UInt16
    package var zone: UInt32
    /// Bytes; 0: not known.
    package var space: UInt64
    /// Where it listens for other sheep, if that is another network.
    package var data: Address?

    package struct Address: Hashable, Sendable {
        package var host: String
        package var port: UInt16
        package init(host: String, port: UInt16) { (self.host, self.port) = (host, port) }
    }

    package init(
        host: String, port: UInt16, virtualNodes: UInt16, zone: UInt32, space: UInt64 = 0, data: Address? = nil
    ) {
        (self.host, self.port, self.virtualNodes, self.zone) = (host, port, virtualNodes, zone)
        (self.space, self.data) = (space, data)
    }
}

/// Sheepdog's lock on a volume: of one sheep's client, or shared by those of up to 31.
package struct SheepdogLock: Hashable, Sendable {
    package var isShared: Bool
    /// In the order in which they came.
    package var owners: [SheepdogNode]

    package init(isShared: Bool, owners: [SheepdogNode]) { (self.isShared, self.owners) = (isShared, owners) }
}

package struct SheepdogEpoch: Hashable, Sendable {
    package var epoch: UInt32
    /// Nanoseconds since 1970.
    package var time: UInt64
    package var nodes: [SheepdogNode]

    package init(epoch: UInt32, time: UInt64, nodes: [SheepdogNode]) {
        (self.epoch, self.time, self.nodes) = (epoch, time, nodes)
    }
}

/// The cluster; before its format with zeros and without epochs.
package struct SheepdogCluster: Hashable, Sendable {
    /// Nanoseconds since 1970.
    package var createdAt: UInt64 = 0
    /// Defaults for new volumes.
    package var copies: UInt8 = 0
    package var objectShift: UInt8 = 0
    /// Sheepdog's cluster flags.
    package var flags: UInt16 = 0
    package var engine = "local"
    /// Newest first.
    package var epochs: [SheepdogEpoch] = []

    package init() {}

    package var epoch: UInt32 { epochs.first?.epoch ?? 0 }
    /// ``Opcode/lockVolume`` takes locks.
    package var usesLocks: Bool { flags & 8 != 0 }
}

package enum SheepdogReadiness: Hashable, Sendable {
    case serving
    case waitingForFormat
    case waitingForNodes
    case shuttingDown
}

/// A block device that several clients share, and that can also take a trim back.
package protocol SheepdogDevice: BlockDevice {
    /// The volume is not to be deleted while this is set; not so at first.
    var isAttached: Bool { get set }

    /// The same volume for one more client: when that one is gone (``abandon()``), what it had asked for goes with it, and nobody else's.
    /// What a power cut took of acknowledged writes is told once to all of them together.
    func forAnotherClient() -> Self

    /// Trims the range, which lies in one object, after the delay, unless a change of that object is under way here or comes before,
    /// through whatever door, or ``SheepdogVolumes/keepDiscarded(ofVolumeNamed:)`` does. Where that cannot be known it is not done.
    /// Without promise: space alone depends on it. Completes, always, when every change that is asked for from then on ends it, or when it
    /// will not be done.
    func trimUnlessChanged(
        at offset: UInt64, length: UInt64, afterNanoseconds delay: UInt64, completion: @escaping () -> Void)
}

/// What the front-end needs beyond the data of a volume: names and VIDs, the tree, and what changes them.
///
/// Everything happens on the sheep's event loop: calls are made there and completions come there, perhaps before the call
/// returns. Queries without a completion answer as far as the control log is applied here; ``whenCurrent(_:)`` sees to it that
/// this is all that was acknowledged anywhere.
package protocol SheepdogVolumes<Device>: AnyObject {
    associatedtype Device: SheepdogDevice

    /// Has changed when a query may have another answer than before.
    var revision: UInt64 { get }
    var readiness: SheepdogReadiness { get }
    var cluster: SheepdogCluster { get }
    /// Nodes that are up, sorted by address and port.
    var nodes: [SheepdogNode] { get }
    /// Of the volumes that are locked.
    var locks: [VID: SheepdogLock] { get }
    /// Where this sheep keeps its objects, and its bytes in all and free; zeros for a gateway.
    var space: (path: String, total: UInt64, free: UInt64) { get }

    func whenCurrent(_ action: @escaping () -> Void)
    /// Deleted ones too, as long as something needs them.
    func volume(_ vid: VID) -> SheepdogVolume?
    /// The working volume of a name.
    func volume(named name: String) -> SheepdogVolume?
    /// Living snapshots of a name, oldest first.
    func snapshots(ofVolumeNamed name: String) -> [SheepdogVolume]
    /// Of everything that ``volume(_:)`` knows.
    var allVolumes: [SheepdogVolume] { get }

    /// The data of a working volume or of a snapshot; of what is deleted, now or later, every read fails; of a snapshot with `noSuchSnapshot`.
    func open(_ volume: SheepdogVolume) throws(SheepError) -> Device
    /// Forgets the trims that wait in all volumes of that one's family: a snapshot may be about to be deleted.
    func keepDiscarded(ofVolumeNamed name: String)
    /// The objects that the volume shows, of those indices, in order: each under the VID of the oldest of it and its ancestors that lives
    /// and shows it.
    func objects(
        of volume: SheepdogVolume, indices: Range<UInt32>, completion: @escaping (Result<[SlotRun], SheepError>) -> Void)

    /// Copies and object shift 0: the cluster's defaults.
    func create(
        name: String, size: UInt64, copies: UInt8, objectShift: UInt8,
        completion: @escaping (Result<SheepdogVolume, SheepError>) -> Void)
    func clone(
        _ snapshot: SheepdogVolume, name: String, copies: UInt8,
        completion: @escaping (Result<SheepdogVolume, SheepError>) -> Void)
    /// The completion gets the working volume, which has another VID from now on.
    func snapshot(
        _ volume: SheepdogVolume, tag: String, completion: @escaping (Result<SheepdogVolume, SheepError>) -> Void)
    func delete(_ volume: SheepdogVolume, completion: @escaping (SheepError?) -> Void)
    /// Volumes only grow.
    func resize(_ volume: SheepdogVolume, to size: UInt64, completion: @escaping (SheepError?) -> Void)
    func rename(_ volume: SheepdogVolume, to name: String, completion: @escaping (SheepError?) -> Void)

    /// Sheepdog's lock, for this sheep's clients: shared with other sheep, or for this one alone and once.
    func lock(_ volume: SheepdogVolume, shared: Bool, completion: @escaping (SheepError?) -> Void)
    func unlock(_ volume: SheepdogVolume, completion: @escaping (SheepError?) -> Void)
}
