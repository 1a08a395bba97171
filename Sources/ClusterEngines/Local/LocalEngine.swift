package import Cluster
package import ObjectModel

/// The engine of one machine: sheep meet in a folder, nothing is installed, a file is the log.
///
/// Invariants:
/// - An entry is delivered only after an fdatasync that began after this process saw it; the first delivery from a
///   segment also after an fsync of the folder. So nobody acts on what a power cut could take back.
/// - Nobody locks the log: a process stopped at any point blocks nobody. What it does when it goes on is harmless:
///   a late record loses its index, a late segment has lost its name, and a process whose segment has been removed
///   starts again from the newest snapshot.
/// - The entry after a seal is written only to the segment whose predecessor ends with that seal.
///
/// `@unchecked Sendable`: all state is touched on the loop only; other threads carry references to it for ``EngineLoop/post(_:)``.
package final class LocalEngine: ClusterEngine, @unchecked Sendable {
    /// How often a segment ends and how much space is kept for it.
    package struct Limits: Sendable {
        /// A segment with more bytes of records than this, and more than its snapshot has, is ended.
        package var sealAfter: UInt64
        /// Bytes reserved for records; what is above `sealAfter` is for set changes while the disk is full.
        /// 12 MiB hold some 60,000 of 200 bytes.
        package var reserve: UInt64
        package init(sealAfter: UInt64 = 4 << 20, reserve: UInt64 = 16 << 20) { (self.sealAfter, self.reserve) = (sealAfter, reserve) }
    }

    enum Phase { case created, running, failed, stopped }

    /// Between two looks that nothing else asks for; a fifth of the node lease.
    static let lookInterval: UInt64 = 200_000_000
    /// How long the log may stand at its end for want of space before the engine gives up.
    static let spacePatience: UInt64 = 30_000_000_000
    /// A process that dies closes its files shortly before its locks go.
    static let lockReleaseDelay: UInt64 = 5_000_000

    package weak var delegate: (any ClusterEngineDelegate)?

    let node: NodeID
    let folder: LogFolder
    let loop: any EngineLoop
    let limits: Limits
    let worker = WorkerThread()
    var locks: AliveLocks?
    private var watcher: FolderWatcher?

    private(set) var phase = Phase.created
    var queue = DeliveryQueue()
    /// The last entry given to the delegate.
    var delivered = LogIndex.zero
    private var isCaughtUp = false
    private var alive: Set<NodeID> = []

    /// The segment being read; nil until there is one.
    var segment: Segment?
    /// The name of `segment` may not be durable yet.
    var folderNeedsSync = false
    /// An entry that came while the last segment was sealed and the next was not there.
    var unwritten: LogRecord?
    var rotation = Rotation()

    /// Takes the node's liveness lock (waits up to 2 s for those who probe it) and refuses a second sheep with the same identity.
    /// The process must not fork after this without exec.
    package init(
        node: NodeID, directory: LocalEngineDirectory, loop: any EngineLoop, limits: Limits = Limits()
    ) throws(SheepError) {
        (self.node, folder, self.loop, self.limits) = (node, directory.folder, loop, limits)
        locks = try AliveLocks(folder, node: node, loop: loop)
    }

    deinit { stop() }

    package var lastLookStarted: UInt64 { phase == .stopped ? 0 : queue.lastLookStarted ?? 0 }

    package func start() {
        precondition(phase == .created)
        phase = .running
        watcher = FolderWatcher(path: folder.directory.path) { [weak self, loop] in
            loop.post { [weak self] in self?.folderChanged() }
        }
        do throws(EngineFailure) { try folder.removeDraft(of: node.description) } catch { return fail(error) }
        loop.schedule(afterNanoseconds: 0) { [weak self] in self?.tick() }
    }

    package func stop() {
        guard phase != .stopped else { return }
        phase = .stopped
        watcher?.stop()
        // A successor with the same identity uses the same name for its draft, so the lock goes last.
        worker.run { [locks, draft = rotation.draft] in
            if case .ready(let draft) = draft { draft.discard() }
            locks?.release()
        }
        worker.stop()
        (locks, segment, unwritten) = (nil, nil, nil)
    }

    /// Ends the engine's work with a reason for the operator; its liveness lock stays until ``stop()``.
    func fail(_ reason: EngineFailure) {
        guard phase == .running else { return }
        phase = .failed
        delegate?.engineFailed(reason.text)
    }

    // MARK: Looking and delivering

    package func look() {
        guard phase == .running else { return }
        let started = loop.now()
        do throws(EngineFailure) {
            let reachedEnd = try readToEnd()
            if reachedEnd { queue.looked(startedAt: started) }
            settle()
            if reachedEnd { try writeUnwritten() }
        } catch { fail(error) }
    }

    /// Starts a sync when something waits for one, and tells when the start is over.
    private func settle() {
        if let covered = queue.beginSync(), let file = segment?.file {
            sync(file, withFolder: folderNeedsSync, covering: covered)
            folderNeedsSync = false
        }
        if !isCaughtUp, queue.lastLookStarted != nil {
            isCaughtUp = true
            delegate?.caughtUp()
        }
    }

    private func sync(_ file: OpenFile, withFolder: Bool, covering covered: Int) {
        worker.run { [folder, loop] in
            let failure: EngineFailure?
            do throws(EngineFailure) {
                try file.syncData()
                if withFolder { try folder.sync() }
                failure = nil
            } catch { failure = error }
            loop.post { self.synced(covered, failure) }
        }
    }

    private func synced(_ covered: Int, _ failure: EngineFailure?) {
        guard phase == .running else { return }
        if let failure { return fail(failure) }
        for item in queue.synced(covered) {
            deliver(item)
            guard phase == .running else { return }
            queue.delivered()
        }
        look()
    }

    private func deliver(_ item: DeliveryQueue.Item) {
        switch item {
        case .entry(let index, let payload):
            precondition(index == delivered.next)
            delivered = index
            delegate?.committed(index: index, payload: payload)
        case .restored(let index, let snapshot):
            precondition(index >= delivered)
            delivered = index
            delegate?.restored(index: index, snapshot: snapshot)
        }
    }

    // MARK: Appending

    package func append(_ payload: [UInt8], at index: LogIndex) {
        precondition(!payload.isEmpty && payload.count <= maximumControlPayload)
        precondition(index <= delivered.next, "an entry can only follow what was delivered")
        guard phase == .running, index == delivered.next, unwritten?.index != index else { return }
        unwritten = LogRecord(index: index, payload: payload)
        look()
    }

    /// Writes the waiting entry once there is a segment to take it and nobody else's entry was seen in its place.
    private func writeUnwritten() throws(EngineFailure) {
        guard let record = unwritten, let segment, !segment.isSealed else { return }
        unwritten = nil
        guard record.index == segment.next else {
            precondition(record.index < segment.next)
            return
        }
        try segment.append(record)
        look()
        considerSealing()
    }

    // MARK: Timer and hints

    private func tick() {
        guard phase == .running else { return }
        loop.schedule(afterNanoseconds: Self.lookInterval) { [weak self] in self?.tick() }
        do throws(EngineFailure) {
            try folder.checkInPlace()
            try locks?.checkInPlace()
        } catch { return fail(error) }
        look()
        trySealing()
        checkLiveness()
    }

    private func folderChanged() {
        guard phase == .running, let changes = watcher?.take() else { return }
        if changes.contains(.log) { look() }
        if changes.contains(.liveness) {
            loop.schedule(afterNanoseconds: Self.lockReleaseDelay) { [weak self] in self?.checkLiveness() }
        }
    }

    private func checkLiveness() {
        guard phase == .running, let locks else { return }
        do throws(EngineFailure) {
            let now = try locks.alive()
            let gone = alive.subtracting(now).sorted()
            alive = now
            for node in gone where phase == .running { delegate?.suspects(node) }
        } catch { fail(error) }
    }

    // MARK: Questions

    package func proveDead(_ node: NodeID, completion: @escaping (Bool) -> Void) {
        loop.schedule(afterNanoseconds: 0) { [self] in
            let isDead = phase == .running && locks?.isFree(node) == true
            completion(isDead)
            // From now on its end is noticed.
            if !isDead { checkLiveness() }
        }
    }

    package var reachedBefore: LogIndex? { nil }
    package func joined() {}

    /// A free lock is all the proof there is, and enough.
    package func sight(of run: BootID, of node: NodeID) -> RunSight { .running }

    package func isStopped(_ node: NodeID) -> Bool { locks?.isStopped(node) ?? false }

    package func show(_ report: [UInt8]) {
        if phase == .running { locks?.show(report) }
    }

    package func shown() -> [NodeID: [UInt8]] { phase == .running ? locks?.shown() ?? [:] : [:] }

    package func aliveNodes(completion: @escaping ([NodeID]) -> Void) {
        loop.schedule(afterNanoseconds: 0) { [self] in
            guard phase == .running, let locks else { return completion([]) }
            do throws(EngineFailure) {
                let now = try locks.alive()
                alive.formUnion(now)
                completion(now.sorted())
            } catch {
                completion([])
                fail(error)
            }
        }
    }
}
