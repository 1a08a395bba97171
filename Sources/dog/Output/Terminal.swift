import Glibc
import Synchronization

/// Standard output and standard error. Output is gathered and written in large pieces.
enum Terminal {
    private static let pending = Mutex<[UInt8]>([])
    private static let pendingMaximum = 1 << 16

    static func print(_ line: String) { write(line + "\n") }

    static func write(_ text: String) {
        let count = pending.withLock { bytes in
            bytes.append(contentsOf: text.utf8)
            return bytes.count
        }
        if count >= pendingMaximum { try? flush() }
    }

    /// Writes what was gathered; throws when the reader is gone or the disk is full.
    static func flush() throws {
        let bytes = pending.withLock { bytes in
            defer { bytes.removeAll(keepingCapacity: true) }
            return bytes
        }
        try bytes.withUnsafeBytes { try writeAll($0, to: STDOUT_FILENO) }
    }

    static func writeAll(_ raw: UnsafeRawBufferPointer, to descriptor: Int32) throws(CommandFailure) {
        var rest = raw
        while !rest.isEmpty {
            let count = Glibc.write(descriptor, rest.baseAddress!, rest.count)
            if count < 0 {
                if errno == EINTR { continue }
                throw CommandFailure("Failed to write the output: \(systemText(errno))")
            }
            rest = UnsafeRawBufferPointer(rebasing: rest[count...])
        }
    }

    static func printError(_ line: String) {
        try? flush()
        var line = line
        if !line.hasSuffix("\n") { line += "\n" }
        var bytes = Array(line.utf8)
        bytes.withUnsafeMutableBytes { try? writeAll(UnsafeRawBufferPointer($0), to: STDERR_FILENO) }
    }

    static var errorIsTerminal: Bool { isatty(STDERR_FILENO) == 1 }
    static var inputIsTerminal: Bool { isatty(STDIN_FILENO) == 1 }

    /// Asks a question that only "yes" answers; false without a terminal.
    static func confirm(_ question: String) -> Bool {
        guard inputIsTerminal else { return false }
        write(question + " [yes/no]: ")
        try? flush()
        return readLine() == "yes"
    }
}

func systemText(_ number: Int32) -> String { String(cString: strerror(number)) }
