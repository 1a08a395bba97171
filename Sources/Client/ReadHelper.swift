import CLinux
import Glibc
import NIOPosix
import ObjectModel
package import ObjectStore
import Synchronization

/// A thread beside the event loop for reads of the store's files.
///
/// Of long ones it takes a part: to make checksums of a megabyte takes about as long as to copy it, and another processor is often idle
/// meanwhile. Where none is, the event loop does all of it. Short ones that are not in memory it has fetched from the disk, while the loop looks for
/// them: a quick disk answers sooner than the sheep and its threads are woken. The loop itself never calls what may wait for a disk.
package final class ReadHelper {
    /// A part of what is shorter is not worth waking a thread for. Bytes.
    private static var shortestShared: Int { 512 << 10 }
    /// Nanoseconds that a piece does not take, unless its thread has no processor.
    private static var longestWait: UInt64 { 200_000 }
    /// Reads that are done without it after that.
    private static var rest: Int { 64 }
    /// What is longer is not fetched: the sheep reads its parts side by side. Bytes.
    private static var longestFetched: Int { 32 << 10 }
    /// Nanoseconds; a disk that takes longer is better waited for asleep.
    private static var longestFetch: UInt64 { 250_000 }
    private static var longestFetchRest: Int { 1024 }
    /// Of a thread that waits for a disk no more is asked.
    private static var mostQueued: Int { 2 }

    /// Nil: not needed so far, or of no use.
    private var thread: NIOThreadPool?
    private let queue = WorkQueue()
    private var resting = sysconf(Int32(_SC_NPROCESSORS_ONLN)) > 1 ? 0 : Int.max
    /// Reads to come for which nothing is fetched, and how many those were the last time.
    private var (fetchResting, lastFetchRest) = (0, 0)

    package init() {}
    deinit { thread?.shutdownGracefully { _ in } }

    /// Reads whole blocks as ``ShortCircuitObject/read(at:into:)`` does; while `mayWait` says so, what is not in memory may be waited for a moment.
    package func read(
        _ object: ShortCircuitObject, at offset: Int, into buffer: UnsafeMutableRawBufferPointer, whileWaiting mayWait: () -> Bool
    ) -> Bool {
        guard buffer.count >= Self.shortestShared, queue.count < Self.mostQueued else {
            return object.read(at: offset, into: buffer) || fetch(object, at: offset, into: buffer, mayWait)
        }
        guard resting == 0 else {
            if resting < .max { resting -= 1 }
            return object.read(at: offset, into: buffer)
        }
        let read = SharedRead(object, at: offset, into: buffer)
        submit { read.work() }
        read.work()
        if read.waitForOthers() > Self.longestWait { resting = Self.rest }
        return read.isGood
    }

    private func fetch(
        _ object: ShortCircuitObject, at offset: Int, into buffer: UnsafeMutableRawBufferPointer, _ mayWait: () -> Bool
    ) -> Bool {
        guard buffer.count <= Self.longestFetched, object.canFetch, resting < .max, queue.count < Self.mostQueued, mayWait() else { return false }
        guard fetchResting == 0 else {
            fetchResting -= 1
            return false
        }
        // It does not change, and its file may be read by several threads at once.
        nonisolated(unsafe) let object = object
        let range = offset..<offset + buffer.count
        submit { object.fetch(range) }
        let start = clinux_boottime_ns()
        repeat {
            if object.read(at: offset, into: buffer) {
                lastFetchRest = 0
                return true
            }
            guard mayWait() else { return false }
        } while clinux_boottime_ns() - start < Self.longestFetch
        lastFetchRest = min(max(1, 2 * lastFetchRest), Self.longestFetchRest)
        fetchResting = lastFetchRest
        return false
    }

    private func submit(_ work: @escaping @Sendable () -> Void) {
        let queue = queue
        queue.began()
        started().submit { _ in
            work()
            queue.ended()
        }
    }

    private func started() -> NIOThreadPool {
        if let thread { return thread }
        let new = NIOThreadPool(numberOfThreads: 1)
        new.start()
        thread = new
        return new
    }
}

/// How much a thread was asked to do and has not done.
private final class WorkQueue: Sendable {
    private let waiting = Atomic<Int>(0)

    var count: Int { waiting.load(ordering: .relaxed) }
    func began() { waiting.add(1, ordering: .relaxed) }
    func ended() { waiting.subtract(1, ordering: .relaxed) }
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
