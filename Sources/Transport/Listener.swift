import Authentication
import FrontendKit
package import Gateway
package import Logging
package import NIOCore
import NIOPosix
package import ObjectModel
package import SheepProtocol

/// The listener on the sheep's port: peers and `dog` come here, whose first frame tells which it is, and Sheepdog's own
/// clients, whose first byte does. Whoever connects to the unix socket in the store comes here as well. With a key it is proven before anything else is heard (``Admission``).
package final class Listener<Env: NodeEnvironment> {
    private let node: SheepNode<Env>
    private let directory: VolumeDirectory<Env>
    private let loop: NodeLoop
    private let logger: Logger
    private var channels: [any Channel] = []
    private let admission: Admission
    private var keyRefusals = RefusalLog()
    private var sheepdogRefusals = RefusalLog()
    private var connections: [ObjectIdentifier: FrameChannel] = [:]
    private let peers = PeerConnections<Env>()
    private let lone = LoneConnection()
    /// Connections that have not sent a byte, or have not proven the key.
    private var silent: [ObjectIdentifier: any Channel] = [:]
    /// Takes over a connection that speaks Sheepdog's protocol; nil: it is closed.
    package var sheepdogClient: ((any Channel) throws -> Void)?
    /// For those who come by the unix socket in the store, and so may read there by themselves.
    package var shortCircuit: ShortCircuitOffer?
    /// Connections at once, of peers and tools together.
    private static var largestCount: Int { 4096 }

    package init(node: SheepNode<Env>, directory: VolumeDirectory<Env>, loop: NodeLoop, logger: Logger, admission: Admission = Admission()) {
        (self.node, self.directory, self.loop, self.logger) = (node, directory, loop, logger)
        self.admission = admission
    }

    /// Binds; the port is open when the completion is called without an error. May be called for further addresses.
    package func start(host: String, port: Int, completion: @escaping (SheepError?) -> Void) {
        let accept = NIOLoopBound(self, eventLoop: loop.eventLoop)
        ServerBootstrap(group: loop.eventLoop)
            .serverChannelOption(.backlog, value: 1024)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
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

    /// A connection by TCP or a unix socket that has said nothing yet.
    package func accept(_ channel: any Channel) throws {
        guard connections.count + silent.count < Self.largestCount else { return channel.close(promise: nil) }
        try tune(channel)
        let key = ObjectIdentifier(channel)
        silent[key] = channel
        let handler = FirstByteHandler { [weak self] byte in
            guard let self else { return channel.close(promise: nil) }
            if byte == FrameHeader.version, let secret = admission.key { return try prove(secret, channel) }
            silent[key] = nil
            if byte == FrameHeader.version { return try accept(framed: channel, dialer: nil) }
            if byte != nil, let sheepdogClient, admits(sheepdogClient: channel) { return try sheepdogClient(channel) }
            channel.close(promise: nil)
        }
        try channel.pipeline.syncOperations.addHandler(handler)
    }

    private func tune(_ channel: any Channel) throws {
        guard let options = channel.syncOptions else { return }
        try options.setOption(.maxMessagesPerRead, value: 4)
        try options.setOption(.recvAllocator, value: AdaptiveRecvByteBufferAllocator(minimum: 4096, initial: 16_384, maximum: 1 << 20))
        try StreamOptions.set(on: channel)
    }

    private static func isUnix(_ channel: any Channel) -> Bool { channel.localAddress?.protocol == .unix }

    private func prove(_ secret: ClusterKey, _ channel: any Channel) throws {
        let key = ObjectIdentifier(channel)
        let own = Hello(node: node.identity, boot: node.boot)
        let handler = ListeningHandler(key: secret, own: own) { [weak self] result in
            guard let self else { return channel.close(promise: nil) }
            silent[key] = nil
            switch result {
            case .success(let dialer): try accept(framed: channel, dialer: dialer)
            case .failure(let error): refused(channel, error.message, keyRefusals.count(now: loop.now()))
            }
        }
        try channel.pipeline.syncOperations.addHandler(handler)
    }

    private func admits(sheepdogClient channel: any Channel) -> Bool {
        if Self.isUnix(channel) { return true }
        guard let address = channel.remoteAddress else { return false }
        if AddressRange.isLoopback(address) || admission.sheepdogClients.contains(where: { $0.contains(address) }) { return true }
        refused(
            channel, "Sheepdog's own clients cannot prove the cluster's key; --admit-legacy \(address.ipAddress ?? "ADDRESS") lets this one in",
            sheepdogRefusals.count(now: loop.now()))
        return false
    }

    /// - Parameter count: Nil: it is not to be told.
    private func refused(_ channel: any Channel, _ reason: String, _ count: Int?) {
        guard let count else { return }
        let more = count == 1 ? "" : " (\(count) refused since the last such line)"
        logger.warning("refused \(channel.remoteAddress?.description ?? "a connection"): \(reason)\(more)")
    }

    private func accept(framed channel: any Channel, dialer: KeyDialer?) throws {
        let handler = FrameChannel(lone: lone)
        let key = ObjectIdentifier(handler)
        connections[key] = handler
        let service = ConnectionService(node: node, directory: directory, channel: handler, connections: peers, dialer: dialer,
            shortCircuit: Self.isUnix(channel) ? shortCircuit : nil)
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

/// Counts refusals of one kind, so that one line in ten seconds tells of them however many there are.
struct RefusalLog {
    private static let interval: UInt64 = 10_000_000_000
    private var last: UInt64?
    private var pending = 0

    /// How many there were since the last line, this one included, when it is time for another.
    mutating func count(now: UInt64) -> Int? {
        pending += 1
        if let last, now < last + Self.interval { return nil }
        defer { (last, pending) = (now, 0) }
        return pending
    }
}
