package import Gateway
package import Logging
import NIOCore
import NIOPosix
package import ObjectModel
import SheepProtocol

/// The listener on the sheep's port: peers and `dog` come here; the first frame tells which it is.
package final class Listener<Env: NodeEnvironment> {
    private let node: SheepNode<Env>
    private let directory: VolumeDirectory<Env>
    private let loop: NodeLoop
    private let logger: Logger
    private var channel: (any Channel)?
    private var connections: [ObjectIdentifier: FrameChannel] = [:]
    /// Connections at once, of peers and tools together.
    private static var largestCount: Int { 4096 }

    package init(node: SheepNode<Env>, directory: VolumeDirectory<Env>, loop: NodeLoop, logger: Logger) {
        (self.node, self.directory, self.loop, self.logger) = (node, directory, loop, logger)
    }

    /// Binds; the port is open when the completion is called without an error.
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
                    self?.channel = channel
                    completion(nil)
                case .failure(let error):
                    completion(SheepError(.invalidArgument, "cannot listen on \(host):\(port): \(error); choose another port with -p"))
                }
            }
    }

    private func accept(_ channel: any Channel) throws {
        let handler = FrameChannel()
        let key = ObjectIdentifier(handler)
        guard connections.count < Self.largestCount else { return channel.close(promise: nil) }
        connections[key] = handler
        let service = ConnectionService(node: node, directory: directory, channel: handler)
        handler.received = { service.received($0) }
        handler.closed = { [weak self] violation in
            service.closed()
            self?.connections[key] = nil
            if let violation { self?.logger.info("a connection broke the protocol: \(violation.text)") }
        }
        try channel.pipeline.syncOperations.addHandler(handler)
    }

    package func stop() {
        channel?.close(promise: nil)
        for connection in connections.values { connection.close() }
    }
}
