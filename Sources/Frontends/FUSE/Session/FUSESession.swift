import CFuse3
import FrontendKit
import Glibc
import NIOCore
import NIOPosix
import ObjectModel

/// A mount: takes requests from the kernel on the event loop, and answers them.
///
/// NIO's loop watches the device like a pipe: each read of it is one request. A process that asks for one thing after the other finds the
/// loop awake: after a lone request it looks for the answer, and after a lone answer for the next request, for a moment each, before it
/// sleeps (see ``NextRequestPoll``).
///
/// `@unchecked Sendable`: all state is touched on the loop only; the threads that may block carry references to it back to the loop.
final class FUSESession: @unchecked Sendable {
    private let eventLoop: any EventLoop
    private let handle: (FUSEOperation, FUSERequest) -> Void
    private let forget: (UInt64, UInt64) -> Void
    private let awaitAnswer: () -> Bool
    private var pointer: OpaquePointer!
    private var device: CInt = -1
    /// The same, for the loop.
    private var watched: CInt = -1
    private var mountPoint = ""
    /// What may block: unmounting, and notices to the kernel.
    private let threads = NIOThreadPool(numberOfThreads: 2)
    private var isTaking = false
    private var takesSoon = false
    private var nextRequest = NextRequestPoll()
    /// The request that is taken just now; long data is a slice of it.
    private var received = ByteBuffer()
    /// Taken from the kernel and not answered.
    private var underWay = 0
    private var ended: (() -> Void)?
    private var isOver = false

    /// The closures are called on the event loop.
    init(
        configuration: FUSEConfiguration, eventLoop: any EventLoop, handle: @escaping (FUSEOperation, FUSERequest) -> Void,
        forget: @escaping (_ inode: UInt64, _ count: UInt64) -> Void, awaitAnswer: @escaping () -> Bool
    ) throws(SheepError) {
        (self.eventLoop, self.handle, self.forget, self.awaitAnswer) = (eventLoop, handle, forget, awaitAnswer)
        let options = cfuse_options(
            allow_other: configuration.allowOther, writeback: configuration.pageCache, debug: configuration.debug)
        var operations = Self.operations
        pointer = cfuse_create(&operations, Unmanaged.passUnretained(self).toOpaque(), options)
        guard pointer != nil else { throw SheepError(.invalidArgument, "libfuse refused the options; it says why above") }
        threads.start()
    }

    func mount(on path: String) throws(SheepError) {
        guard cfuse_mount(pointer, path) == 0 else {
            throw SheepError(.inputOutput, "cannot mount on \(path): is it a directory of yours, and /dev/fuse there?")
        }
        device = cfuse_device(pointer)
        // The channel closes its own descriptor, and the session its.
        watched = fcntl(device, F_DUPFD_CLOEXEC, 0)
        guard watched >= 0 else {
            _ = cfuse_unmount(path, true)
            throw SheepError(.inputOutput, "cannot mount on \(path): no more files can be open; raise the limit (ulimit -n)")
        }
        mountPoint = path
    }

    /// Serves from now on; calls back on the loop when the file system is unmounted and all is answered.
    func serve(ended: @escaping () -> Void) {
        self.ended = ended
        NIOPipeBootstrap(group: eventLoop)
            .channelOption(.recvAllocator, value: FixedSizeRecvByteBufferAllocator(capacity: cfuse_longest_request()))
            .channelInitializer { [self] channel in
                channel.eventLoop.makeCompletedFuture { try channel.pipeline.syncOperations.addHandler(FUSEDeviceHandler(self)) }
            }
            .takingOwnershipOfDescriptor(input: watched)
            .whenFailure { [self, mountPoint] _ in
                // A mount that nobody serves would hold up who comes to it.
                onThread { [self] in
                    _ = cfuse_unmount(mountPoint, true)
                    eventLoop.execute { [self] in over() }
                }
            }
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

    // MARK: Taking requests

    /// Others on the loop are let go on after so many.
    private static let mostInATurn = 32

    /// A request that the loop has read.
    fileprivate func came(_ request: consuming ByteBuffer) {
        guard !isOver else { return }
        isTaking = true
        received = request
        process()
        isTaking = false
    }

    /// The file system is unmounted, or the device gives nothing any more.
    fileprivate func over() {
        isOver = true
        if !isTaking { endIfDone() }
    }

    /// Takes what there is without waiting for the loop to look, and a lone process's next request.
    fileprivate func take() {
        guard !isTaking, !isOver else { return }
        isTaking = true
        var tries = 0
        taking: while tries < Self.mostInATurn {
            tries += 1
            switch takeRequest() {
            case let size where size > 0: process()
            case -Int(EAGAIN): if !comesAtOnce() { break taking }
            // 0: unmounted. Anything else would come again and again.
            default:
                isOver = true
                break taking
            }
        }
        isTaking = false
        if isOver { return endIfDone() }
        // The loop looks at the device again after the others.
        if tries == Self.mostInATurn { return }
        // With an answer at hand the loop's next turn is near.
        if underWay > 0 { _ = awaitAnswer() }
    }

    private func takeSoon() {
        guard !takesSoon else { return }
        takesSoon = true
        eventLoop.assumeIsolated().execute { [self] in
            takesSoon = false
            take()
        }
    }

    /// Bytes of a request in ``received``, or what `cfuse_receive` says else.
    private func takeRequest() -> Int {
        var result = 0
        received.clear()
        received.writeWithUnsafeMutableBytes(minimumWritableBytes: cfuse_longest_request()) { space in
            result = cfuse_receive(pointer, space.baseAddress)
            return max(0, result)
        }
        return result
    }

    private func process() {
        received.withUnsafeReadableBytes { bytes in
            cfuse_process(pointer, UnsafeMutableRawPointer(mutating: bytes.baseAddress), bytes.count)
        }
    }

    /// Data of the request that is taken just now: long ones stay where they are, short ones would keep a megabyte from others.
    fileprivate func data(_ bytes: UnsafePointer<CChar>?, _ size: Int) -> ByteBuffer {
        let data = UnsafeRawBufferPointer(start: bytes, count: size)
        guard size >= Self.longData, let start = data.baseAddress else { return ByteBuffer(bytes: data) }
        return received.withUnsafeReadableBytes { received.getSlice(at: start - $0.baseAddress!, length: size) } ?? ByteBuffer(bytes: data)
    }

    private static let longData = 32 << 10

    /// One request is under way, and the kernel has no other.
    func isAskedForNothingElse() -> Bool { underWay == 1 && !SystemCall.isReadable(device) }

    /// Nothing is under way, and the next request follows the last answer at once.
    private func comesAtOnce() -> Bool { underWay == 0 && nextRequest.wait(for: device) }

    // MARK: Requests

    fileprivate func received(_ operation: FUSEOperation, _ raw: OpaquePointer) {
        underWay += 1
        handle(operation, FUSERequest(raw: raw, session: self))
    }

    fileprivate func forgotten(_ inode: UInt64, _ count: UInt64) { forget(inode, count) }

    func answered() {
        underWay -= 1
        if isOver { return endIfDone() }
        if !isTaking { takeSoon() }
    }

    /// Answers need the session: it is freed after the last of them.
    private func endIfDone() {
        guard underWay == 0, !isTaking, let ended else { return }
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

/// What the loop reads from the device.
private final class FUSEDeviceHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    private let session: FUSESession
    init(_ session: FUSESession) { self.session = session }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) { session.came(unwrapInboundIn(data)) }
    func channelReadComplete(context: ChannelHandlerContext) { session.take() }
    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
    func channelInactive(context: ChannelHandlerContext) { session.over() }
}

// MARK: - What libfuse calls while it processes a request

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
            let data = Unmanaged<FUSESession>.fromOpaque(context!).takeUnretainedValue().data(bytes, size)
            receive(context, request, .write(inode, handle: handle, offset: offset, data: data, FUSEWriteAnswer(openFlags: flags)))
        }
        operations.sync = { receive($0, $1, .sync($2, handle: $3)) }
        operations.allocate = { receive($0, $1, .allocate($2, mode: $3, offset: $4, length: $5)) }
        operations.seek = { receive($0, $1, .seek($2, offset: $3, whence: $4)) }
        operations.release = { receive($0, $1, .release($2, handle: $3)) }
        operations.open_directory = { receive($0, $1, .openDirectory($2)) }
        operations.read_directory = { receive($0, $1, .readDirectory(handle: $2, offset: $4, length: $3)) }
        operations.release_directory = { receive($0, $1, .releaseDirectory(handle: $2)) }
        operations.space = { receive($0, $1, .space) }
        return operations
    }
}
