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

    // MARK: The sheep's

    /// A board of this process, for as long as the calling thread runs. Nil: the system has none to give, and clients read through the sheep.
    package static func make(boot: BootID) -> SharedReadBoard? {
        let descriptor = clinux_memory_file("sheep-reads")
        guard descriptor >= 0 else { return nil }
        guard ftruncate(descriptor, off_t(ReadBoard.size)) == 0, let memory = map(descriptor, PROT_READ | PROT_WRITE) else {
            close(descriptor)
            return nil
        }
        let shared = SharedReadBoard(memory: memory, descriptor: descriptor)
        guard clinux_life_begin(memory + ReadBoard.lifeOffset) == 0 else { return nil }
        _ = ReadBoard(memory: memory, boot: boot)
        return shared
    }

    /// Where others find it while this process runs.
    package var path: String { "/proc/\(getpid())/fd/\(descriptor)" }

    // MARK: The reader's

    /// The board of another process, by its path. Nil: it is not there, or not that of this run.
    package static func find(_ path: String, boot: BootID) -> SharedReadBoard? {
        // Whatever else may have that path must not hold this up.
        let descriptor = clinux_open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK, 0)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG, status.st_size == ReadBoard.size,
            let memory = map(descriptor, PROT_READ)
        else { return nil }
        let shared = SharedReadBoard(memory: memory, descriptor: -1)
        return shared.board.isOf(boot) && shared.isAlive ? shared : nil
    }

    /// The sheep has not ended: nobody has the proof of its death yet.
    package var isAlive: Bool { clinux_life_lasts(board.memory + ReadBoard.lifeOffset) != 0 }

    /// What was read before this call, and vouched for by the stamp, is what the sheep would answer now.
    package func vouches(for stamp: ReadStamp) -> Bool { board.vouches(for: stamp, at: clinux_boottime_ns()) && isAlive }
}
