import CLinux
import Glibc
import ObjectModel

/// The folder of a sheep's data: made when missing, locked while a sheep uses it.
struct StoreFolder {
    let path: String
    /// The machine restarted since a sheep with this folder last joined its cluster, and it did not end in an orderly way before: what was
    /// only in the page cache is gone.
    let lostPower: Bool

    init(path: String) throws(SheepError) {
        self.path = path
        try Self.make(path)
        try Self.lock(path + "/lock")
        let (last, current) = (Self.read(path + "/machine"), Self.read(Self.machine))
        lostPower = last != nil && last != Self.ended && last != current
        // Before anything is written that a power cut could take.
        if !lostPower, last != current, let current { try Self.write(current, to: path + "/machine", in: path) }
    }

    private static let machine = "/proc/sys/kernel/random/boot_id"

    /// In the place of the machine's id: the sheep ended in an orderly way. As long as an id, so that it fits where that is, on a full disk too.
    private static let ended = Array("ended in order".utf8) + Array(repeating: UInt8(ascii: " "), count: 22) + [UInt8(ascii: "\n")]

    /// The cluster knows of a restart of the machine; the next one will be told by comparison with this one. When it cannot
    /// be noted, the sheep counts as restarted once more, which is only careful.
    func noteMachine() {
        guard let machine = Self.read(Self.machine), machine != Self.read(path + "/machine") else { return }
        try? Self.write(machine, to: path + "/machine", in: path)
    }

    /// Everything is on the disk: a restart of the machine takes nothing away, unless the cluster has yet to be told of one before.
    func noteCleanEnd() {
        guard let machine = Self.read(Self.machine), machine == Self.read(path + "/machine") else { return }
        try? Self.write(Self.ended, to: path + "/machine", in: path)
    }

    private static func failure(_ what: String) -> SheepError {
        SheepError(.inputOutput, "\(what): \(String(cString: strerror(errno)))")
    }

    private static func make(_ path: String) throws(SheepError) {
        var parents: [String] = []
        var current = path
        while mkdir(current, 0o700) != 0 {
            if errno == EEXIST { break }
            guard errno == ENOENT, let slash = current.lastIndex(of: "/"), slash != current.startIndex else {
                throw failure("cannot make \(current)")
            }
            parents.append(current)
            current = String(current[..<slash])
        }
        for parent in parents.reversed() where mkdir(parent, 0o700) != 0 && errno != EEXIST { throw failure("cannot make \(parent)") }
    }

    /// Held until the process ends; a sheep that starts itself anew gets it back.
    private static func lock(_ path: String) throws(SheepError) {
        let file = clinux_open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard file >= 0 else { throw failure("cannot open \(path)") }
        // LOCK_EX | LOCK_NB
        guard clinux_flock(file, 2 | 4) == 0 else {
            throw SheepError(.busy, "another sheep uses this store (\(path) is locked): stop it, or name another store")
        }
    }

    private static func read(_ path: String) -> [UInt8]? {
        let file = clinux_open(path, O_RDONLY | O_CLOEXEC, 0)
        guard file >= 0 else { return nil }
        defer { close(file) }
        var bytes = [UInt8](repeating: 0, count: 256)
        let count = Glibc.read(file, &bytes, bytes.count)
        return count > 0 ? Array(bytes.prefix(count)) : nil
    }

    /// In place, within one sector, and durable.
    private static func write(_ bytes: [UInt8], to path: String, in folder: String) throws(SheepError) {
        let file = clinux_open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0o600)
        guard file >= 0 else { throw failure("cannot open \(path)") }
        defer { close(file) }
        guard pwrite(file, bytes, bytes.count, 0) == bytes.count, fsync(file) == 0 else { throw failure("cannot write \(path)") }
        let directory = clinux_open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0)
        guard directory >= 0 else { throw failure("cannot open \(folder)") }
        defer { close(directory) }
        guard fsync(directory) == 0 else { throw failure("cannot sync \(folder)") }
    }
}
