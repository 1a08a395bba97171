import Glibc
import NIOCore
import NIOPosix

/// The file of one backend.
struct BackendFile {
    let descriptor: Int32
    let size: Int64
    let sync: Bool

    init(path: String, size: Int64, sync: Bool) throws(RelayError) {
        descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw .systemCall("open \(path)", errno) }
        guard ftruncate(descriptor, off_t(size)) == 0 else { throw .systemCall("ftruncate \(path)", errno) }
        self.size = size
        self.sync = sync
    }

    func write(_ header: RelayHeader, payloadAt index: Int, of buffer: ByteBuffer) throws(RelayError) {
        let (end, overflow) = header.offset.addingReportingOverflow(UInt64(header.length))
        guard !overflow, end <= UInt64(size) else { throw .refused("a write behind the end of the file") }
        let written = buffer.withUnsafeReadableBytes { bytes in
            pwrite(descriptor, bytes.baseAddress! + index - buffer.readerIndex, Int(header.length), off_t(header.offset))
        }
        guard written == Int(header.length) else { throw .systemCall("pwrite", errno) }
    }

    func makeDurable() throws(RelayError) {
        guard fdatasync(descriptor) == 0 else { throw .systemCall("fdatasync", errno) }
    }
}

enum Backend {
    /// Serves until the process is killed.
    static func serve(_ file: BackendFile, at path: String) throws {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let channel = try ServerBootstrap(group: group)
            .childChannelOption(.recvAllocator, value: RelaySocket.receiveAllocator)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(BackendConnection(file: file))
                }
            }
            .bind(unixDomainSocketPath: path, cleanupExistingSocketFile: true).wait()
        try channel.closeFuture.wait()
    }
}

/// Writes each request of a burst, syncs once if asked, answers all with one flush.
final class BackendConnection: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let file: BackendFile
    private var frames = FrameBuffer()

    init(file: BackendFile) {
        self.file = file
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        frames.append(unwrapInboundIn(data))
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        do {
            try answerBurst(context: context)
        } catch {
            RelaySocket.fail(error, context: context)
        }
    }

    private func answerBurst(context: ChannelHandlerContext) throws(RelayError) {
        var answers = context.channel.allocator.buffer(capacity: 64 * RelayHeader.size)
        _ = try frames.takeRequests { (header, index, buffer) throws(RelayError) in
            try file.write(header, payloadAt: index + RelayHeader.size, of: buffer)
            RelayHeader(id: header.id).write(to: &answers)
        }
        guard answers.readableBytes > 0 else { return }
        if file.sync { try file.makeDurable() }
        context.writeAndFlush(wrapOutboundOut(answers), promise: nil)
    }
}

enum RelaySocket {
    /// A burst of 32 writes of 4 KiB fits into one read.
    static let receiveAllocator = AdaptiveRecvByteBufferAllocator(minimum: 16 << 10, initial: 256 << 10, maximum: 256 << 10)

    static func fail(_ error: RelayError, context: ChannelHandlerContext) {
        print("bare-relay: \(error)")
        context.close(promise: nil)
    }
}
