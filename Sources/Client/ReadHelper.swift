import CLinux
import Glibc
import NIOPosix
import ObjectModel
package import ObjectStore
import Synchronization

/// A thread that takes a part of long reads: to make checksums of a megabyte takes about as long as to copy it, and another processor is often idle
/// meanwhile. Where none is, the event loop does all of it.
package final class ReadHelper {
    /// Less than this is not worth waking a thread for. Bytes.
    private static var shortest: Int { 512 << 10 }
    /// Nanoseconds that a piece does not take, unless its thread has no processor.
    private static var longestWait: UInt64 { 200_000 }
    /// Reads that are done without it after that.
    private static var rest: Int { 64 }

    /// Nil: not needed so far, or of no use.
    private var thread: NIOThreadPool?
    private var resting = sysconf(Int32(_SC_NPROCESSORS_ONLN)) > 1 ? 0 : Int.max

    package init() {}
    deinit { thread?.shutdownGracefully { _ in } }

    /// Reads whole blocks as ``ShortCircuitObject/read(at:into:)`` does.
    package func read(_ object: ShortCircuitObject, at offset: Int, into buffer: UnsafeMutableRawBufferPointer) -> Bool {
        guard buffer.count >= Self.shortest else { return object.read(at: offset, into: buffer) }
        guard resting == 0 else {
            if resting < .max { resting -= 1 }
            return object.read(at: offset, into: buffer)
        }
        let read = SharedRead(object, at: offset, into: buffer)
        started().submit { _ in read.work() }
        read.work()
        if read.waitForOthers() > Self.longestWait { resting = Self.rest }
        return read.isGood
    }

    private func started() -> NIOThreadPool {
        if let thread { return thread }
        let new = NIOThreadPool(numberOfThreads: 1)
        new.start()
        thread = new
        return new
    }
}

/// A read in pieces, which the event loop and a thread beside it take one after the other.
///
/// `@unchecked Sendable`: an object may be read by several threads at once, and each piece has a part of the buffer of its own. The thread that comes
/// too late finds no piece left, and touches nothing.
private final class SharedRead: @unchecked Sendable {
    /// Bytes; whole blocks.
    private static var pieceSize: Int { 128 << 10 }

    private let object: ShortCircuitObject
    private let offset: Int
    private let buffer: UnsafeMutableRawBufferPointer
    private let count: Int
    private let taken = Atomic<Int>(0)
    private let ended = Atomic<Int>(0)
    private let hasFailed = Atomic<Bool>(false)

    init(_ object: ShortCircuitObject, at offset: Int, into buffer: UnsafeMutableRawBufferPointer) {
        (self.object, self.offset, self.buffer) = (object, offset, buffer)
        count = (buffer.count + Self.pieceSize - 1) / Self.pieceSize
    }

    func work() {
        while true {
            let piece = taken.add(1, ordering: .relaxed).oldValue
            guard piece < count else { return }
            let start = piece * Self.pieceSize
            let part = UnsafeMutableRawBufferPointer(rebasing: buffer[start..<min(start + Self.pieceSize, buffer.count)])
            if hasFailed.load(ordering: .relaxed) || !object.read(at: offset + start, into: part) { hasFailed.store(true, ordering: .relaxed) }
            ended.add(1, ordering: .releasing)
        }
    }

    /// Waits for the one piece at most that the other has; returns how many nanoseconds that took.
    func waitForOthers() -> UInt64 {
        if ended.load(ordering: .acquiring) == count { return 0 }
        let start = clinux_boottime_ns()
        while ended.load(ordering: .acquiring) < count { sched_yield() }
        return clinux_boottime_ns() - start
    }

    /// All pieces were read; asked when all have ended.
    var isGood: Bool { !hasFailed.load(ordering: .relaxed) }
}
