// What holds at every moment of every run
// 1. An index has one entry for all nodes and all time, and the state after it is the same everywhere, by entries or by snapshot.
// 2. When anybody first calls an entry committed, a majority of the voters before it has it on its disk; of those after it too.
// 3. A log that is adopted for a view has all that was committed in lower views.
// 4. No node speaks for a view below one that it has told a promise of, not even after a restart.
// 5. A look that ended has seen all that anybody knew to be committed when it began.
// 6. A request that one node proposed once is in the log at most once.
import ObjectModel
import Viewstamped

/// Knows everything and trusts nobody.
final class LogChecker {
    private let world: World
    /// What has been called committed, from index 1.
    private(set) var entries: [LogEntry] = []
    /// The view in which each was, and the state's digest after it.
    private var views: [View] = []
    private var digests: [UInt64] = [0]
    private var state = LogApplication()
    private(set) var voters: [NodeID]
    /// The stores of all nodes that ever were; a lost one as it was.
    var stores: [NodeID: LogStore] = [:]
    private var promisesTold: [NodeID: View] = [:]
    /// Requests that are proposed by one run of one node only.
    var singleRequests: Set<UInt64> = []
    private var seenRequests: Set<UInt64> = []
    var viewsOpened: Set<View> = []

    init(world: World, voters: [NodeID]) { (self.world, self.voters) = (world, voters) }

    var end: Int { entries.count }

    // MARK: Committed

    func committed(_ entry: LogEntry, at index: LogIndex, by node: String, view: View) {
        let place = Int(index.rawValue) - 1
        guard place >= entries.count else {
            if entries[place] != entry { world.fail("two entries at one index: \(node) has another at \(index)") }
            return
        }
        guard place == entries.count else {
            return world.fail("a gap: \(node) delivers entry \(index) after \(entries.count)")
        }
        checkMajority(entry, at: index, node)
        if let request = entry.request, !seenRequests.insert(request).inserted, singleRequests.contains(request) {
            world.fail("a request twice: entry \(index) repeats what was proposed once")
        }
        entries.append(entry)
        views.append(view)
        state.apply(entry, at: index)
        digests.append(state.digest)
        if case .voters(let change) = entry { voters = Self.voters(voters, after: change) }
    }

    private func checkMajority(_ entry: LogEntry, at index: LogIndex, _ node: String) {
        var deciding = [voters]
        if case .voters(let change) = entry { deciding.append(Self.voters(voters, after: change)) }
        for voters in deciding {
            let having = voters.count { voter in
                guard let log = stores[voter]?.durable else { return false }
                return log.base.index >= index || log.entry(index) == entry
            }
            if having <= voters.count / 2 {
                world.fail("no majority: \(node) calls entry \(index) committed, \(having) of \(voters.count) voters have it on disk")
            }
        }
    }

    static func voters(_ voters: [NodeID], after change: VoterChange) -> [NodeID] {
        switch change {
        case .add(let node): Array(Set(voters + [node])).sorted()
        case .remove(let node): voters.filter { $0 != node }
        }
    }

    func checkState(_ application: LogApplication, at index: LogIndex, of node: String) {
        guard index.rawValue < digests.count else { return world.fail("\(node) restores entry \(index), which nobody committed") }
        if digests[Int(index.rawValue)] != application.digest { world.fail("states differ: \(node) after entry \(index)") }
    }

    // MARK: Views

    func adopted(_ log: StoredLog, for view: View, by node: String) {
        viewsOpened.insert(view)
        for (place, entry) in entries.enumerated() where views[place] < view {
            let index = LogIndex(rawValue: UInt64(place) + 1)
            guard index > log.base.index else { continue }
            if log.entry(index) != entry {
                return world.fail("a committed entry is missing: \(index) of view \(views[place]) in what \(node) adopts for view \(view)")
            }
        }
    }

    func sent(_ message: Message, by node: NodeID, _ name: String) {
        guard let view = message.spokenFor else { return }
        if let told = promisesTold[node], view < told {
            world.fail("a broken promise: \(name) speaks for view \(view) after it promised \(told)")
        }
        if case .promise = message { promisesTold[node] = max(promisesTold[node] ?? .zero, view) }
    }

    // MARK: Looks

    func lookEnded(startedAt known: Int, delivered: LogIndex, by node: String) {
        if Int(delivered.rawValue) < known {
            world.fail("a stale look: \(node) saw \(delivered) entries, \(known) were committed when its look began")
        }
    }
}

extension Message {
    /// The view that the sender takes part in by this.
    var spokenFor: View? {
        switch self {
        case .promise(let message): message.view
        case .status(let message): message.view
        case .logReply(let message): message.view
        case .append(let message): message.view
        case .heartbeat(let message): message.view
        case .promiseRequest(let message): message.view
        case .refusal, .logRequest, .proposal, .proposalRefusal, .lookRequest, .lookReply: nil
        }
    }
}
