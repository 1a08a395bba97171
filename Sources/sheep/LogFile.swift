import CLinux
import Glibc
import Logging
import Synchronization

/// The sheep's log: one line an event, to a file or standard output. Lines are whole; SIGHUP opens the file anew.
final class LogFile: Sendable {
    private let path: String?
    private let descriptor: Mutex<Int32>

    /// Nil path: standard output. Nil when the file cannot be opened.
    init?(path: String?) {
        self.path = path
        guard let path else {
            descriptor = Mutex(1)
            return
        }
        let file = Self.open(path)
        guard file >= 0 else { return nil }
        descriptor = Mutex(file)
    }

    private static func open(_ path: String) -> Int32 { clinux_open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o644) }

    func reopen() {
        guard let path else { return }
        descriptor.withLock { current in
            let file = Self.open(path)
            if file >= 0 {
                close(current)
                current = file
            }
        }
    }

    func write(_ line: String) {
        var line = line
        line.withUTF8 { bytes in
            descriptor.withLock { _ = Glibc.write($0, bytes.baseAddress, bytes.count) }
        }
    }
}

struct FileLogHandler: LogHandler {
    let file: LogFile
    var logLevel: Logger.Level
    var metadata: Logger.Metadata = [:]

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        let details = metadata.merging(event.metadata ?? [:]) { $1 }
        let text = details.isEmpty ? "" : " " + details.map { "\($0)=\($1)" }.sorted().joined(separator: " ")
        file.write("\(Self.timestamp()) \(event.level.rawValue.uppercased()) \(event.message)\(text)\n")
    }

    /// Local time with milliseconds.
    private static func timestamp() -> String {
        let now = clinux_realtime_ns()
        var seconds = time_t(now / 1_000_000_000)
        var parts = tm()
        localtime_r(&seconds, &parts)
        let text = withUnsafeTemporaryAllocation(of: CChar.self, capacity: 32) { buffer in
            strftime(buffer.baseAddress, buffer.count, "%Y-%m-%d %H:%M:%S", &parts)
            return String(cString: buffer.baseAddress!)
        }
        let milliseconds = String(now / 1_000_000 % 1000)
        return "\(text).\(String(repeating: "0", count: 3 - milliseconds.count))\(milliseconds)"
    }
}
