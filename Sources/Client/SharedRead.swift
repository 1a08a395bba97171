import Glibc
import NIOPosix
import ObjectModel
import ObjectStore
import Synchronization

/// A long read in pieces, which the event loop and a thread beside it take one after the other: to make checksums of a megabyte takes about as long
/// as to copy it, and another processor is often idle meanwhile. Where it is not, the loop does all of them.
///
/// `@unchecked Sendable`: an object's reads may overlap, and each piece has a part of the buffer of its own. The thread that comes too late finds
/// no piece left, and touches nothing.
final class SharedRead: @unchecked Sendable {
    /// Bytes; whole blocks.
    private static var pieceSize: Int { 128 << 10 }
    /// Less than this is not worth waking a thread for. Bytes.
    private static var shortest: Int { 512 << 10 }

    private let object: ShortCircuitObject
    private let offset: Int
    private let buffer: UnsafeMutableRawBufferPointer
    private let count: Int
    private let taken = Atomic<Int>(0)
    private let ended = Atomic<Int>(0)
    private let hasFailed = Atomic<Bool>(false)

    private init(_ object: ShortCircuitObject, at offset: Int, into buffer: UnsafeMutableRawBufferPointer) {
        (self.object, self.offset, self.buffer) = (object, offset, buffer)
        count = (buffer.count + Self.pieceSize - 1) / Self.pieceSize
    }

    /// Reads whole blocks as ``ShortCircuitObject/read(at:into:)`` does, with the help of a thread where they are many.
    static func read(_ object: ShortCircuitObject, at offset: Int, into buffer: UnsafeMutableRawBufferPointer, helper: NIOThreadPool) -> Bool {
        guard buffer.count >= shortest else { return object.read(at: offset, into: buffer) }
        let read = SharedRead(object, at: offset, into: buffer)
        helper.submit { _ in read.work() }
        read.work()
        // The thread has one piece at most.
        while read.ended.load(ordering: .acquiring) < read.count { sched_yield() }
        return !read.hasFailed.load(ordering: .relaxed)
    }

    private func work() {
        while true {
            let piece = taken.add(1, ordering: .relaxed).oldValue
            guard piece < count else { return }
            let start = piece * Self.pieceSize
            let part = UnsafeMutableRawBufferPointer(rebasing: buffer[start..<min(start + Self.pieceSize, buffer.count)])
            if hasFailed.load(ordering: .relaxed) || !object.read(at: offset + start, into: part) { hasFailed.store(true, ordering: .relaxed) }
            ended.add(1, ordering: .releasing)
        }
    }
}
