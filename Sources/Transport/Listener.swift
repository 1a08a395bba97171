package import Gateway
package import Logging
package import NIOCore
import NIOPosix
package import ObjectModel
import SheepProtocol

/// The listener on the sheep's port: peers and `dog` come here, whose first frame tells which it is, and Sheepdog's own
/// clients, whose first byte does.
package final class Listener<Env: NodeEnvironment> {
    private let node: SheepNode<Env>
    private let directory: VolumeDirectory<Env>
    private let loop: NodeLoop
    private let logger: Logger
    private var channels: [any Channel] = []
    private var connections: [ObjectIdentifier: FrameChannel] = [:]
    private let peers = PeerConnections<Env>()
    /// Connections that have not sent a byte.
    private var silent: [ObjectIdentifier: any Channel] = [:]
    /// Takes over a connection that speaks Sheepdog's protocol; nil: it is closed.
    package var sheepdogClient: ((any Channel) throws -> Void)?
    /// Connections at once, of peers and tools together.
    private static var largestCount: Int { 4096 }

    package init(node: SheepNode<Env>, directory: VolumeDirectory<Env>, loop: NodeLoop, logger: Logger) {
        (self.node, self.directory, self.loop, self.logger) = (node, directory, loop, logger)
    }

    /// Binds; the port is open when the completion is called without an error. May be called for further addresses.
    package func start(host: String, port: Int, completion: @escaping (SheepError?) -> Void) {
        let accept = NIOLoopBound(self, eventLoop: loop.eventLoop)
        ServerBootstrap(group: loop.eventLoop)
            .serverChannelOption(.backlog, value: 1024)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
            .childChannelOption(.maxMessagesPerRead, value: 4)
            .childChannelOption(
                .recvAllocator, value: AdaptiveRecvByteBufferAllocator(minimum: 4096, initial: 16_384, maximum: 1 << 20))
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture { try accept.value.accept(channel) }
            }
            .bind(host: host, port: port).assumeIsolated().whenComplete { [weak self] result in
                switch result {
                case .success(let channel):
                    self?.channels.append(channel)
                    completion(nil)
                case .failure(let error):
                    completion(SheepError(.invalidArgument, "cannot listen on \(host):\(port): \(error); choose another port"))
                }
            }
    }

    private func accept(_ channel: any Channel) throws {
        guard connections.count + silent.count < Self.largestCount else { return channel.close(promise: nil) }
        let key = ObjectIdentifier(channel)
        silent[key] = channel
        let handler = FirstByteHandler { [weak self] byte in
            guard let self else { return channel.close(promise: nil) }
            silent[key] = nil
            if byte == FrameHeader.version { return try accept(framed: channel) }
            if byte != nil, let sheepdogClient { return try sheepdogClient(channel) }
            channel.close(promise: nil)
        }
        try channel.pipeline.syncOperations.addHandler(handler)
    }

    private func accept(framed channel: any Channel) throws {
        let handler = FrameChannel()
        let key = ObjectIdentifier(handler)
        connections[key] = handler
        let service = ConnectionService(node: node, directory: directory, channel: handler, connections: peers)
        handler.received = { service.received($0) }
        handler.closed = { [weak self] violation in
            service.closed()
            self?.connections[key] = nil
            if let violation { self?.logger.info("a connection broke the protocol: \(violation.text)") }
        }
        try channel.pipeline.syncOperations.addHandler(handler)
    }

    package func stop() {
        for channel in channels { channel.close(promise: nil) }
        for connection in connections.values { connection.close() }
        for channel in silent.values { channel.close(promise: nil) }
    }
}
