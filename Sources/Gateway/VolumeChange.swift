import Cluster
import NIOCore
import ObjectModel
import SheepProtocol

/// One change of one object on its way to all members: made by the owner, kept until every member has it.
final class VolumeChange {
    let sequence: Sequence
    let kind: ChangeKind
    let index: UInt32
    /// Bytes within the object; multiples of the block size.
    let offset: Int
    let length: Int
    let data: ByteBuffer
    let durable: Bool
    let origin: ChangeOrigin?
    let startedAt: UInt64
    /// The object may be made, copied or removed: nothing else may touch it meanwhile.
    let coversObject: Bool
    /// The members' version that it was sent under last, and that answers are for.
    var setVersion: LogIndex?
    /// Called once, when the client may be told; nil afterwards.
    var completion: ((SheepError?) -> Void)?
    /// Members that have it.
    var acknowledged: [DiskID] = []
    /// Members that were sent it and have not answered, and which of all sendings that was: the answer to one before, to a
    /// member that left and came back since, counts no more.
    var outstanding: [(disk: DiskID, sending: UInt32)] = []
    /// When each member was sent it for the first time since it is one.
    private var firstSent: [(disk: DiskID, at: UInt64)] = []
    /// Sent to a member that is nearly full alone, until that one has it.
    var isHeldBack = false
    /// Some member may have it though it did not say so: its answer was lost, or it failed halfway, or a former owner sent it.
    var mayBeSomewhere = false
    /// A member that answers so has not touched the object.
    static let leavesNothing: Set<SheepError.Code> = [.noSpace, .damaged, .stale, .notOwner, .noLease]
    /// No member has it nor is about to.
    var isOnNobody: Bool { acknowledged.isEmpty && outstanding.isEmpty && !mayBeSomewhere }
    private(set) var sendings: UInt32 = 0
    /// When it is tried again after a member refused it or could not be reached; nil: no timer runs.
    var retryDue: UInt64?
    /// The changes and reads that overlap this one and wait for it.
    var dependents: [Waiter] = []
    /// On all members (and acknowledged); only its place in the window may remain.
    var isDone = false

    init(
        sequence: Sequence, kind: ChangeKind, index: UInt32, offset: Int, length: Int, data: ByteBuffer, durable: Bool,
        origin: ChangeOrigin?, startedAt: UInt64, coversObject: Bool, completion: @escaping (SheepError?) -> Void
    ) {
        precondition(offset % blockSize == 0 && length % blockSize == 0 && length > 0)
        (self.sequence, self.kind, self.index, self.offset) = (sequence, kind, index, offset)
        (self.length, self.data, self.durable, self.origin) = (length, data, durable, origin)
        (self.startedAt, self.coversObject, self.completion) = (startedAt, coversObject, completion)
    }

    /// Notes that it is sent to a member; gives the number of the sending.
    func willSend(to disk: DiskID, now: UInt64) -> UInt32 {
        sendings += 1
        if !firstSent.contains(where: { $0.disk == disk }) { firstSent.append((disk, now)) }
        outstanding.append((disk, sendings))
        return sendings
    }

    /// False when the answer is to a sending that counts no more.
    func wasAnswered(_ disk: DiskID, sending: UInt32) -> Bool {
        guard let at = outstanding.firstIndex(where: { $0.disk == disk && $0.sending == sending }) else { return false }
        outstanding.remove(at: at)
        return true
    }

    /// The member has it, or is about to.
    func isAt(_ disk: DiskID) -> Bool { acknowledged.contains(disk) || outstanding.contains { $0.disk == disk } }

    /// For so long the member has had the change or should have.
    func age(at disk: DiskID, now: UInt64) -> UInt64 {
        guard let first = firstSent.first(where: { $0.disk == disk }), now > first.at else { return 0 }
        return now - first.at
    }

    /// When the members changed, what they did counts no more. Those that left need not have it, and those that return have copied from
    /// others. Those that stay are asked once more: a member that does not know who left might pass for the equal of that one when both
    /// come back, though it alone has the change.
    func isDriven(to set: ReplicaSet) {
        let former = setVersion
        setVersion = set.version
        guard let former, former != set.version else { return }
        if !acknowledged.isEmpty || !outstanding.isEmpty { mayBeSomewhere = true }
        (acknowledged, outstanding) = ([], [])
        firstSent.removeAll { sent in !set.inSync.contains { $0.disk == sent.disk } && !set.syncing.contains { $0.disk == sent.disk } }
    }

    func overlaps(index other: UInt32, offset otherOffset: Int, length otherLength: Int, coversObject other_: Bool) -> Bool {
        index == other
            && (coversObject || other_ || (offset < otherOffset + otherLength && otherOffset < offset + length))
    }
}

/// The changes of a volume that are not done on all members, in the order of their sequence numbers.
///
/// Bounded to ``largestCount`` changes and ``largestBytes`` of data: what comes on top waits.
struct ChangeWindow {
    static let largestCount = 1024
    static let largestBytes = 32 << 20

    private(set) var active: [VolumeChange] = []
    private(set) var bytes = 0

    var isFull: Bool { active.count >= Self.largestCount || bytes >= Self.largestBytes }
    var isEmpty: Bool { active.isEmpty }

    mutating func insert(_ change: VolumeChange) {
        precondition(active.last.map { $0.sequence < change.sequence } ?? true)
        active.append(change)
        bytes += change.data.readableBytes
    }

    /// Ends all of them: the volume is gone.
    mutating func removeAll() -> [VolumeChange] {
        defer { (active, bytes) = ([], 0) }
        return active
    }

    mutating func remove(_ change: VolumeChange) {
        guard let at = active.firstIndex(where: { $0 === change }) else { preconditionFailure("a change ended twice") }
        active.remove(at: at)
        bytes -= change.data.readableBytes
    }

    /// The youngest change that overlaps the range; whoever wants the range waits for it.
    func conflict(index: UInt32, offset: Int, length: Int, coversObject: Bool) -> VolumeChange? {
        var at = active.count
        while at > 0 {
            at -= 1
            if active[at].overlaps(index: index, offset: offset, length: length, coversObject: coversObject) { return active[at] }
        }
        return nil
    }
}

/// Ranges that the owner holds while it reads what it will write back, so that nothing changes in between.
struct RangeHolds {
    final class Hold {
        let index: UInt32
        let offset: Int
        let length: Int
        var dependents: [Waiter] = []
        init(index: UInt32, offset: Int, length: Int) { (self.index, self.offset, self.length) = (index, offset, length) }
    }

    private(set) var holds: [Hold] = []
    var isEmpty: Bool { holds.isEmpty }

    mutating func insert(_ hold: Hold) { holds.append(hold) }
    mutating func remove(_ hold: Hold) { holds.removeAll { $0 === hold } }

    func conflict(index: UInt32, offset: Int, length: Int, coversObject: Bool, except own: Hold? = nil) -> Hold? {
        if holds.isEmpty { return nil }
        return holds.last {
            $0.index == index && $0 !== own && (coversObject || ($0.offset < offset + length && offset < $0.offset + $0.length))
        }
    }
}
