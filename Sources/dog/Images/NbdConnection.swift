import CNbd
import Glibc
import NIOCore
import NIOPosix
import Synchronization

/// What libnbd says of its last error on this thread.
struct NbdError: Error {
    let text: String
    static var last: NbdError { NbdError(text: nbd_get_error().map { String(cString: $0) } ?? "unknown error") }
}

/// A libnbd handle and the one thread that drives it. Commands come from anywhere, up to 16 or so at a time.
///
/// `@unchecked Sendable`: after `init` the handle is touched by the driving thread only; all else is constant or locked.
final class NbdConnection: @unchecked Sendable {
    enum Command {
        case read(offset: UInt64, length: Int)
        case write(offset: UInt64, ByteBuffer)
        case zero(offset: UInt64, length: UInt64)
        case extents(offset: UInt64, length: UInt64)
        case flush
    }

    struct Answer: Sendable {
        var data = ByteBuffer()
        var extents: [ImageExtent] = []
    }

    typealias Completion = @Sendable (Result<Answer, NbdError>) -> Void

    private struct Queue {
        var commands: [(Command, Completion)] = []
        var isClosed = false
    }

    let size: UInt64
    let isReadOnly, canZero, canFlush, tellsExtents: Bool
    private let handle: OpaquePointer
    /// Read by the driving thread, written by who has something for it.
    private let wakeRead, wakeWrite: Int32
    private let queue = Mutex(Queue())
    private let thread = NIOThreadPool(numberOfThreads: 1)

    /// Connects; blocks.
    init(uri: String) throws(NbdError) {
        guard let handle = nbd_create() else { throw NbdError.last }
        (wakeRead, wakeWrite) = Self.makePipe()
        guard nbd_add_meta_context(handle, "base:allocation") == 0, nbd_connect_uri(handle, uri) == 0,
            case let length = nbd_get_size(handle), length >= 0
        else {
            let error = NbdError.last
            nbd_close(handle)
            Glibc.close(wakeRead)
            Glibc.close(wakeWrite)
            throw error
        }
        self.handle = handle
        size = UInt64(length)
        isReadOnly = nbd_is_read_only(handle) == 1
        canZero = nbd_can_zero(handle) == 1
        canFlush = nbd_can_flush(handle) == 1
        tellsExtents = nbd_can_meta_context(handle, "base:allocation") == 1
    }

    /// Starts the driving thread; it ends, and frees the handle, after ``close()``.
    func start() {
        thread.start()
        thread.submit { _ in self.drive() }
    }

    func close() {
        // Within the lock: the thread that sees it closes the pipe.
        queue.withLock { queue in
            queue.isClosed = true
            wake()
        }
    }

    /// A full pipe has wakened the thread already.
    private func wake() {
        var byte: UInt8 = 0
        _ = write(wakeWrite, &byte, 1)
    }

    private static func makePipe() -> (Int32, Int32) {
        var ends: [Int32] = [-1, -1]
        precondition(pipe(&ends) == 0, "no descriptors left for a pipe")
        for end in ends {
            _ = fcntl(end, F_SETFL, O_NONBLOCK)
            _ = fcntl(end, F_SETFD, FD_CLOEXEC)
        }
        return (ends[0], ends[1])
    }

    func submit(_ command: Command) async throws(NbdError) -> Answer {
        let result: Result<Answer, NbdError> = await withCheckedContinuation { continuation in
            queue.withLock { $0.commands.append((command, { continuation.resume(returning: $0) })) }
            wake()
        }
        return try result.get()
    }

    // MARK: The driving thread

    private func drive() {
        var underWay: [Int64: NbdCommandUnderWay] = [:]
        while true {
            let (commands, isClosed) = queue.withLock { queue in
                defer { queue.commands = [] }
                return (queue.commands, queue.isClosed)
            }
            for (command, completion) in commands {
                let started = NbdCommandUnderWay(command, completion)
                let cookie = started.start(on: handle)
                if cookie < 0 { started.finish(.failure(.last)) } else { underWay[cookie] = started }
            }
            if isClosed && underWay.isEmpty { break }
            waitForEvents(isIdle: underWay.isEmpty)
            collect(&underWay)
        }
        nbd_shutdown(handle, 0)
        nbd_close(handle)
        Glibc.close(wakeRead)
        Glibc.close(wakeWrite)
        thread.shutdownGracefully { _ in }
    }

    private func waitForEvents(isIdle: Bool) {
        let direction = nbd_aio_get_direction(handle)
        var events: Int16 = 0
        if direction & UInt32(LIBNBD_AIO_DIRECTION_READ) != 0 { events |= Int16(POLLIN) }
        if direction & UInt32(LIBNBD_AIO_DIRECTION_WRITE) != 0 { events |= Int16(POLLOUT) }
        // A dead connection has nothing to wait for: its commands have ended with an error, which is to be collected.
        if events == 0, !isIdle { return }
        // poll(2) skips a negative descriptor.
        var polled = [
            pollfd(fd: events == 0 ? -1 : nbd_aio_get_fd(handle), events: events, revents: 0),
            pollfd(fd: wakeRead, events: Int16(POLLIN), revents: 0),
        ]
        guard poll(&polled, 2, -1) > 0 else { return }
        if polled[1].revents != 0 {
            var drained = (UInt64(0), UInt64(0))
            _ = read(wakeRead, &drained, MemoryLayout.size(ofValue: drained))
        }
        // An error of notify ends the commands under way; each tells it by itself.
        if polled[0].revents & Int16(POLLIN | POLLHUP | POLLERR) != 0 && events & Int16(POLLIN) != 0 {
            nbd_aio_notify_read(handle)
        } else if polled[0].revents & Int16(POLLOUT | POLLHUP | POLLERR) != 0 {
            nbd_aio_notify_write(handle)
        }
    }

    private func collect(_ underWay: inout [Int64: NbdCommandUnderWay]) {
        for (cookie, command) in underWay {
            let state = nbd_aio_command_completed(handle, UInt64(cookie))
            guard state != 0 else { continue }
            underWay[cookie] = nil
            command.finish(state > 0 ? .success(()) : .failure(.last))
        }
    }
}
