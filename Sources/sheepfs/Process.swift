import Authentication
import CFuse3
import CLinux
import Client
import FUSEFrontend
import Glibc
import Logging
import NIOCore
import NIOPosix
import ObjectModel

/// The process around a mount: background, signals, the end.
enum Process {
    /// Runs until the file system is unmounted; returns the exit status.
    static func run(_ options: SheepfsOptions) -> Int32 {
        signal(SIGPIPE, SIG_IGN)
        cfuse_keep_memory()
        // For the objects of many volumes, see ``ShortCircuitReader``.
        _ = clinux_raise_file_limit()
        return options.foreground ? serve(options, ready: nil) : runInBackground(options)
    }

    // MARK: Background

    /// The parent ends with 0 when the child serves; else with the child's status.
    private static func runInBackground(_ options: SheepfsOptions) -> Int32 {
        var ends: [Int32] = [0, 0]
        guard pipe(&ends) == 0 else { return report("cannot make a pipe") }
        let child = clinux_fork()
        guard child >= 0 else { return report("cannot fork") }
        if child == 0 {
            close(ends[0])
            setsid()
            return serve(options, ready: ends[1])
        }
        close(ends[1])
        var byte: UInt8 = 1
        return read(ends[0], &byte, 1) == 1 && byte == 0 ? 0 : clinux_wait(child)
    }

    private static func report(_ text: String) -> Int32 {
        let line = Array("sheepfs: \(text)\n".utf8)
        _ = write(STDERR_FILENO, line, line.count)
        return 1
    }

    /// Tells the waiting parent, and lets go of the terminal and of the folder it was started in.
    private static func detach(_ ready: Int32) {
        _ = chdir("/")
        let null = clinux_open("/dev/null", O_RDWR, 0)
        for descriptor: Int32 in 0...2 { dup2(null, descriptor) }
        if null > 2 { close(null) }
        var byte: UInt8 = 0
        _ = write(ready, &byte, 1)
        close(ready)
    }

    // MARK: Serving

    /// More than the objects that it keeps open; see ``ShortCircuitReader``.
    private static let openFiles: Int32 = 16_384

    private static func serve(_ options: SheepfsOptions, ready: Int32?) -> Int32 {
        clinux_expand_file_table(openFiles)
        // Before any thread starts: signals wait for the main thread, which asks for them.
        var signals = sigset_t()
        sigemptyset(&signals)
        for number in [SIGTERM, SIGINT, SIGHUP, SIGUSR2] { sigaddset(&signals, number) }
        pthread_sigmask(SIG_BLOCK, &signals, nil)
        let logger = Logger(label: "sheepfs") { _ in ProcessLogHandler(isInBackground: ready != nil, logLevel: options.debug ? .debug : .info) }
        let mount: Mount
        do throws(SheepError) {
            let key = if let file = options.keyFile { try KeyFile.read(file) } else { ClusterKey?.none }
            mount = Mount(options, key: key, logger: logger) { kill(getpid(), SIGUSR2) }
            try mount.start()
        } catch {
            return report(error.message)
        }
        if let ready { detach(ready) }
        while true {
            var number: Int32 = 0
            guard sigwait(&signals, &number) == 0 else { continue }
            switch number {
            case SIGHUP: continue
            case SIGUSR2: return 0
            default: mount.stop()
            }
        }
    }
}

/// One cluster and one tree: builds them in order, ends them in the opposite order.
///
/// `@unchecked Sendable`: made and told to stop by the main thread, everything else happens on the loop.
private final class Mount: @unchecked Sendable {
    private let eventLoop: any EventLoop
    private let client: ClusterClient
    private let server: FUSEServer<ClusterBackend>
    private var isStopping = false
    /// Called once, from the loop, when the process may end.
    private let finished: @Sendable () -> Void

    init(_ options: SheepfsOptions, key: ClusterKey?, logger: Logger, finished: @escaping @Sendable () -> Void) {
        eventLoop = MultiThreadedEventLoopGroup(numberOfThreads: 1).next()
        client = ClusterClient(eventLoop: eventLoop, endpoint: options.endpoint, key: key, logger: logger)
        server = FUSEServer(
            eventLoop: eventLoop, backend: ClusterBackend(client), configuration: options.fuse, logger: logger)
        self.finished = finished
    }

    func start() throws(SheepError) {
        let connected = eventLoop.makePromise(of: ClientError?.self)
        eventLoop.execute { [self] in client.start { connected.succeed($0) } }
        if let error = try! connected.futureResult.wait() { throw SheepError(.unavailable, "\(error)") }
        server.unmounted = { [self] in finish() }
        try server.start()
    }

    func stop() {
        eventLoop.execute { [self] in
            guard !isStopping else { return }
            isStopping = true
            server.stop { [self] in finish() }
        }
    }

    private func finish() {
        client.close()
        finished()
    }
}

/// To standard error, or to the system's log once there is no terminal.
private struct ProcessLogHandler: LogHandler {
    let isInBackground: Bool
    var logLevel: Logger.Level
    var metadata: Logger.Metadata = [:]

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        if isInBackground {
            clinux_syslog("sheepfs", Self.priority(event.level), "\(event.message)")
        } else {
            let line = Array("sheepfs: \(event.message)\n".utf8)
            _ = write(STDERR_FILENO, line, line.count)
        }
    }

    private static func priority(_ level: Logger.Level) -> Int32 {
        switch level {
        case .trace, .debug: LOG_DEBUG
        case .info: LOG_INFO
        case .notice: LOG_NOTICE
        case .warning: LOG_WARNING
        case .error: LOG_ERR
        case .critical: LOG_CRIT
        }
    }
}
