package import Authentication
import Glibc
package import NIOCore
import NIOPosix
import ObjectModel
package import SheepProtocol

/// One connection to a sheep. Any number of requests may be under way; replies come in any order.
///
/// When the connection ends, all that wait fail with ``ClientError/connectionLost(_:reason:)`` and so does every
/// later request: a new connection is the caller's decision.
package final class SheepConnection: Sendable {
    package let endpoint: SheepEndpoint
    private let channel: any Channel
    private let handler: NIOLoopBound<FrameHandler>

    private init(endpoint: SheepEndpoint, channel: any Channel, handler: NIOLoopBound<FrameHandler>) {
        (self.endpoint, self.channel, self.handler) = (endpoint, channel, handler)
    }

    package var eventLoop: any EventLoop { channel.eventLoop }

    /// Connects within the time limit or throws ``ClientError/cannotConnect(_:reason:)``.
    package static func connect(
        to endpoint: SheepEndpoint, key: ClusterKey? = nil,
        on group: any EventLoopGroup = MultiThreadedEventLoopGroup.singleton, timeLimit: TimeAmount = .seconds(5)
    ) async throws(ClientError) -> SheepConnection {
        do {
            return try await connecting(to: endpoint, key: key, on: group.next(), timeLimit: timeLimit).get()
        } catch {
            throw error as? ClientError ?? .cannotConnect(endpoint, reason: text(of: error))
        }
    }

    /// Connects on an event loop; fails with ``ClientError/cannotConnect(_:reason:)``. With a key both sides prove it.
    package static func connecting(
        to endpoint: SheepEndpoint, key: ClusterKey? = nil, on eventLoop: any EventLoop, timeLimit: TimeAmount
    ) -> EventLoopFuture<SheepConnection> {
        let bootstrap = ClientBootstrap(group: eventLoop)
            .connectTimeout(timeLimit)
            // A reply of 1 MiB comes in few pieces, which saves most of the copying.
            .channelOption(.recvAllocator, value: AdaptiveRecvByteBufferAllocator(minimum: 16 << 10, initial: 64 << 10, maximum: 1 << 20))
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(FrameHandler(endpoint: endpoint))
                }
            }
        return bootstrap.connect(to: endpoint).flatMap { prove(key, on: $0, of: endpoint) }.flatMapThrowing { channel in
            let handler = try channel.pipeline.syncOperations.handler(type: FrameHandler.self)
            return SheepConnection(
                endpoint: endpoint, channel: channel, handler: NIOLoopBound(handler, eventLoop: channel.eventLoop))
        }.flatMapErrorThrowing { error in
            throw error as? ClientError ?? ClientError.cannotConnect(endpoint, reason: text(of: error))
        }
    }

    private static func prove(_ key: ClusterKey?, on channel: any Channel, of endpoint: SheepEndpoint) -> EventLoopFuture<any Channel> {
        guard let key else { return channel.eventLoop.makeSucceededFuture(channel) }
        let proven = channel.eventLoop.makePromise(of: (any Channel).self)
        let handler = DialingHandler(key: key, dialer: .tool, expected: nil) { refusal in
            guard let refusal else { return proven.succeed(channel) }
            proven.fail(ClientError.cannotConnect(endpoint, reason: refusal))
        }
        do { try channel.pipeline.syncOperations.addHandler(handler, position: .first) } catch { proven.fail(error) }
        return proven.futureResult
    }

    /// Succeeds when the connection has ended, for whatever reason.
    package var closed: EventLoopFuture<Void> { channel.closeFuture }

    /// Ends the connection; of TCP what was sent and has not left this machine is dropped. On the event loop.
    package func abandon() {
        _ = (channel as? any SocketOptionProvider)?.setSoLinger(linger(l_onoff: 1, l_linger: 0))
        channel.close(promise: nil)
    }

    /// Ends the connection, without waiting for it.
    package func end() { channel.close(promise: nil) }

    /// Sends a request from the event loop; the completion comes there, exactly once, perhaps before this returns.
    package func send(
        _ operation: Operation, body: [UInt8], payload: ByteBuffer? = nil, timeLimit: TimeAmount?,
        completion: @escaping (Result<SheepReply, ClientError>) -> Void
    ) {
        handler.value.send(operation, body: body, payload: payload, timeLimit: timeLimit, completion: completion)
    }

    /// See ``FrameHandler/awaitReply()``; on the event loop.
    package func awaitReply() -> Bool { handler.value.awaitReply() }

    /// Sends a request from anywhere and waits for its reply, for the time limit at most.
    package func request(
        _ operation: Operation, body: [UInt8], payload: ByteBuffer? = nil, timeLimit: TimeAmount?
    ) async throws(ClientError) -> SheepReply {
        let result: Result<SheepReply, ClientError> = await withCheckedContinuation { continuation in
            eventLoop.execute {
                self.send(operation, body: body, payload: payload, timeLimit: timeLimit) {
                    continuation.resume(returning: $0)
                }
            }
        }
        return try result.get()
    }

    package func close() async {
        try? await channel.close()
    }
}

extension ClientBootstrap {
    fileprivate func connect(to endpoint: SheepEndpoint) -> EventLoopFuture<any Channel> {
        switch endpoint {
        case .tcp(let host, let port):
            channelOption(.tcpOption(.tcp_nodelay), value: 1).connect(host: host, port: Int(port))
        // The sender's buffer bounds what is in flight on a unix socket.
        case .unix(let path): channelOption(.socketOption(.so_sndbuf), value: 2 << 20).connect(unixDomainSocketPath: path)
        }
    }
}

/// What the system says of an error, without NIO's wrapping: "Connection refused".
func text(of error: any Error) -> String {
    switch error {
    case let error as IOError: String(cString: strerror(error.errnoCode))
    case let error as NIOConnectionError:
        if let first = error.connectionErrors.first {
            text(of: first.error)
        } else if error.dnsAError != nil || error.dnsAAAAError != nil {
            "Name or service not known"
        } else {
            "no address"
        }
    case is ChannelError: channelText(error)
    default: "\(error)"
    }
}

private func channelText(_ error: any Error) -> String {
    if case ChannelError.connectTimeout = error { "Connection timed out" } else { "\(error)" }
}
