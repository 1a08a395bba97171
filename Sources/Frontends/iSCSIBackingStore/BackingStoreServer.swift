import FrontendKit
package import Logging
package import NIOCore
package import ObjectModel

import NIOPosix

/// The front-end for Sheepdog's own clients: tgt's backing store `sheepdog`, QEMU's driver, `dog` of Sheepdog 1.0.
///
/// It listens on a unix socket; TCP connections come from the sheep's own listener, which tells protocols apart by their
/// first byte, there and on the unix socket. Everything runs on the one event loop given, which is the backend's as well;
/// ``start()`` alone is called from elsewhere.
/// `@unchecked Sendable`: NIO's initializers want it; all state is touched on the event loop only, but for `start`, which
/// waits for the loop.
package final class BackingStoreServer<Backend: SheepdogVolumes>: Frontend, @unchecked Sendable {
    package static var name: String { "Sheepdog's protocol" }

    package let configuration: BackingStoreConfiguration
    /// To be read on the event loop.
    package internal(set) var statistics = BackingStoreStatistics()

    let backend: Backend
    let volumes: OpenVolumes<Backend>
    let logger: Logger
    /// Takes who connects to the unix socket, and gives those of Sheepdog's clients to ``accept(_:)``; nil: all of them are. Set before the start.
    package var door: ((any Channel) throws -> Void)?
    private let eventLoop: any EventLoop
    private var listener: (any Channel)?
    private var socketPath: UnixSocketPath?
    private var connections: [ObjectIdentifier: BackingStoreConnection<Backend>] = [:]
    private var stopped: (() -> Void)?

    package init(eventLoop: any EventLoop, backend: Backend, configuration: BackingStoreConfiguration, logger: Logger) {
        (self.eventLoop, self.backend, self.configuration, self.logger) = (eventLoop, backend, configuration, logger)
        volumes = OpenVolumes(backend: backend)
    }

    // MARK: Listening

    /// Binds the unix socket. Not to be called on the event loop, for it waits.
    package func start() throws(SheepError) {
        precondition(!eventLoop.inEventLoop, "start waits for the event loop")
        guard let path = configuration.socket else {
            return logger.warning("no unix socket for Sheepdog's clients: its path would have more than \(UnixSocketPath.longest) bytes")
        }
        var socketPath = try UnixSocketPath(preparing: path, for: Self.name)
        do {
            listener = try bootstrap.bind(to: try SocketAddress(unixDomainSocketPath: path)).wait()
        } catch {
            throw SheepError(.unavailable, "\(Self.name) cannot listen on unix:\(path): \(error); choose another store")
        }
        socketPath.bound()
        self.socketPath = socketPath
        logger.info("\(Self.name) listens", metadata: ["address": "unix:\(path)"])
    }

    private var bootstrap: ServerBootstrap {
        ServerBootstrap(group: eventLoop)
            .serverChannelOption(.backlog, value: 256)
            .childChannelInitializer { [self] channel in
                channel.eventLoop.makeCompletedFuture { if let door { try door(channel) } else { try accept(channel) } }
            }
    }

    // MARK: Connections

    /// Takes a connection over; what it already received is to be fired into its pipeline afterwards. On the event loop.
    package func accept(_ channel: any Channel) throws {
        guard stopped == nil, connections.count < configuration.bounds.connections else {
            statistics.connectionsRefused += 1
            logger.warning("connection refused", metadata: ["connections": "\(connections.count)"])
            throw SheepError(.busy, "too many connections")
        }
        try tune(channel)
        let connection = BackingStoreConnection(server: self)
        try channel.pipeline.syncOperations.addHandler(connection)
        connections[ObjectIdentifier(connection)] = connection
        sockets = nil
        statistics.connections = connections.count
        statistics.connectionsAccepted += 1
    }

    private func tune(_ channel: any Channel) throws {
        guard let options = channel.syncOptions else { return }
        let bounds = configuration.bounds
        try options.setOption(.maxMessagesPerRead, value: 4)
        try options.setOption(.writeBufferWaterMark, value: .init(low: bounds.unsentLow, high: bounds.unsentHigh))
        try options.setOption(.recvAllocator, value: AdaptiveRecvByteBufferAllocator(minimum: 8 << 10, initial: 8 << 10, maximum: 64 << 10))
        try StreamOptions.set(on: channel)
    }

    // MARK: The next requests

    private var nextRequest = NextRequestPoll()
    /// Taken from clients and not answered.
    private var underWay = 0
    private var hasAnswered = false
    private var isTurnsEndAwaited = false
    /// Of all connections; made anew when one comes or goes. Empty: they are too many.
    private var sockets: PolledSockets?
    /// Counts up when the next request was there as soon as it was looked for, and down when it was not.
    private var foundAtOnce = 0

    private struct PolledSockets {
        var connections: [BackingStoreConnection<Backend>] = []
        var descriptors: [CInt] = []
    }

    func requestBegan() { underWay += 1 }

    func requestEnded() {
        underWay -= 1
        hasAnswered = true
    }

    /// What comes next is looked for once a turn of the loop, after all that this one received.
    func repliesFlushed() {
        guard hasAnswered, !isTurnsEndAwaited else { return }
        isTurnsEndAwaited = true
        eventLoop.assumeIsolatedUnsafeUnchecked().execute { [self] in
            hasAnswered = false
            serveNextRequests()
            isTurnsEndAwaited = false
            // Others on the loop come first.
            repliesFlushed()
        }
    }

    /// About what NIO itself does of such requests before it looks at the other connections again.
    private static var longestTurn: TimeAmount { .microseconds(300) }
    /// tgt has up to 17 for each logical unit; to ask after more sockets takes longer than to be woken. At most 64.
    private static var mostPolled: Int { 64 }
    private static var deepQueue: Int { 4 }

    /// tgt takes one connection for each of its threads and lets any of them do the next request: it is looked for on every connection.
    private func serveNextRequests() {
        let end = NIODeadline.now() + Self.longestTurn
        var (readable, hasWaited) = (UInt64(0), false)
        while underWay == 0, !hasWaited, NIODeadline.now() < end {
            let sockets = polledSockets()
            (readable, hasWaited) = readableSockets(sockets.descriptors)
            var isAnyServed = false
            while readable != 0, underWay == 0, NIODeadline.now() < end || hasWaited {
                if sockets.connections[readable.trailingZeroBitCount].serveNext() { isAnyServed = true }
                readable &= readable - 1
            }
            guard isAnyServed else { return }
        }
    }

    /// A bit for each, zero where it does not pay to wait for one; and whether one was waited for.
    private func readableSockets(_ descriptors: [CInt]) -> (readable: UInt64, hasWaited: Bool) {
        guard !descriptors.isEmpty else { return (0, false) }
        let readable = SystemCall.readableSockets(descriptors)
        guard readable == 0 else {
            foundAtOnce = min(foundAtOnce + 1, 64)
            return (readable, false)
        }
        // Who keeps several requests in flight wants the processor to send them.
        guard foundAtOnce <= Self.deepQueue else {
            foundAtOnce -= 1
            return (0, false)
        }
        return (nextRequest.wait(for: descriptors) ? SystemCall.readableSockets(descriptors) : 0, true)
    }

    private func polledSockets() -> PolledSockets {
        if let sockets { return sockets }
        var polled = PolledSockets()
        for connection in connections.values where connections.count <= Self.mostPolled {
            // It is not active yet: it is asked again the next time.
            guard let descriptor = connection.descriptor else { continue }
            polled.connections.append(connection)
            polled.descriptors.append(descriptor)
        }
        if polled.connections.count == connections.count || connections.count > Self.mostPolled { sockets = polled }
        return polled
    }

    func ended(_ connection: BackingStoreConnection<Backend>) {
        connections[ObjectIdentifier(connection)] = nil
        sockets = nil
        statistics.connections = connections.count
        stopIfDone()
    }

    // MARK: The cluster

    private var knownEpoch: (revision: UInt64, epoch: UInt32) = (.max, 0)

    /// Every reply tells it; asked for once a change.
    var epoch: UInt32 {
        let revision = backend.revision
        if knownEpoch.revision != revision { knownEpoch = (revision, backend.cluster.epoch) }
        return knownEpoch.epoch
    }

    // MARK: Stopping

    /// To be called on the event loop, once.
    package func stop(completion: @escaping () -> Void) {
        eventLoop.preconditionInEventLoop()
        precondition(stopped == nil, "stopped twice")
        stopped = completion
        listener?.close(promise: nil)
        socketPath?.remove()
        (listener, socketPath) = (nil, nil)
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
