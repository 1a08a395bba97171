import Authentication
import CLinux
import Cluster
import FrontendKit
import Gateway
import Glibc
import LocalEngine
import Logging
import NIOCore
import NIOPosix
import ObjectModel
import ObjectStore
import SheepProtocol
import Transport

/// The real world: files, the machine's folder, sockets, the clock.
enum RealEnvironment: NodeEnvironment {
    typealias StoreDisk = FileDisk
    typealias Engine = LocalEngine
    typealias Network = PeerLinks
    typealias Clock = NodeLoop
}

extension NodeLoop: EngineLoop {
    package func schedule(afterNanoseconds delay: UInt64, _ work: @escaping () -> Void) { schedule(after: delay, work) }
}

/// One sheep process: builds its services in order, runs them, ends them in the opposite order.
///
/// `@unchecked Sendable`: made and told to stop by the main thread, everything else happens on the loop.
final class Sheep: @unchecked Sendable {
    private let options: SheepOptions
    private let folder: StoreFolder
    private let key: ClusterKey?
    private let logger: Logger
    private let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    private let loop: NodeLoop
    private var disk: FileDisk?
    private var store: ObjectStore<FileDisk>?
    private var node: SheepNode<RealEnvironment>?
    private var listener: Listener<RealEnvironment>?
    private var readBoard: SharedReadBoard?
    private var frontends: [any Frontend] = []
    private var isStopping = false
    /// Called once, from the loop, when the process may end.
    private let finished: @Sendable (NodeEnd) -> Void

    init(options: SheepOptions, folder: StoreFolder, key: ClusterKey?, logger: Logger, finished: @escaping @Sendable (NodeEnd) -> Void) {
        (self.options, self.folder, self.key, self.logger, self.finished) = (options, folder, key, logger, finished)
        loop = NodeLoop(eventLoop: group.next())
    }

    // MARK: Start, on the main thread

    /// Store, engine, node, listener, front-ends: returns when all of them listen and the sheep begins to join.
    func start() throws(SheepError) {
        let report = try onLoop { self.openStore($0) }
        try onLoop { self.makeNode(report, $0) }
        // Whatever cannot listen shows before the others hear of this sheep; clients wait until it serves.
        for frontend in frontends { try frontend.start() }
        loop.post { [self] in node?.start() }
    }

    /// Begins something on the loop and waits for its outcome.
    private func onLoop<Outcome: Sendable>(
        _ body: @escaping @Sendable (@escaping @Sendable (Result<Outcome, SheepError>) -> Void) -> Void
    ) throws(SheepError) -> Outcome {
        let promise = loop.eventLoop.makePromise(of: Result<Outcome, SheepError>.self)
        loop.post { body { promise.succeed($0) } }
        do {
            return try promise.futureResult.wait().get()
        } catch {
            throw error as? SheepError ?? SheepError(.unknown, "\(error)")
        }
    }

    /// Tables that were not written back when the machine or the process died are made anew for so long before the sheep joins: no client's
    /// write waits for it until then. Nanoseconds.
    private static let longestVerification: UInt64 = 500_000_000

    /// A disk that does not answer keeps no sheep from starting. A gateway, which compares nothing, leaves its store in doubt: closing it must
    /// not end the intents of the run before.
    private func verifySuspects(_ done: @escaping () -> Void) {
        guard let store, !options.node.isGateway else { return done() }
        var isDone = false
        let once = {
            if isDone { return }
            isDone = true
            done()
        }
        let end = loop.now() + Self.longestVerification
        loop.schedule(after: Self.longestVerification, once)
        store.verifySuspects(while: { [loop] in loop.now() < end }, completion: once)
    }

    private func openStore(_ done: @escaping @Sendable (Result<StartReport, SheepError>) -> Void) {
        do throws(DiskError) {
            let disk = try FileDisk(path: folder.path) { [loop] work in loop.post(work) }
            self.disk = disk
            var configuration = StoreConfiguration()
            configuration.rebuild = options.rebuild
            ObjectStore.open(disk: disk, configuration: configuration) { [self] result in
                store = try? result.get().0
                if case .success(let (_, report)) = result, report.wasRebuilt {
                    logger.critical("the store's metadata were damaged: it is empty now, disk \(report.identity.disk), and is filled from others")
                }
                verifySuspects { done(result.map(\.1)) }
            }
        } catch {
            done(.failure(SheepError(.inputOutput, "cannot open the store \(folder.path): \(error.text)")))
        }
    }

    private func makeNode(_ report: StartReport, _ done: @escaping @Sendable (Result<Void, SheepError>) -> Void) {
        do throws(SheepError) {
            let directory = try LocalEngineDirectory.resolve(option: options.engineDirectory, store: options.store)
            if options.restoreLog { try LogRestoration(store: folder.path, directory: directory, logger: logger).perform() }
            let engine = try LocalEngine(node: report.identity.node, directory: directory, loop: loop)
            // Whoever restores from now on sees that this sheep runs.
            if options.restoreLog { directory.folder.directory.unlock() }
            let boot = BootID(rawValue: .random(in: 1 ... .max))
            let network = PeerLinks(loop: loop, node: report.identity.node, boot: boot, key: key, logger: logger)
            let node = SheepNode<RealEnvironment>(
                identity: report.identity.node, boot: boot, options: options.node, clock: loop, network: network, engine: engine,
                store: options.node.isGateway ? nil : store, report: options.node.isGateway ? nil : report,
                lostPower: folder.lostPower, random: { .random(in: .min ... .max) }, logger: logger)
            node.control.copy = try logCopy()
            self.node = node
            node.ended = { [unowned self] in nodeEnded($0) }
            node.joined = { [unowned self] in folder.noteMachine() }
            let volumes = VolumeDirectory(node: node)
            let listener = Listener(
                node: node, directory: volumes, loop: loop, logger: logger,
                admission: Admission(key: key, sheepdogClients: options.admitLegacy))
            self.listener = listener
            offerShortCircuitReads(node, listener)
            frontends = makeFrontends(
                options, node: node, directory: volumes, listener: listener, eventLoop: loop.eventLoop, logger: logger)
            listen(listener, options.listenAddresses[...]) { error in
                done(error.map { .failure($0) } ?? .success(()))
            }
        } catch {
            done(.failure(error))
        }
    }

    /// Clients that come by the unix socket in the store may read there by themselves. On the loop, whose end is the board's.
    private func offerShortCircuitReads(_ node: SheepNode<RealEnvironment>, _ listener: Listener<RealEnvironment>) {
        guard node.store != nil, let disk, let shared = SharedReadBoard.make(boot: node.boot) else { return }
        (readBoard, node.readBoard) = (shared, shared.board)
        listener.shortCircuit = ShortCircuitOffer(board: shared.path, store: disk.pathForOthers, boot: node.boot)
    }

    private func logCopy() throws(SheepError) -> LogCopy {
        do throws(EngineFailure) {
            return try LogCopy(in: folder.path) { [logger] in logger.error("\($0)") }
        } catch { throw SheepError(.inputOutput, error.text) }
    }

    private func listen(
        _ listener: Listener<RealEnvironment>, _ addresses: ArraySlice<NodeAddress>, _ completion: @escaping (SheepError?) -> Void
    ) {
        guard let address = addresses.first else { return completion(nil) }
        listener.start(host: address.host, port: Int(address.port)) { [self] error in
            if let error { return completion(error) }
            listen(listener, addresses.dropFirst(), completion)
        }
    }

    // MARK: The end, on the loop

    /// An orderly leave (SIGTERM): clients first, then the leases, then the store; the others learn of it at once.
    func stop() { loop.post { self.beginStop(.stopped) } }

    private func beginStop(_ end: NodeEnd) {
        guard !isStopping, let node else { return }
        isStopping = true
        logger.info("stopping")
        stopFrontends { [self] in
            listener?.stop()
            guard node.isServing else { return closeStore(end) }
            node.releaseAll { [self] in
                node.leave { [self] in closeStore(end) }
            }
            // What cannot be drained (too few copies) does not keep a stopping sheep for ever.
            loop.schedule(after: 10_000_000_000) { [self] in closeStore(end) }
        }
    }

    private func stopFrontends(_ completion: @escaping () -> Void) {
        guard let frontend = frontends.popLast() else { return completion() }
        frontend.stop { [self] in stopFrontends(completion) }
    }

    private var isClosing = false

    private func closeStore(_ end: NodeEnd) {
        guard !isClosing else { return }
        isClosing = true
        node?.end(end)
        guard let store else { return finished(end) }
        store.close { [self] error in
            if let error { logger.error("the store could not be closed cleanly: \(error.message)") } else { folder.noteCleanEnd() }
            finished(end)
        }
    }

    private func nodeEnded(_ end: NodeEnd) {
        if isStopping { return }
        isStopping = true
        switch end {
        // What clients still wait for must not be answered by a later run: their connections end with the process.
        case .calledDown: finished(end)
        case .failed(let reason):
            logger.critical("\(reason)")
            finished(end)
        case .stopped:
            stopFrontends { [self] in
                listener?.stop()
                closeStore(end)
            }
        }
    }
}
