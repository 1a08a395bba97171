import Authentication
import CLinux
import Gateway
import Glibc
import Logging
import ObjectModel
import Synchronization

/// The process around a sheep: background, pid file, signals, starting anew.
enum Daemon {
    /// Runs a sheep until it ends; returns the exit status.
    static func run(_ options: SheepOptions) -> Int32 {
        signal(SIGPIPE, SIG_IGN)
        _ = clinux_raise_file_limit()
        if options.foreground || isRestarted { return serve(options, ready: nil) }
        return runInBackground(options)
    }

    /// Set for a run that a sheep started in its own place.
    private static let restartVariable = "SHEEP_RESTARTED"
    private static var isRestarted: Bool { getenv(restartVariable) != nil }

    // MARK: Background

    /// The parent ends with 0 when the child serves; else the child's status and its text on standard error.
    private static func runInBackground(_ options: SheepOptions) -> Int32 {
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
        let count = read(ends[0], &byte, 1)
        return count == 1 && byte == 0 ? 0 : clinux_wait(child)
    }

    private static func report(_ text: String) -> Int32 {
        let line = Array("sheep: \(text)\n".utf8)
        _ = write(2, line, line.count)
        return 1
    }

    /// Tells the waiting parent, and lets go of the terminal; what a failing process still says goes to the log.
    private static func detach(_ ready: Int32, log: String) {
        let null = clinux_open("/dev/null", O_RDWR, 0)
        let last = clinux_open(log, O_WRONLY | O_APPEND | O_CREAT, 0o644)
        dup2(null, 0)
        for descriptor: Int32 in 1...2 { dup2(last < 0 ? null : last, descriptor) }
        for descriptor in [null, last] where descriptor > 2 { close(descriptor) }
        var byte: UInt8 = 0
        _ = write(ready, &byte, 1)
        close(ready)
    }

    // MARK: Serving

    /// Those that a store keeps open, and as many connections.
    private static let openFiles: Int32 = 16_384

    private static func serve(_ options: SheepOptions, ready: Int32?) -> Int32 {
        clinux_expand_file_table(openFiles)
        // Before any thread starts: signals wait for the main thread, which asks for them.
        var signals = sigset_t()
        sigemptyset(&signals)
        for number in [SIGTERM, SIGINT, SIGHUP, SIGUSR2] { sigaddset(&signals, number) }
        pthread_sigmask(SIG_BLOCK, &signals, nil)
        do throws(SheepError) {
            let key = if let file = options.keyFile { try KeyFile.read(file) } else { ClusterKey?.none }
            let folder = try StoreFolder(path: options.store)
            guard let log = LogFile(path: options.logToStandardOutput ? nil : options.logDirectory + "/sheep.log") else {
                return report("cannot open \(options.logDirectory)/sheep.log")
            }
            let level = options.logLevel
            let logger = Logger(label: "sheep") { _ in FileLogHandler(file: log, logLevel: level) }
            let outcome = Outcome()
            let sheep = Sheep(options: options, folder: folder, key: key, logger: logger) { end in
                outcome.end.withLock { $0 = end }
                kill(getpid(), SIGUSR2)
            }
            try writePidFile(options.pidFile)
            do throws(SheepError) { try sheep.start() } catch {
                if let path = options.pidFile { unlink(path) }
                throw error
            }
            logger.info("sheep serves on \(options.host):\(options.port), store \(options.store)")
            if let ready { detach(ready, log: options.logDirectory + "/sheep.log") }
            return wait(for: signals, sheep: sheep, log: log, outcome: outcome, pidFile: options.pidFile)
        } catch {
            return report(error.message)
        }
    }

    private final class Outcome: Sendable { let end = Mutex<NodeEnd?>(nil) }

    private static func writePidFile(_ path: String?) throws(SheepError) {
        guard let path else { return }
        let file = clinux_open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
        guard file >= 0 else { throw SheepError(.inputOutput, "cannot write the pid file \(path)") }
        let text = Array("\(getpid())\n".utf8)
        _ = write(file, text, text.count)
        close(file)
    }

    private static func wait(
        for signals: sigset_t, sheep: Sheep, log: LogFile, outcome: Outcome, pidFile: String?
    ) -> Int32 {
        var signals = signals
        while true {
            var number: Int32 = 0
            guard sigwait(&signals, &number) == 0 else { continue }
            switch number {
            case SIGHUP: log.reopen()
            case SIGUSR2:
                guard let end = outcome.end.withLock({ $0 }) else { continue }
                if let pidFile, end != .calledDown { unlink(pidFile) }
                return finish(end)
            default: sheep.stop()
            }
        }
    }

    private static func finish(_ end: NodeEnd) -> Int32 {
        switch end {
        case .stopped: return 0
        case .failed: return 1
        case .calledDown: return startAnew()
        }
    }

    /// The same program in the same process: all state is gone, the boot id is another.
    private static func startAnew() -> Int32 {
        setenv(restartVariable, "1", 1)
        // Sockets do not close by themselves: a listener would keep its port from the new run, a client would wait for ever.
        clinux_close_on_exec(3)
        var arguments: [UnsafeMutablePointer<CChar>?] = CommandLine.arguments.map { strdup($0) } + [nil]
        execv("/proc/self/exe", &arguments)
        return report("cannot start anew")
    }
}
