package import Authentication
import Cluster
package import Gateway
package import Logging
package import NIOCore
import NIOPosix
package import ObjectModel
package import SheepProtocol

/// The links to the other sheep: one connection each, dialled by this side, for this side's requests.
package final class PeerLinks: PeerNetwork {
    package weak var delegate: (any PeerNetworkDelegate)?

    private let loop: NodeLoop
    private let hello: Hello
    private let key: ClusterKey?
    private let logger: Logger
    private var links: [NodeID: PeerLink] = [:]

    package init(loop: NodeLoop, node: NodeID, boot: BootID, key: ClusterKey? = nil, logger: Logger) {
        (self.loop, hello, self.key, self.logger) = (loop, Hello(node: node, boot: boot), key, logger)
    }

    package func keepLinks(to peers: [Peer]) {
        let wanted = Dictionary(uniqueKeysWithValues: peers.map { ($0.node, $0) })
        for (node, link) in links where wanted[node] != link.peer {
            links[node] = nil
            link.drop()
        }
        for peer in peers where links[peer.node] == nil {
            let link = PeerLink(peer: peer, hello: hello, key: key, loop: loop, logger: logger)
            links[peer.node] = link
            link.linked = { [weak self] in self?.delegate?.linked(to: peer.node) }
            link.unlinked = { [weak self] in self?.delegate?.unlinked(from: peer.node) }
            link.dial()
        }
    }

    package func isLinked(to node: NodeID) -> Bool { links[node]?.isLinked ?? false }

    package func arrivals(from node: NodeID) -> UInt64 { links[node]?.arrivals ?? 0 }

    package func renewLink(to node: NodeID) { links[node]?.renew() }

    package func send(
        _ operation: Operation, body: [UInt8], payload: ByteBuffer?, to node: NodeID, completion: @escaping PeerCompletion
    ) {
        guard let link = links[node] else {
            return completion(.failure(SheepError(.unavailable, "node \(node) is down")))
        }
        link.send(operation, body: body, payload: payload, completion: completion)
    }
}

/// One connection to one run of one peer; dialled again while it is wanted.
final class PeerLink {
    let peer: Peer
    private let hello: Hello
    private let key: ClusterKey?
    private let loop: NodeLoop
    private let logger: Logger
    /// Why the peer was of no use the last time, to be said once.
    private var complaint: String?
    /// Whose key is not proven yet.
    private var proving: (any Channel)?
    private var channel: FrameChannel?
    private(set) var isLinked = false
    /// Of former connections.
    private var formerArrivals: UInt64 = 0
    var arrivals: UInt64 { formerArrivals + (channel?.arrivals ?? 0) }
    private var isDropped = false
    /// Dialled, or used: the peer's address for data as long as it answers there, else its main one.
    private var isOnDataNetwork: Bool
    private var nextID: UInt32 = 1
    private var requests: [UInt32: PeerCompletion] = [:]
    var linked: (() -> Void)?
    var unlinked: (() -> Void)?

    init(peer: Peer, hello: Hello, key: ClusterKey?, loop: NodeLoop, logger: Logger) {
        (self.peer, self.hello, self.key, self.loop, self.logger) = (peer, hello, key, loop, logger)
        isOnDataNetwork = peer.dataAddress != nil
    }

    private var address: NodeAddress { isOnDataNetwork ? peer.dataAddress ?? peer.address : peer.address }

    /// So soon a data network that swallows everything is given up, well before the peer counts as dead (8 s).
    private static var silenceOfDataNetwork: Int { 2000 }
    /// TCP_USER_TIMEOUT of Linux, in milliseconds: sent bytes that nobody acknowledges for so long end the connection.
    private static var userTimeout: ChannelOptions.Types.SocketOption { .init(level: .tcp, name: .init(rawValue: 18)) }

    func dial() {
        guard !isDropped, channel == nil else { return }
        var bootstrap = ClientBootstrap(group: loop.eventLoop)
            .connectTimeout(isOnDataNetwork ? .milliseconds(500) : .seconds(1))
            .channelOption(.tcpOption(.tcp_nodelay), value: 1)
            .channelOption(.maxMessagesPerRead, value: 4)
            .channelOption(.recvAllocator, value: AdaptiveRecvByteBufferAllocator(minimum: 4096, initial: 65_536, maximum: 1 << 20))
        if isOnDataNetwork { bootstrap = bootstrap.channelOption(Self.userTimeout, value: Self.silenceOfDataNetwork) }
        bootstrap.connect(host: address.host, port: Int(address.port)).assumeIsolated().whenComplete { [weak self] result in
            guard let self else {
                if case .success(let channel) = result { channel.close(promise: nil) }
                return
            }
            switch result {
            case .success(let channel) where !isDropped: prove(channel)
            case .success(let channel): channel.close(promise: nil)
            case .failure: dialOtherNetwork()
            }
        }
    }

    /// The main address at once when the one for data does not answer; that one again, like any, after a while.
    private func dialOtherNetwork() {
        guard isOnDataNetwork else {
            isOnDataNetwork = peer.dataAddress != nil
            return dialLater()
        }
        isOnDataNetwork = false
        dial()
    }

    private static let pause: UInt64 = 100_000_000
    /// After a refusal, which will hardly be another answer soon.
    private static let pauseAfterRefusal: UInt64 = 250_000_000

    private func dialLater(after pause: UInt64 = pause) {
        loop.schedule(after: pause) { [weak self] in self?.dial() }
    }

    /// With a key: both sides prove it before anything else is said.
    private func prove(_ channel: any Channel) {
        guard let key else { return adopt(channel) }
        let meant = Hello(node: peer.node, boot: peer.boot)
        let handler = DialingHandler(key: key, dialer: .sheep(hello), expected: meant) { [weak self] refusal in
            guard let self else { return channel.close(promise: nil) }
            proving = nil
            guard let refusal else { return isDropped ? channel.close(promise: nil) : adopt(channel) }
            complain(refusal)
            if isDropped { return }
            if isOnDataNetwork { return dialOtherNetwork() }
            isOnDataNetwork = peer.dataAddress != nil
            dialLater(after: Self.pauseAfterRefusal)
        }
        proving = channel
        do { try channel.pipeline.syncOperations.addHandler(handler) } catch { channel.close(promise: nil) }
    }

    private func complain(_ reason: String) {
        if complaint != reason { logger.warning("no link to \(peer.address): \(reason)") }
        complaint = reason
    }

    private func adopt(_ channel: any Channel) {
        let handler = FrameChannel()
        self.channel = handler
        handler.received = { [weak self] in self?.received($0) }
        handler.closed = { [weak self] _ in self?.closed() }
        do { try channel.pipeline.syncOperations.addHandler(handler) } catch { return channel.close(promise: nil) }
        let body = hello.wire
        handler.write(
            FrameHeader(operation: .hello, id: 0, bodyLength: body.count, payloadLength: 0), body: body, payload: nil)
    }

    private func received(_ frame: Frame) {
        if frame.header.operation == .hello { return greeted(frame) }
        guard let completion = requests.removeValue(forKey: frame.header.id) else { return }
        if frame.header.result == 0 {
            return completion(.success(PeerReply(body: frame.body, payload: frame.payload)))
        }
        completion(.failure((try? SheepError(wire: frame.body)) ?? SheepError(.unknown, "\(peer.address) refused with code \(frame.header.result)")))
    }

    /// Only the run that the control log names is the peer; another one is dialled again until the log has caught up.
    private func greeted(_ frame: Frame) {
        if frame.header.result != 0 {
            complain((try? SheepError(wire: frame.body))?.message ?? "it refused with code \(frame.header.result)")
        }
        guard frame.header.result == 0, let answer = try? Hello(wire: frame.body),
            answer == Hello(node: peer.node, boot: peer.boot)
        else { return channel?.close() ?? () }
        isLinked = true
        if let data = peer.dataAddress {
            logger.info("linked to \(peer.address) \(isOnDataNetwork ? "over its data address \(data)" : "itself: its data address \(data) does not answer")")
        }
        complaint = nil
        linked?()
    }

    private func closed() {
        formerArrivals = arrivals
        channel = nil
        let wasLinked = isLinked
        isLinked = false
        failAll()
        if isDropped { return }
        guard wasLinked else { return dialOtherNetwork() }
        isOnDataNetwork = peer.dataAddress != nil
        unlinked?()
        dialLater()
    }

    private func failAll() {
        let lost = requests
        requests = [:]
        for completion in lost.values { completion(.failure(SheepError(.unavailable, "the link to \(peer.address) broke"))) }
    }

    func send(_ operation: Operation, body: [UInt8], payload: ByteBuffer?, completion: @escaping PeerCompletion) {
        guard isLinked, let channel else {
            return completion(.failure(SheepError(.unavailable, "there is no link to \(peer.address) now")))
        }
        let id = nextID
        nextID &+= 1
        requests[id] = completion
        channel.write(
            FrameHeader(operation: operation, id: id, bodyLength: body.count, payloadLength: payload?.readableBytes ?? 0),
            body: body, payload: payload)
    }

    /// The present connection, be it made or not yet greeted, is given up: what is under way fails, and it is dialled again.
    func renew() {
        proving?.close(promise: nil)
        channel?.close()
    }

    /// Nobody wants this peer (in this run) any more: what is under way fails.
    func drop() {
        isDropped = true
        isLinked = false
        proving?.close(promise: nil)
        channel?.close()
        failAll()
    }
}
