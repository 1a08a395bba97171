import Glibc
import NIOCore
import NIOPosix

enum Front {
    /// Connects to every backend, then serves one client after another until the process is killed.
    static func serve(at path: String, backends: [String]) throws {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let loop = group.next()
        let fanOut = try loop.submit { NIOLoopBound(FanOut(), eventLoop: loop) }.wait()
        for backend in backends {
            _ = try ClientBootstrap(group: group)
                .channelOption(.recvAllocator, value: RelaySocket.receiveAllocator)
                .channelInitializer { channel in
                    channel.eventLoop.makeCompletedFuture {
                        try channel.pipeline.syncOperations.addHandler(ReplicaConnection(fanOut: fanOut.value))
                    }
                }
                .connect(unixDomainSocketPath: backend).wait()
        }
        let listener = try ServerBootstrap(group: group)
            .childChannelOption(.recvAllocator, value: RelaySocket.receiveAllocator)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(ClientConnection(fanOut: fanOut.value))
                }
            }
            .bind(unixDomainSocketPath: path, cleanupExistingSocketFile: true).wait()
        try listener.closeFuture.wait()
    }
}

/// The writes in flight between the client and the replicas; all on one event loop.
///
/// A write takes a slot, whose number replaces the client's id on the way to the replicas; the slot counts down the
/// replicas that have not answered, and at zero the client's id goes back.
final class FanOut {
    static let maximumInFlight = 1024

    private struct Slot {
        var clientID: UInt64 = 0
        var missing = 0
    }

    private var slots = [Slot](repeating: Slot(), count: maximumInFlight)
    private var free = Array(0..<maximumInFlight)
    private var replicas: [ReplicaConnection] = []
    private var answers = ByteBuffer()
    var client: ClientConnection?

    func add(_ replica: ReplicaConnection) {
        replicas.append(replica)
    }

    /// Sends all whole requests of the client to every replica with one write and one flush each.
    func forward(_ frames: inout FrameBuffer) throws(RelayError) {
        let burst = try frames.takeRequests { (header, index, buffer) throws(RelayError) in
            guard let slot = free.popLast() else { throw .tooManyInFlight }
            slots[slot] = Slot(clientID: header.id, missing: replicas.count)
            buffer.setInteger(UInt64(slot), at: index + RelayHeader.idOffset, endianness: .little)
        }
        guard let burst else { return }
        for replica in replicas { replica.send(burst) }
    }

    /// A replica has answered for a slot.
    func acknowledged(_ id: UInt64) {
        let slot = Int(id)
        slots[slot].missing -= 1
        guard slots[slot].missing == 0 else { return }
        RelayHeader(id: slots[slot].clientID).write(to: &answers)
        free.append(slot)
    }

    /// Hands the client what has become complete.
    func flushAnswers() {
        guard answers.readableBytes > 0 else { return }
        let complete = answers
        answers = ByteBuffer()
        client?.send(complete)
    }
}

/// The connection of the one client.
final class ClientConnection: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let fanOut: FanOut
    private var frames = FrameBuffer()
    private var context: ChannelHandlerContext?

    init(fanOut: FanOut) {
        self.fanOut = fanOut
    }

    func channelActive(context: ChannelHandlerContext) {
        guard fanOut.client == nil else {
            RelaySocket.fail(.refused("a second client"), context: context)
            return
        }
        self.context = context
        fanOut.client = self
    }

    func channelInactive(context: ChannelHandlerContext) {
        self.context = nil
        if fanOut.client === self { fanOut.client = nil }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        frames.append(unwrapInboundIn(data))
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        do {
            try fanOut.forward(&frames)
        } catch {
            RelaySocket.fail(error, context: context)
        }
    }

    func send(_ answers: ByteBuffer) {
        context?.writeAndFlush(wrapOutboundOut(answers), promise: nil)
    }
}

/// The connection to one backend. When it breaks the front ends: a relay has no recovery.
final class ReplicaConnection: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let fanOut: FanOut
    private var frames = FrameBuffer()
    private var context: ChannelHandlerContext?

    init(fanOut: FanOut) {
        self.fanOut = fanOut
    }

    func channelActive(context: ChannelHandlerContext) {
        self.context = context
        fanOut.add(self)
    }

    func channelInactive(context: ChannelHandlerContext) {
        print("bare-relay: a backend has gone")
        exit(1)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        frames.append(unwrapInboundIn(data))
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        do {
            try frames.takeAnswers(fanOut.acknowledged)
            fanOut.flushAnswers()
        } catch {
            RelaySocket.fail(error, context: context)
        }
    }

    func send(_ burst: ByteBuffer) {
        context?.writeAndFlush(wrapOutboundOut(burst), promise: nil)
    }
}
