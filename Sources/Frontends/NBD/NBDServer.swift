package import FrontendKit
package import Logging
package import NIOCore
package import ObjectModel

import NIOPosix

/// The NBD front-end: its listeners and its connections.
///
/// Everything runs on the one event loop given, which is the provider's as well; ``start()`` alone is called from
/// elsewhere.
/// `@unchecked Sendable`: NIO's initializers want it; all state is touched on the event loop only, but for `start`, which
/// waits for the loop.
package final class NBDServer<Provider: BlockDeviceProvider>: Frontend, @unchecked Sendable {
    package static var name: String { "NBD" }

    package let configuration: NBDConfiguration
    /// To be read on the event loop.
    package internal(set) var statistics = NBDStatistics()

    let provider: Provider
    let logger: Logger
    private let eventLoop: any EventLoop
    private var listeners: [any Channel] = []
    private var unixPaths: [UnixSocketPath] = []
    private var loneClient = LoneClient()
    private var connections: [ObjectIdentifier: NBDConnection<Provider>] = [:]
    private var stopped: (() -> Void)?

    package init(eventLoop: any EventLoop, provider: Provider, configuration: NBDConfiguration, logger: Logger) {
        precondition(configuration.bounds.maximumRequest >= 64 << 10, "clients may send 64 KiB without asking")
        (self.eventLoop, self.provider, self.configuration, self.logger) = (eventLoop, provider, configuration, logger)
    }

    // MARK: Listening

    /// Binds the listeners, all or none. Not to be called on the event loop, for it waits.
    package func start() throws(SheepError) {
        precondition(!eventLoop.inEventLoop, "start waits for the event loop")
        do {
            for listener in configuration.listeners { try listen(on: listener) }
        } catch {
            for channel in listeners { try? channel.close().wait() }
            for path in unixPaths { path.remove() }
            (listeners, unixPaths) = ([], [])
            throw error
        }
        for channel in listeners {
            logger.info("NBD listens", metadata: ["address": "\(channel.localAddress.map(String.init(describing:)) ?? "?")"])
        }
    }

    /// Where the listeners are bound, in the order of the configuration; with the port that was taken.
    package var boundAddresses: [SocketAddress] { listeners.compactMap(\.localAddress) }

    private func listen(on listener: NBDListener) throws(SheepError) {
        switch listener {
        case .tcp(let host, let port):
            let channel = try bind(listener) {
                $0.bind(to: try SocketAddress.makeAddressResolvingHost(host, port: port))
            }
            listeners.append(channel)
        case .unix(let path):
            var socketPath = try UnixSocketPath(preparing: path, for: Self.name)
            let channel = try bind(listener) { $0.bind(to: try SocketAddress(unixDomainSocketPath: path)) }
            socketPath.bound()
            listeners.append(channel)
            unixPaths.append(socketPath)
        }
    }

    private func bind(
        _ listener: NBDListener, _ body: (ServerBootstrap) throws -> EventLoopFuture<any Channel>
    ) throws(SheepError) -> any Channel {
        do {
            return try body(bootstrap).wait()
        } catch {
            throw SheepError(
                .unavailable,
                "NBD cannot listen on \(listener): \(error); choose another address or stop what uses it")
        }
    }

    private var bootstrap: ServerBootstrap {
        let bounds = configuration.bounds
        return ServerBootstrap(group: eventLoop)
            .serverChannelOption(.backlog, value: 256)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelOption(.maxMessagesPerRead, value: 4)
            .childChannelOption(.writeBufferWaterMark, value: .init(low: bounds.unsentLow, high: bounds.unsentHigh))
            .childChannelOption(.recvAllocator, value: Self.receiveAllocator)
            .childChannelInitializer { [self] channel in channel.eventLoop.makeCompletedFuture { try accept(channel) } }
    }

    /// A burst of 32 writes of 4 KiB fits into the buffers of one read; what they take of a large payload must be copied,
    /// so they are not larger. A connection with small requests comes back to the smallest.
    private static var receiveAllocator: AdaptiveRecvByteBufferAllocator {
        AdaptiveRecvByteBufferAllocator(minimum: 8 << 10, initial: 8 << 10, maximum: 64 << 10)
    }

    // MARK: Connections

    private func accept(_ channel: any Channel) throws {
        guard stopped == nil, connections.count < configuration.bounds.connections else {
            statistics.connectionsRefused += 1
            logger.warning("NBD connection refused", metadata: ["connections": "\(connections.count)"])
            throw SheepError(.busy, "too many NBD connections")
        }
        try StreamOptions.set(on: channel)
        let connection = NBDConnection(server: self)
        try channel.pipeline.syncOperations.addHandler(connection)
        connections[ObjectIdentifier(connection)] = connection
        statistics.connections = connections.count
        statistics.connectionsAccepted += 1
    }

    /// None but this connection was replied to for a while. Called for each burst of replies.
    func isAlone(_ connection: NBDConnection<Provider>) -> Bool { loneClient.isAlone(connection) }

    func ended(_ connection: NBDConnection<Provider>) {
        connections[ObjectIdentifier(connection)] = nil
        statistics.connections = connections.count
        stopIfDone()
    }

    // MARK: Stopping

    /// To be called on the event loop, once.
    package func stop(completion: @escaping () -> Void) {
        eventLoop.preconditionInEventLoop()
        precondition(stopped == nil, "stopped twice")
        stopped = completion
        for channel in listeners { channel.close(promise: nil) }
        for path in unixPaths { path.remove() }
        (listeners, unixPaths) = ([], [])
        for connection in Array(connections.values) { connection.finish() }
        eventLoop.assumeIsolated().scheduleTask(in: .seconds(configuration.bounds.drainSeconds)) { [self] in
            for connection in Array(connections.values) { connection.closeNow() }
        }
        stopIfDone()
    }

    private func stopIfDone() {
        guard connections.isEmpty, let stopped else { return }
        self.stopped = {}
        stopped()
    }
}
