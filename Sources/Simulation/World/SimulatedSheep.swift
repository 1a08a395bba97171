import Cluster
package import Gateway
import Logging
package import ObjectModel
package import ObjectStore

/// The simulated world's parts of a sheep.
package enum SimulatedEnvironment: NodeEnvironment {
    package typealias StoreDisk = SimulatedDisk
    package typealias Engine = SheepEngine
    package typealias Network = SimulatedNetwork
    package typealias Clock = SheepProcess
}

/// A machine's sheep: its disk, which outlives processes, and the process that runs now, if any.
package final class SimulatedSheep {
    let name: String
    package let identity: NodeID
    private(set) var diskIdentity: DiskID
    let options: NodeOptions
    private let world: World
    private let log: any ControlLog
    private let switchboard: Switchboard
    private(set) var disk: SimulatedDisk!
    private(set) var process: SheepProcess?
    private(set) var node: SheepNode<SimulatedEnvironment>?
    private(set) var directory: VolumeDirectory<SimulatedEnvironment>?
    private(set) var store: ObjectStore<SimulatedDisk>?
    /// What those on its machine see of the last run that had a store.
    private(set) var shared: (board: SimulatedBoard, boot: BootID)?
    private var lostPower = false
    /// The last run that joined ended in an orderly way: there is nothing that a power cut could take.
    private var endedCleanly = false
    /// Its disk is in trouble: what it says of that is no fault of the sheep's.
    var isSick = false
    private var rebuilds = false
    let clock: MachineClock
    /// Processes that ended of themselves start again by themselves, as the program does.
    var startsAnew = true

    init(number: Int, world: World, log: any ControlLog, switchboard: Switchboard, options: NodeOptions, clock: MachineClock = MachineClock()) {
        name = "sheep\(number)"
        (self.world, self.log, self.switchboard, self.options) = (world, log, switchboard, options)
        self.clock = clock
        identity = NodeID(high: UInt64(number), low: world.random.next())
        diskIdentity = DiskID(high: UInt64(number), low: world.random.next())
        makeDisk(seed: world.random.next())
    }

    private func makeDisk(seed: UInt64) {
        disk = SimulatedDisk(seed: seed) { [unowned self] delay, body in
            self.world.schedule(after: delay, in: process, body)
        }
    }

    /// An empty disk in the place of the one there was.
    func replaceDisk() {
        diskIdentity = DiskID(high: identity.high, low: world.random.next())
        makeDisk(seed: world.random.next())
    }

    /// The store cannot say what it has: it becomes a new disk.
    func startRebuilding() {
        rebuilds = true
        start()
    }

    package var isRunning: Bool { process?.isAlive ?? false }
    /// The node, once it runs.
    package var serving: SheepNode<SimulatedEnvironment>? {
        guard isRunning, let node, node.isServing else { return nil }
        return node
    }

    // MARK: Start

    func start() {
        guard !isRunning else { return }
        let process = SheepProcess(world: world, node: identity, boot: BootID(rawValue: world.random.next() | 1), machine: clock)
        self.process = process
        world.log(name, "starts, boot \(process.boot)")
        if options.isGateway { return begin(process, nil, nil) }
        var configuration = StoreConfiguration()
        (configuration.node, configuration.disk) = (identity, diskIdentity)
        if rebuilds {
            configuration.rebuild = true
            configuration.rebuiltDisk = DiskID(high: identity.high, low: world.random.next())
        }
        ObjectStore.open(disk: disk, configuration: configuration) { [self] result in
            guard self.process === process, process.isAlive, !process.isDying else { return }
            switch result {
            case .success(let (store, report)):
                (rebuilds, diskIdentity) = (false, report.identity.disk)
                begin(process, store, report)
            case .failure(let error) where isSick:
                world.log(name, "cannot open its store: \(error)")
                kill()
                world.schedule(after: 500_000_000) { [self] in start() }
            case .failure(let error): world.fail("\(name) cannot open its store: \(error)")
            }
        }
    }

    private func begin(_ process: SheepProcess, _ store: ObjectStore<SimulatedDisk>?, _ report: StartReport?) {
        let network = SimulatedNetwork(process: process, switchboard: switchboard)
        switchboard.listen(network)
        var random = SeededGenerator(seed: world.random.next())
        var logger = Logger(label: name) { [world, name] _ in TraceLogHandler(world: world, name: name) }
        logger.logLevel = .trace
        let node = SheepNode<SimulatedEnvironment>(
            identity: identity, boot: process.boot, options: options, clock: process, network: network,
            engine: SheepEngine(log.engine(for: process), process), store: store, report: report,
            lostPower: lostPower, random: { random.next() }, logger: logger)
        (self.node, self.store) = (node, store)
        if store != nil {
            let board = SimulatedBoard(boot: process.boot)
            (shared, node.readBoard) = ((board, process.boot), board.board)
        }
        directory = VolumeDirectory(node: node)
        node.ended = { [unowned self] in ended($0, of: process) }
        node.joined = { [unowned self] in if !process.isDying { (lostPower, endedCleanly) = (false, false) } }
        let apply = node.control.applied
        node.control.applied = { [world, name] entry, index, result in
            world.log(name, "entry \(index): \(entry.command) -> \(result)")
            apply?(entry, index, result)
        }
        node.start()
    }

    // MARK: End

    /// The sheep ended its run itself; the process goes on for a moment.
    private func ended(_ how: NodeEnd, of process: SheepProcess) {
        if process.isDying { return }
        world.log(name, "ended: \(how)")
        if process.isStopping { return }
        switch how {
        case .failed where isSick: break
        case .failed(let reason): world.fail("\(name) failed: \(reason)")
        case .stopped: return closeStore(process)
        case .calledDown: break
        }
        world.schedule(after: world.draw(0...2_000_000), in: process) { [self] in
            kill()
            if startsAnew { world.schedule(after: world.draw(1_000_000...100_000_000)) { [self] in start() } }
        }
    }

    /// The process dies: all its memory and connections are gone, what it wrote to the disk is there.
    func kill() {
        guard isRunning, let process else { return }
        world.log(name, "dies")
        disk.killProcess()
        vanish(process)
    }

    /// The process dies when it next changes something on its disk, after so many such calls: between two of them, or in the middle of a
    /// write. What it does in that event after it has no effect.
    func killInCall(after calls: Int, died: @escaping () -> Void) {
        guard isRunning, let process else { return }
        disk.dieInCall(after: calls) { [self] in
            guard process.isAlive else { return }
            world.log(name, "is killed in a call to its disk")
            process.isDying = true
            world.afterThisEvent { [self] in
                kill()
                died()
            }
        }
    }

    /// The run of the whole cluster is over: what it holds, and what holds it, goes.
    func forget() {
        kill()
        disk.forget()
        process = nil
    }

    /// The machine loses its power: what was not synced is lost, or torn.
    func cutPower() {
        world.log(name, "loses power")
        disk.powerCut()
        lostPower = lostPower || !endedCleanly
        if let process { vanish(process) }
    }

    private func vanish(_ process: SheepProcess) {
        process.end()
        log.stopped(identity, false)
        log.ended(process)
        switchboard.processEnded(process)
        node?.dismantle()
        (node, store, directory, shared) = (nil, nil, nil, nil)
    }

    /// The process stands still for a while: by SIGSTOP, which the engine of the others can see, or for some other reason.
    func pause(for duration: UInt64, bySignal: Bool) {
        guard isRunning, let process else { return }
        world.log(name, "\(bySignal ? "is stopped" : "stands still") for \(World.seconds(duration)) s")
        process.pausedUntil = world.now + duration
        guard bySignal else { return }
        log.stopped(identity, true)
        world.schedule(after: duration) { [self] in
            if self.process === process, process.pausedUntil <= world.now { log.stopped(identity, false) }
        }
    }

    /// SIGTERM: clients first, then the leases, then the store, as the program does it.
    func stop() {
        guard isRunning, let process, !process.isStopping else { return }
        guard let node else { return kill() }
        world.log(name, "is told to stop")
        process.isStopping = true
        drainClients(process, until: world.now + 5_000_000_000) { [self] in
            guard node.isServing else { return closeStore(process) }
            node.releaseAll {
                node.leave { [self] in closeStore(process) }
            }
            process.schedule(after: 10_000_000_000) { [self] in closeStore(process) }
        }
    }

    private func drainClients(_ process: SheepProcess, until end: UInt64, then: @escaping () -> Void) {
        if process.attached == 0 || world.now >= end { return then() }
        process.schedule(after: 1_000_000) { [self] in drainClients(process, until: end, then: then) }
    }

    private var closing: SheepProcess?

    private func closeStore(_ process: SheepProcess) {
        guard closing !== process else { return }
        closing = process
        process.isStopping = true
        node?.end(.stopped)
        guard let store else { return world.schedule(after: 1, in: process) { [self] in kill() } }
        store.close { [self] error in
            if let error, !isSick, !process.isDying { world.fail("\(name) cannot close its store: \(error)") }
            endedCleanly = error == nil && !lostPower && !process.isDying
            // Not from within the store's own call.
            world.schedule(after: 1, in: process) { [self] in kill() }
        }
    }
}

/// Sends the sheep's log into the trace.
struct TraceLogHandler: LogHandler, @unchecked Sendable {
    let world: World
    let name: String
    var logLevel = Logger.Level.trace
    var metadata: Logger.Metadata = [:]

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) { world.log(name, "\(event.level): \(event.message)") }
}
