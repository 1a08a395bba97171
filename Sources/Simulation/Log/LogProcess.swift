import ObjectModel
import Viewstamped

/// One run of one node: the decider, the application behind it, and a client that proposes and looks.
final class LogProcess {
    /// It owns this process.
    unowned let machine: LogMachine
    let name: String
    let store: LogStore
    private let boot: BootID
    private(set) var decider: ViewstampedLog
    private(set) var application = LogApplication()
    private(set) var isAlive = true
    var pausedUntil: UInt64 = 0
    private let world: World
    private unowned let cluster: LogCluster
    private var diskFreeAt: UInt64 = 0

    /// What this node wants in the log, and the index that it was last proposed for.
    private(set) var wanted: LogEntry?
    private var wantedIndex = LogIndex.zero
    private var lookNumber: UInt64 = 0
    /// What was committed when looks under way began.
    private var looks: [UInt64: Int] = [:]

    init(machine: LogMachine, store: LogStore, cluster: LogCluster) {
        (self.machine, self.store, self.cluster, world) = (machine, store, cluster, cluster.world)
        name = "node\(machine.address)/\(store.identity.low & 0xFFFF)"
        boot = BootID(rawValue: world.random.next())
        decider = ViewstampedLog(node: store.identity, boot: boot, stored: store.durable)
    }

    func start() {
        world.log(name, "starts with \(store.durable.last) entries, promised \(store.durable.promised)")
        run { $0.started() }
        tick()
        propose()
        look()
    }

    func end() { isAlive = false }

    // MARK: Events

    /// Runs something on this process later, unless it has ended; a pause delays it.
    func later(_ delay: UInt64, _ work: @escaping () -> Void) {
        world.schedule(after: delay) { [self] in
            guard isAlive else { return }
            if pausedUntil > world.now { return later(pausedUntil - world.now, work) }
            work()
        }
    }

    func run(_ event: (inout ViewstampedLog) -> [Action]) {
        guard isAlive else { return }
        perform(event(&decider))
    }

    private func perform(_ actions: [Action]) {
        var hasMoved = false
        for action in actions {
            if cluster.crashesNow() {
                cluster.count(.crashBetweenOrders)
                return cluster.crash(machine)
            }
            switch action {
            case .persist(let record, let number): persist(record, number)
            case .send(let envelope): send(envelope)
            case .committed(let index, let entry):
                application.apply(entry, at: index)
                world.log(name, "entry \(index): \(entry)")
                cluster.checker.committed(entry, at: index, by: name, view: decider.stored.promised)
                cluster.checker.checkState(application, at: index, of: name)
                hasMoved = true
            case .restored(let snapshot):
                restore(snapshot)
                hasMoved = true
            case .lookEnded(let number): lookEnded(number)
            case .proposalRefused(_, let reason):
                world.log(name, "refused: \(reason.text)")
                cluster.counters.refusedChanges += 1
                wanted = nil
            case .foreignLog(let log, let other): world.fail("a foreign log: \(name) met \(log) of \(other)")
            case .failed(let reason): world.fail("a contradiction: \(name): \(reason)")
            }
        }
        if hasMoved { moved() }
    }

    private func persist(_ record: StoreRecord, _ number: UInt64) {
        if case .adopt(let adoption) = record {
            cluster.checker.adopted(decider.stored, for: adoption.view, by: name)
            world.log(name, "adopts view \(adoption.view) up to \(adoption.part.end)")
        }
        store.put(record, number: number)
        if cluster.planted == .commitBeforePersisted { later(0) { self.run { $0.persisted(number) } } }
        // One disk: what is written later is durable later.
        diskFreeAt = max(diskFreeAt, world.now) + world.draw(50_000...8_000_000)
        world.schedule(after: diskFreeAt - world.now) { [self] in
            guard isAlive else { return }
            store.sync(upTo: number)
            later(0) { self.run { $0.persisted(number) } }
        }
    }

    func stallDisk(for duration: UInt64) { diskFreeAt = max(diskFreeAt, world.now) + duration }

    private func send(_ envelope: Envelope) {
        cluster.checker.sent(envelope.message, by: store.identity, name)
        cluster.network.send(envelope, from: self)
    }

    private func restore(_ snapshot: LogSnapshot) {
        guard snapshot.index > .zero else { return application = LogApplication() }
        cluster.counters.restores += 1
        do {
            application = try LogApplication(wire: snapshot.payload)
            cluster.checker.checkState(application, at: snapshot.index, of: name)
        } catch { world.fail("\(name) cannot read the snapshot of entry \(snapshot.index): \(error)") }
    }

    // MARK: Time and the log's growth

    private func tick() {
        later(world.draw(cluster.tick / 20 * 19...cluster.tick / 20 * 21)) { [self] in
            run { $0.ticked() }
            tick()
        }
    }

    private func moved() {
        guard isAlive else { return }
        if decider.stored.entries.count > cluster.snapshotAfter {
            run { [application] in $0.snapshotTaken(at: $0.delivered, payload: application.wire) }
        }
        guard isAlive, let wanted, decider.delivered >= wantedIndex else { return }
        // A snapshot may hold the entry that won; then only the application knows.
        let hasWon = cluster.checker.entries.count >= Int(wantedIndex.rawValue) && cluster.checker.entries[Int(wantedIndex.rawValue) - 1] == wanted
        if hasWon { return self.wanted = nil }
        later(world.draw(0...3_000_000)) { [self] in proposeAgain() }
    }

    // MARK: The client

    private func propose() {
        later(world.draw(1_000_000...cluster.thinkTime)) { [self] in
            if wanted == nil, let entry = cluster.nextEntry(for: self) { want(entry) }
            propose()
        }
    }

    func want(_ entry: LogEntry) {
        wanted = entry
        wantedIndex = .zero
        proposeAgain()
    }

    private func proposeAgain() {
        guard let wanted, decider.delivered >= wantedIndex else { return }
        wantedIndex = decider.delivered.next
        run { $0.proposed(wanted, at: $0.delivered.next) }
    }

    private func look() {
        later(world.draw(20_000_000...300_000_000)) { [self] in
            lookNumber += 1
            looks[lookNumber] = cluster.checker.end
            run { $0.lookBegan(lookNumber) }
            look()
        }
    }

    private func lookEnded(_ number: UInt64) {
        cluster.counters.looks += 1
        guard let known = looks[number] else { return world.fail("\(name) ended look \(number), which did not begin") }
        looks = looks.filter { $0.key > number }
        cluster.checker.lookEnded(startedAt: known, delivered: decider.delivered, by: name)
    }
}
