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
    private let logger: Logger
    private var links: [NodeID: PeerLink] = [:]

    package init(loop: NodeLoop, node: NodeID, boot: BootID, logger: Logger) {
        (self.loop, hello, self.logger) = (loop, Hello(node: node, boot: boot), logger)
    }

    package func keepLinks(to peers: [Peer]) {
        let wanted = Dictionary(uniqueKeysWithValues: peers.map { ($0.node, $0) })
        for (node, link) in links where wanted[node] != link.peer {
            links[node] = nil
            link.drop()
        }
        for peer in peers where links[peer.node] == nil {
            let link = PeerLink(peer: peer, hello: hello, loop: loop, logger: logger)
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
    private let loop: NodeLoop
    private let logger: Logger
    private var channel: FrameChannel?
    private(set) var isLinked = false
    /// Of former connections.
    private var formerArrivals: UInt64 = 0
    var arrivals: UInt64 { formerArrivals + (channel?.arrivals ?? 0) }
    private var isDropped = false
    private var nextID: UInt32 = 1
    private var requests: [UInt32: PeerCompletion] = [:]
    var linked: (() -> Void)?
    var unlinked: (() -> Void)?

    init(peer: Peer, hello: Hello, loop: NodeLoop, logger: Logger) {
        (self.peer, self.hello, self.loop, self.logger) = (peer, hello, loop, logger)
    }

    func dial() {
        guard !isDropped, channel == nil else { return }
        let bootstrap = ClientBootstrap(group: loop.eventLoop)
            .connectTimeout(.seconds(1))
            .channelOption(.tcpOption(.tcp_nodelay), value: 1)
            .channelOption(.maxMessagesPerRead, value: 4)
            .channelOption(.recvAllocator, value: AdaptiveRecvByteBufferAllocator(minimum: 4096, initial: 65_536, maximum: 1 << 20))
        bootstrap.connect(host: peer.address.host, port: Int(peer.address.port)).assumeIsolated().whenComplete { [weak self] result in
            guard let self else {
                if case .success(let channel) = result { channel.close(promise: nil) }
                return
            }
            switch result {
            case .success(let channel) where !isDropped: adopt(channel)
            case .success(let channel): channel.close(promise: nil)
            case .failure: dialLater()
            }
        }
    }

    private func dialLater() {
        loop.schedule(after: 100_000_000) { [weak self] in self?.dial() }
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
        guard frame.header.result == 0, let answer = try? Hello(wire: frame.body),
            answer == Hello(node: peer.node, boot: peer.boot)
        else { return channel?.close() ?? () }
        isLinked = true
        linked?()
    }

    private func closed() {
        formerArrivals = arrivals
        channel = nil
        let wasLinked = isLinked
        isLinked = false
        failAll()
        if isDropped { return }
        if wasLinked { unlinked?() }
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
    func renew() { channel?.close() }

    /// Nobody wants this peer (in this run) any more: what is under way fails.
    func drop() {
        isDropped = true
        isLinked = false
        channel?.close()
        failAll()
    }
}
