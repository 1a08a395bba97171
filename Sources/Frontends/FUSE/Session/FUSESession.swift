import CFuse3
import Glibc
import NIOCore
import NIOPosix
import ObjectModel

/// A mount: libfuse's threads take requests from the kernel and hand them to the event loop.
///
/// `@unchecked Sendable`: the threads read constants only; the rest is touched on the loop.
final class FUSESession: @unchecked Sendable {
    private let eventLoop: any EventLoop
    private let handle: (FUSEOperation, FUSERequest) -> Void
    private let forget: (UInt64, UInt64) -> Void
    private var pointer: OpaquePointer!
    /// What may block: unmounting, and notices to the kernel.
    private let threads = NIOThreadPool(numberOfThreads: 2)
    /// Taken from the kernel and not answered.
    private var underWay = 0
    private var ended: (() -> Void)?
    private var isOver = false

    /// The closures are called on the event loop.
    init(
        configuration: FUSEConfiguration, eventLoop: any EventLoop, handle: @escaping (FUSEOperation, FUSERequest) -> Void,
        forget: @escaping (_ inode: UInt64, _ count: UInt64) -> Void
    ) throws(SheepError) {
        (self.eventLoop, self.handle, self.forget) = (eventLoop, handle, forget)
        let options = cfuse_options(
            allow_other: configuration.allowOther, writeback: configuration.pageCache, debug: configuration.debug,
            threads: configuration.threads)
        var operations = Self.operations
        pointer = cfuse_create(&operations, Unmanaged.passUnretained(self).toOpaque(), options)
        guard pointer != nil else { throw SheepError(.invalidArgument, "libfuse refused the options; it says why above") }
        threads.start()
    }

    func mount(on path: String) throws(SheepError) {
        guard cfuse_mount(pointer, path) == 0 else {
            throw SheepError(.inputOutput, "cannot mount on \(path): is it a directory of yours, and /dev/fuse there?")
        }
    }

    /// Serves on threads of its own; calls back on the loop when the file system is unmounted and all is answered.
    func serve(ended: @escaping () -> Void) {
        self.ended = ended
        let thread = Thread { [self] in
            _ = cfuse_serve(pointer)
            eventLoop.execute { [self] in
                isOver = true
                endIfDone()
            }
        }
        thread.start()
    }

    /// Runs what may block.
    func onThread(_ body: @escaping @Sendable () -> Void) { threads.submit { if case .active = $0 { body() } } }

    /// See `cfuse_grow`; calls back on the loop.
    func tellGrowth(of inode: UInt64, to size: UInt64, completion: @escaping () -> Void) {
        nonisolated(unsafe) let completion = completion
        underWay += 1
        threads.submit { [self] _ in
            cfuse_grow(pointer, inode, size)
            eventLoop.execute { [self] in
                completion()
                answered()
            }
        }
    }

    // MARK: Requests

    fileprivate func received(_ operation: FUSEOperation, _ raw: OpaquePointer) {
        let request = FUSERequest(raw: raw, session: self)
        eventLoop.execute { [self] in
            underWay += 1
            handle(operation, request)
        }
    }

    fileprivate func forgotten(_ inode: UInt64, _ count: UInt64) {
        eventLoop.execute { [self] in forget(inode, count) }
    }

    func answered() {
        underWay -= 1
        if isOver { endIfDone() }
    }

    /// Answers need the session: it is freed after the last of them.
    private func endIfDone() {
        guard underWay == 0, let ended else { return }
        self.ended = nil
        cfuse_destroy(pointer)
        pointer = nil
        threads.shutdownGracefully { _ in }
        ended()
    }

    /// For a session that was never mounted.
    func discard() {
        cfuse_destroy(pointer)
        threads.shutdownGracefully { _ in }
    }
}

/// A thread that libfuse may keep until the file system is unmounted.
private struct Thread {
    private final class Body {
        let run: () -> Void
        init(_ run: @escaping () -> Void) { self.run = run }
    }

    private let body: Body
    init(_ run: @escaping () -> Void) { body = Body(run) }

    func start() {
        var thread = pthread_t()
        let result = pthread_create(&thread, nil, { argument in
            Unmanaged<Body>.fromOpaque(argument!).takeRetainedValue().run()
            return nil
        }, Unmanaged.passRetained(body).toOpaque())
        precondition(result == 0, "no thread for the file system")
        pthread_detach(thread)
    }
}

// MARK: - What libfuse calls, on its threads

private func receive(_ context: UnsafeMutableRawPointer?, _ request: OpaquePointer?, _ operation: FUSEOperation) {
    Unmanaged<FUSESession>.fromOpaque(context!).takeUnretainedValue().received(operation, request!)
}

extension FUSESession {
    fileprivate static var operations: cfuse_operations {
        var operations = cfuse_operations()
        operations.lookup = { receive($0, $1, .lookup(parent: $2, name: String(cString: $3!))) }
        operations.forget = { Unmanaged<FUSESession>.fromOpaque($0!).takeUnretainedValue().forgotten($1, $2) }
        operations.get_attributes = { receive($0, $1, .attributes($2)) }
        operations.set_attributes = { context, request, inode, changes in
            let size = changes.size ? changes.new_size : nil
            let wanted = FUSEChanges(size: size, permissions: changes.permissions, isThroughHandle: changes.through_handle)
            receive(context, request, .change(inode, wanted))
        }
        operations.open = { receive($0, $1, .open($2, flags: $3)) }
        operations.read = { receive($0, $1, .read($2, handle: $3, offset: $5, length: $4)) }
        operations.write = { context, request, inode, handle, bytes, size, offset, flags in
            let data = ByteBuffer(bytes: UnsafeRawBufferPointer(start: bytes, count: size))
            receive(context, request, .write(inode, handle: handle, offset: offset, data: data, durable: flags & O_DSYNC != 0))
        }
        operations.sync = { receive($0, $1, .sync($2)) }
        operations.allocate = { receive($0, $1, .allocate($2, mode: $3, offset: $4, length: $5)) }
        operations.seek = { receive($0, $1, .seek($2, offset: $3, whence: $4)) }
        operations.release = { receive($0, $1, .release($2, handle: $3)) }
        operations.open_directory = { receive($0, $1, .openDirectory($2)) }
        operations.read_directory = { receive($0, $1, .readDirectory(handle: $2, offset: $4, length: $3)) }
        operations.release_directory = { receive($0, $1, .releaseDirectory(handle: $2)) }
        return operations
    }
}
