import Glibc
import ObjectModel

/// Names a process of this machine well enough to look at it in /proc: by its number, its start time, for numbers are used
/// again, and the namespace that the number belongs to.
///
/// It proves nothing and is only a hint: nobody is taken for dead by it.
struct ProcessMark: Hashable, WireCodable {
    var process: Int32
    /// In clock ticks since the machine started; the same after an execve(2).
    var started: UInt64
    var namespace: UInt64

    static let own = ProcessMark(process: getpid(), started: Statistics(of: getpid())?.started ?? 0, namespace: ownNamespace)

    private static let ownNamespace: UInt64 = {
        var status = stat()
        return stat("/proc/self/ns/pid", &status) == 0 ? UInt64(status.st_ino) : 0
    }()

    /// The process lives, in a namespace that is seen from here, and was stopped by a signal or a debugger.
    var isStopped: Bool {
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
    init(from reader: inout WireReader) throws(WireError) {
        process = try reader.read()
        started = try reader.read()
        namespace = try reader.read()
    }

    func encode(to writer: inout WireWriter) {
        writer.write(process)
        writer.write(started)
        writer.write(namespace)
    }
}
