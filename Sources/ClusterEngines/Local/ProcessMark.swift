import Glibc
package import ObjectModel

/// Names a process of this machine well enough to look at it in /proc: by its number, its start time, for numbers are used
/// again, and the namespace that the number belongs to.
///
/// It proves nothing and is only a hint: nobody is taken for dead by it.
package struct ProcessMark: Hashable, WireCodable {
    private var process: Int32
    /// In clock ticks since the machine started; the same after an execve(2).
    private var started: UInt64
    private var namespace: UInt64

    /// A process in this one's namespace.
    package init(of process: Int32) {
        (self.process, started, namespace) = (process, Statistics(of: process)?.started ?? 0, Self.ownNamespace)
    }

    private static let ownNamespace: UInt64 = {
        var status = stat()
        return stat("/proc/self/ns/pid", &status) == 0 ? UInt64(status.st_ino) : 0
    }()

    /// The process lives, in a namespace that is seen from here, and was stopped by a signal or a debugger.
    package var isStopped: Bool {
        guard namespace != 0, namespace == Self.ownNamespace, let now = Statistics(of: process), now.started == started else { return false }
        return now.state == UInt8(ascii: "T") || now.state == UInt8(ascii: "t")
    }

    /// From /proc/N/stat (proc_pid_stat(5)).
    private struct Statistics {
        let state: UInt8
        let started: UInt64

        init?(of process: Int32) {
            guard let file = try? OpenFile.open("/proc/\(process)/stat", O_RDONLY), let bytes = try? file.read(at: 0, count: 1024),
                // The second field is the program's name in parentheses, and may hold anything.
                let nameEnd = bytes.lastIndex(of: UInt8(ascii: ")"))
            else { return nil }
            let fields = bytes[(nameEnd + 1)...].split(separator: UInt8(ascii: " "))
            guard fields.count > 19, let state = fields[0].first, let started = UInt64(String(decoding: fields[19], as: UTF8.self))
            else { return nil }
            (self.state, self.started) = (state, started)
        }
    }
}

extension ProcessMark {
    package init(from reader: inout WireReader) throws(WireError) {
        process = try reader.read()
        started = try reader.read()
        namespace = try reader.read()
    }

    package func encode(to writer: inout WireWriter) {
        writer.write(process)
        writer.write(started)
        writer.write(namespace)
    }
}
