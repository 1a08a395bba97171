import CLinux
import Glibc
package import ObjectModel

/// A ``ReadBoard`` in memory that other processes of the machine can look at.
///
/// It says as well whether the sheep's process lives. Where a dead sheep's locks prove its death, others take over its volumes at once, whatever is
/// left of its lease: so the mark of its end must come before the locks go, see `clinux_life_begin`.
package final class SharedReadBoard {
    package let board: ReadBoard
    private let descriptor: Int32

    private init(memory: UnsafeMutableRawPointer, descriptor: Int32) {
        (board, self.descriptor) = (ReadBoard(memory: memory), descriptor)
    }

    /// What ``make(boot:)`` made stays mapped: the kernel writes there when the thread ends.
    deinit { if descriptor < 0 { munmap(board.memory, ReadBoard.size) } }

    private static func map(_ descriptor: Int32, _ protection: Int32) -> UnsafeMutableRawPointer? {
        let memory = mmap(nil, ReadBoard.size, protection, MAP_SHARED, descriptor, 0)
        return memory == MAP_FAILED ? nil : memory
    }

    /// The clocks of another time namespace count from another moment: leases of there mean nothing here.
    private static var clockNamespace: UInt64 {
        var status = stat()
        return stat("/proc/self/ns/time", &status) == 0 ? UInt64(status.st_ino) : 0
    }

    // MARK: The sheep's

    /// A board of this process, for as long as the calling thread runs. Nil: the system has none to give, and clients read through the sheep.
    package static func make(boot: BootID) -> SharedReadBoard? {
        let descriptor = clinux_memory_file("sheep-reads", ReadBoard.size)
        guard descriptor >= 0 else { return nil }
        guard let memory = map(descriptor, PROT_READ | PROT_WRITE) else {
            close(descriptor)
            return nil
        }
        let shared = SharedReadBoard(memory: memory, descriptor: descriptor)
        guard clinux_life_begin(memory + ReadBoard.lifeOffset) == 0 else { return nil }
        _ = ReadBoard(memory: memory, boot: boot, clock: clockNamespace)
        return shared
    }

    /// Where others find it while this process runs.
    package var path: String { "/proc/\(getpid())/fd/\(descriptor)" }

    // MARK: The reader's

    /// The board of another process, by its path. Nil: it is not there, or not that of this run.
    package static func find(_ path: String, boot: BootID) -> SharedReadBoard? {
        // Whatever else may have that path is only named by this, not opened.
        let place = clinux_open(path, clinux_o_path() | O_CLOEXEC, 0)
        guard place >= 0 else { return nil }
        defer { close(place) }
        var status = stat()
        guard fstat(place, &status) == 0, status.st_mode & S_IFMT == S_IFREG else { return nil }
        let descriptor = clinux_open("/proc/self/fd/\(place)", O_RDONLY | O_CLOEXEC, 0)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        guard clinux_is_memory_file(descriptor, ReadBoard.size) != 0, let memory = map(descriptor, PROT_READ) else { return nil }
        let shared = SharedReadBoard(memory: memory, descriptor: -1)
        return shared.board.isOf(boot, clock: clockNamespace) && shared.isAlive ? shared : nil
    }

    /// The sheep has not ended: nobody has the proof of its death yet.
    package var isAlive: Bool { clinux_life_lasts(board.memory + ReadBoard.lifeOffset) != 0 }

    /// What was read before this call, and vouched for by the stamp, is what the sheep would answer now.
    package func vouches(for stamp: ReadStamp) -> Bool { board.vouches(for: stamp, at: clinux_boottime_ns()) && isAlive }
}
