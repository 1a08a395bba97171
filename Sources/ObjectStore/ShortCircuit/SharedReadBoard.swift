import CLinux
import Glibc
package import ObjectModel

/// A ``ReadBoard`` in memory that other processes of the machine can look at.
///
/// It says as well whether the sheep's process lives. Where a dead sheep's locks prove its death, others take over its volumes at once, whatever is
/// left of its lease: so the mark of its end must come before the locks go, see `clinux_life_begin`.
package final class SharedReadBoard {
    package let board: ReadBoard
    private let memory: SharedMemory

    private init(_ memory: SharedMemory, _ board: ReadBoard) { (self.memory, self.board) = (memory, board) }

    /// The clocks of another time namespace count from another moment: leases of there mean nothing here.
    private static var clockNamespace: UInt64 {
        var status = stat()
        return stat("/proc/self/ns/time", &status) == 0 ? UInt64(status.st_ino) : 0
    }

    // MARK: The sheep's

    /// A board of this process, for as long as the calling thread runs. Nil: the system has none to give, and clients read through the sheep.
    package static func make(boot: BootID) -> SharedReadBoard? {
        guard let memory = SharedMemory.make("sheep-reads", size: ReadBoard.size), let start = memory.bytes.baseAddress,
            clinux_life_begin(start + ReadBoard.lifeOffset) == 0
        else { return nil }
        // It stays mapped: the kernel writes there when the thread ends.
        _ = Unmanaged.passRetained(memory)
        return SharedReadBoard(memory, ReadBoard(memory: start, boot: boot, clock: clockNamespace))
    }

    /// Where others find it while this process runs.
    package var path: String { memory.path }

    // MARK: The reader's

    /// The board of another process, by its path. Nil: it is not there, or not that of this run.
    package static func find(_ path: String, boot: BootID) -> SharedReadBoard? {
        guard let memory = SharedMemory.find(path, size: ReadBoard.size, isWritable: false), let start = memory.bytes.baseAddress else { return nil }
        let shared = SharedReadBoard(memory, ReadBoard(memory: start))
        return shared.board.isOf(boot, clock: clockNamespace) && shared.isAlive ? shared : nil
    }

    /// The sheep has not ended: nobody has the proof of its death yet.
    package var isAlive: Bool { clinux_life_lasts(board.memory + ReadBoard.lifeOffset) != 0 }

    /// What was read before this call, and vouched for by the stamp, is what the sheep would answer now.
    package func vouches(for stamp: ReadStamp) -> Bool { board.vouches(for: stamp, at: clinux_boottime_ns()) && isAlive }
}
