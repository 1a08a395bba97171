import Client
import FrontendKit
import Logging
import NIOCore
import NIOPosix
import ObjectModel
import SheepProtocol
import Testing

@Suite(.timeLimit(.minutes(15))) struct ClusterClientTests {
    /// What the fakes call themselves.
    private static let gateway = NodeID(high: 0, low: 1)

    private func record(_ node: NodeID, _ port: UInt16, _ state: NodeState = .up) -> NodeRecord {
        NodeRecord(node: node, host: "127.0.0.1", port: port, virtualNodes: 128, zone: 1, state: state, isGateway: false)
    }

    private func list(_ cluster: FakeCluster, first: UInt16, _ state: NodeState = .up, others: UInt16...) {
        let others = others.enumerated().map { record(NodeID(high: 1, low: UInt64($0)), $1) }
        cluster.can(.nodeList, .nodes([record(Self.gateway, first, state)] + others))
    }

    @Test("reads, writes, zeros, status, flush and growth of a volume; names that are not there")
    func everything() async throws {
        try await FakeSheep.with { sheep async throws in
            list(sheep.cluster, first: sheep.port)
            sheep.cluster.add("alice", [UInt8](repeating: 1, count: 4 * FakeCluster.unit))
            try await LoopClient.with(sheep.port) { client in
                let volume = try await client.open("alice")
                #expect(try await volume.read(at: 10, length: 5) == [1, 1, 1, 1, 1])
                try await volume.write([2, 3], at: 11)
                try await volume.zero(at: 13, length: 1)
                #expect(try await volume.read(at: 10, length: 5) == [1, 2, 3, 0, 1])
                try await volume.flush()
                #expect(sheep.cluster.flushes == 1)
                let size = UInt64(8 * FakeCluster.unit)
                try await client.resize("alice", to: size)
                #expect(try await client.find("alice").size == size)
                await #expect(throws: SheepError.self) { try await client.open("bob") }
                await #expect(throws: SheepError.self) { try await client.find("alice@monday") }
                await volume.close()
            }
        }
    }

    @Test("the sheep dies at a write: the write is done by another, once the cluster calls the dead one down")
    func dyingSheep() async throws {
        let cluster = FakeCluster()
        cluster.add("alice", [UInt8](repeating: 0, count: FakeCluster.unit))
        try await FakeSheep.with(cluster: cluster) { heir async throws in
            try await FakeSheep.with(.dyingAtWrite, cluster: cluster) { first async throws in
                list(cluster, first: first.port, others: heir.port)
                try await LoopClient.with(first.port) { client in
                    let volume = try await client.open("alice")
                    async let write: Void = volume.write([7], at: 0)
                    // Reads go on; the change waits for the cluster's word.
                    while await client.endpoint != .tcp(host: "127.0.0.1", port: heir.port) { try await Task.sleep(for: .milliseconds(5)) }
                    #expect(try await volume.read(at: 0, length: 1) == [0])
                    #expect(cluster.content(of: "alice")?[0] == 0)
                    list(cluster, first: first.port, .down, others: heir.port)
                    try await write
                    #expect(cluster.content(of: "alice")?[0] == 7)
                    await volume.close()
                }
            }
        }
    }

    @Test("a sheep that is stopping or joining is left for another, and nobody sees an error")
    func stoppingSheep() async throws {
        let other = FakeCluster()
        other.add("alice", [9])
        try await FakeSheep.with(cluster: other) { heir async throws in
            try await FakeSheep.with { first async throws in
                list(first.cluster, first: first.port, others: heir.port)
                list(other, first: first.port, .down, others: heir.port)
                first.cluster.refuseAll(.shuttingDown)
                try await LoopClient.with(first.port) { client in
                    let volume = try await client.open("alice")
                    #expect(try await volume.read(at: 0, length: 1) == [9])
                }
            }
        }
    }

    @Test("told to use another sheep it does, and refuses one that is not there or of another cluster")
    func moving() async throws {
        let cluster = FakeCluster()
        cluster.add("alice", [9])
        let stranger = FakeCluster()
        stranger.can(.nodeList, .nodes([record(NodeID(high: 77, low: 77), 1)]))
        try await FakeSheep.with(cluster: cluster) { first async throws in
            try await FakeSheep.with(cluster: cluster) { second async throws in
                try await FakeSheep.with(cluster: stranger) { third async throws in
                    list(cluster, first: first.port, others: second.port)
                    try await LoopClient.with(first.port) { client in
                        let volume = try await client.open("alice")
                        try await client.move(to: second.port)
                        #expect(await client.endpoint == .tcp(host: "127.0.0.1", port: second.port))
                        #expect(try await volume.read(at: 0, length: 1) == [9])
                        await #expect(throws: ClientError.self) { try await client.move(to: third.port) }
                        try await DeafPort.with { port in
                            _ = await #expect(throws: ClientError.self) { try await client.move(to: port) }
                        }
                        #expect(await client.endpoint == .tcp(host: "127.0.0.1", port: second.port))
                    }
                }
            }
        }
    }

    @Test("closed, it answers everything that waits, and everything that comes, with an error")
    func closing() async throws {
        try await FakeSheep.with { sheep async throws in
            list(sheep.cluster, first: sheep.port)
            sheep.cluster.add("alice", [1])
            try await LoopClient.with(sheep.port) { client in
                let volume = try await client.open("alice")
                await client.close()
                await #expect(throws: SheepError.self) { try await volume.read(at: 0, length: 1) }
                await #expect(throws: SheepError.self) { try await client.find("alice") }
            }
        }
    }

    // MARK: Deciders

    @Test("candidates: the preferred first, each once a round, those that are down last")
    func candidates() {
        let given = SheepEndpoint.tcp(host: "a", port: 1)
        var candidates = SheepCandidates(given: given)
        var round: [SheepEndpoint?] { (0..<4).map { _ in candidates.next() } }
        #expect(round == [given, nil, nil, nil])
        let nodes = [record(Self.gateway, 10, .down), record(NodeID(high: 1, low: 1), 11), record(NodeID(high: 1, low: 2), 12)]
        let isLearned = candidates.learn(nodes)
        #expect(isLearned)
        candidates.prefer(.tcp(host: "127.0.0.1", port: 12))
        #expect(round.map { $0?.description } == ["127.0.0.1:12", "127.0.0.1:11", "127.0.0.1:10", "a:1"])
        candidates.restart()
        #expect(round.count { $0 != nil } == 4)
        let isStranger = !candidates.learn([record(NodeID(high: 5, low: 5), 13)])
        #expect(isStranger)
        let isChanged = candidates.learn([record(NodeID(high: 1, low: 2), 12), record(NodeID(high: 6, low: 6), 14)])
        #expect(isChanged)
    }

    @Test("a fence is lifted by the cluster's word, by the same sheep, and by time")
    func fence() {
        let lost = SheepEndpoint.tcp(host: "127.0.0.1", port: 10)
        let other = SheepEndpoint.tcp(host: "127.0.0.1", port: 11)
        let now = ContinuousClock.now
        let fence = ChangeFence(endpoint: lost, gateway: Self.gateway, since: now)
        let up = [record(Self.gateway, 10), record(NodeID(high: 1, low: 1), 11)]
        let down = [record(Self.gateway, 10, .down), record(NodeID(high: 1, low: 1), 11)]
        #expect(fence.verdict(at: other, nodes: up, now: now) == .holds)
        #expect(fence.verdict(at: other, nodes: up, now: now + .seconds(3)) == .tryAgain)
        #expect(fence.verdict(at: other, nodes: up, now: now + .seconds(40)) == .lifted)
        #expect(fence.verdict(at: other, nodes: down, now: now) == .lifted)
        #expect(fence.verdict(at: other, nodes: [up[1]], now: now) == .lifted)
        #expect(fence.verdict(at: lost, nodes: up, now: now) == .lifted)
        let unknown = ChangeFence(endpoint: lost, gateway: nil, since: now)
        #expect(unknown.verdict(at: other, nodes: down, now: now) == .holds)
    }

    @Test("endpoints are read as they are written")
    func endpoints() {
        #expect(SheepEndpoint("127.0.0.1:7000") == .tcp(host: "127.0.0.1", port: 7000))
        #expect(SheepEndpoint("[::1]:7000") == .tcp(host: "::1", port: 7000))
        #expect(SheepEndpoint("/run/sheep.sock") == .unix(path: "/run/sheep.sock"))
        for text in ["", "host", "host:", ":7000", "host:0", "host:70000", "::1:7000", "[]:1"] { #expect(SheepEndpoint(text) == nil) }
    }
}

/// A ``ClusterClient`` on a loop, for tests that wait.
private final class LoopClient: Sendable {
    private let client: ClusterClient
    init(_ client: ClusterClient) { self.client = client }

    static func with(_ port: UInt16, _ body: (LoopClient) async throws -> Void) async throws {
        var logger = Logger(label: "test")
        logger.logLevel = .critical
        let client = ClusterClient(
            eventLoop: MultiThreadedEventLoopGroup.singleton.next(), endpoint: .tcp(host: "127.0.0.1", port: port), logger: logger)
        let test = LoopClient(client)
        try await test.wait { client, done in client.start { done($0.map { .failure($0) } ?? .success(())) } }
        do {
            try await body(test)
        } catch {
            await test.close()
            throw error
        }
        await test.close()
    }

    func wait<Value: Sendable, Failure: Error>(
        _ body: @escaping @Sendable (ClusterClient, @escaping (Result<Value, Failure>) -> Void) -> Void
    ) async throws -> Value {
        let promise = client.eventLoop.makePromise(of: Value.self)
        let client = client
        client.eventLoop.execute { body(client) { promise.completeWith($0.mapError { $0 as any Error }) } }
        return try await promise.futureResult.get()
    }

    var endpoint: SheepEndpoint? {
        get async { try? await wait { client, done in done(Result<SheepEndpoint?, SheepError>.success(client.endpoint)) } }
    }

    func open(_ name: String) async throws -> LoopVolume {
        try await wait { [self] client, done in
            client.open(name) { done($0.map { LoopVolume(self, $0) }) }
        }
    }

    func find(_ name: String) async throws -> BlockDeviceInformation { try await wait { $0.find(name, completion: $1) } }

    func resize(_ name: String, to size: UInt64) async throws {
        try await wait { client, done in client.resize(name, to: size) { done($0.map { .failure($0) } ?? .success(())) } }
    }

    func move(to port: UInt16) async throws {
        try await wait { client, done in
            client.move(to: .tcp(host: "127.0.0.1", port: port)) { done($0.map { .failure($0) } ?? .success(())) }
        }
    }

    func close() async {
        try? await wait { client, done in
            client.close()
            done(Result<Void, SheepError>.success(()))
        }
    }
}

/// `@unchecked Sendable`: used on the loop only.
private final class LoopVolume: @unchecked Sendable {
    private let client: LoopClient
    private let volume: ClusterVolume
    init(_ client: LoopClient, _ volume: ClusterVolume) { (self.client, self.volume) = (client, volume) }

    func read(at offset: UInt64, length: Int) async throws -> [UInt8] {
        let volume = self
        return try await client.wait { _, done in
            volume.volume.read(at: offset, length: length, appendingTo: ByteBuffer()) { done($0.map { Array($0.readableBytesView) }) }
        }
    }

    private func done(_ body: @escaping @Sendable (ClusterVolume, @escaping (SheepError?) -> Void) -> Void) async throws {
        let volume = self
        try await client.wait { _, done in body(volume.volume) { done($0.map { .failure($0) } ?? .success(())) } }
    }

    func write(_ bytes: [UInt8], at offset: UInt64) async throws {
        try await done { $0.write(ByteBuffer(bytes: bytes), at: offset, durable: false, completion: $1) }
    }

    func zero(at offset: UInt64, length: UInt64) async throws {
        try await done { $0.zero(at: offset, length: length, mayDeallocate: true, durable: false, completion: $1) }
    }

    func flush() async throws { try await done { $0.flush(completion: $1) } }

    func close() async {
        try? await done { volume, done in
            volume.close()
            done(nil)
        }
    }
}
