import Cluster
import FrontendKit
import Gateway
import Glibc
import LocalEngine
import Logging
import NBDFrontend
import NIOCore
import NIOPosix
import ObjectModel
import ObjectStore
import SheepProtocol
import Transport

/// The real parts, as the `sheep` program puts them together.
enum LiveEnvironment: NodeEnvironment {
    typealias StoreDisk = FileDisk
    typealias Engine = LocalEngine
    typealias Network = PeerLinks
    typealias Clock = NodeLoop
}

extension NodeLoop: EngineLoop {
    package func schedule(afterNanoseconds delay: UInt64, _ work: @escaping () -> Void) { schedule(after: delay, work) }
}

/// Some sheep in this process, each on its own event loop with its own store, formatted as one cluster.
///
/// `@unchecked Sendable`: each sheep is used on its loop only.
final class LiveCluster: @unchecked Sendable {
    final class Member: @unchecked Sendable {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let loop: NodeLoop
        var store: ObjectStore<FileDisk>?
        var node: SheepNode<LiveEnvironment>!
        var directory: VolumeDirectory<LiveEnvironment>!
        var listener: Listener<LiveEnvironment>?
        var nbd: NBDServer<VolumeDirectory<LiveEnvironment>>?
        var socket = ""
        /// A unix socket for tools, which may share memory with the sheep.
        var door = ""
        /// Of the loopback.
        var port: UInt16 = 0
        init() { loop = NodeLoop(eventLoop: group.next()) }

        /// Runs on the sheep's loop and waits for the answer.
        func wait<Value: Sendable>(
            _ start: @escaping @Sendable (@escaping @Sendable (Result<Value, SheepError>) -> Void) -> Void
        ) throws -> Value {
            let promise = loop.eventLoop.makePromise(of: Result<Value, SheepError>.self)
            loop.post { start { promise.succeed($0) } }
            return try promise.futureResult.wait().get()
        }
    }

    let path: String
    private(set) var members: [Member] = []

    init(sheep count: Int, copies: UInt8) throws {
        var template = Array("/tmp/gateway-test-XXXXXX".utf8CString)
        precondition(mkdtemp(&template) != nil, "no temporary directory")
        path = String(decoding: template.dropLast().map(UInt8.init(bitPattern:)), as: UTF8.self)
        for number in 0..<count { members.append(try start(number)) }
        try waitUntilAllAreUp()
        let format = ClusterFormat(copies: copies, objectShift: 22, flags: 0, force: false)
        _ = try administer(.clusterFormat(format))
    }

    deinit {
        for member in members {
            try? member.wait { (done: @escaping @Sendable (Result<Void, SheepError>) -> Void) in
                let finish = {
                    member.listener?.stop()
                    member.node.end(.stopped)
                    member.store?.close { _ in done(.success(())) }
                }
                if let nbd = member.nbd { nbd.stop(completion: finish) } else { finish() }
            }
            try? member.group.syncShutdownGracefully()
        }
        Self.removeTree(path)
    }

    private static func removeTree(_ path: String) {
        if let folder = opendir(path) {
            while let entry = readdir(folder) {
                let name = withUnsafePointer(to: &entry.pointee.d_name) {
                    $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
                }
                if name != ".", name != ".." { removeTree("\(path)/\(name)") }
            }
            closedir(folder)
        }
        Glibc.remove(path)
    }

    private func start(_ number: Int) throws -> Member {
        let member = Member()
        let store = path + "/\(number)"
        mkdir(store, 0o700)
        member.socket = path + "/\(number).sock"
        // A port of the kernel's choice cannot be announced before it is bound; a probe finds a free one.
        let port = try Self.freePort()
        member.port = port
        let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        let report: StartReport = try member.wait { done in
            let disk = try! FileDisk(path: store) { [loop = member.loop] work in loop.post(work) }
            ObjectStore.open(disk: disk, configuration: StoreConfiguration()) { result in
                member.store = try? result.get().0
                done(result.map(\.1))
            }
        }
        try member.wait { (done: @escaping @Sendable (Result<Void, SheepError>) -> Void) in
            do throws(SheepError) {
                let meeting = try LocalEngineDirectory.resolve(option: self.path, store: store)
                let engine = try LocalEngine(node: report.identity.node, directory: meeting, loop: member.loop)
                let boot = BootID(rawValue: .random(in: 1 ... .max))
                let node = SheepNode<LiveEnvironment>(
                    identity: report.identity.node, boot: boot,
                    options: NodeOptions(address: NodeAddress(host: "127.0.0.1", port: port), zone: UInt32(port), virtualNodes: 8),
                    clock: member.loop,
                    network: PeerLinks(loop: member.loop, node: report.identity.node, boot: boot, logger: logger),
                    engine: engine, store: member.store, report: report, lostPower: false,
                    random: { .random(in: .min ... .max) }, logger: logger)
                member.node = node
                member.directory = VolumeDirectory(node: node)
                let listener = Listener(node: node, directory: member.directory, loop: member.loop, logger: logger)
                member.listener = listener
                listener.shortCircuit = ShortCircuitOffer(board: "", store: "", boot: boot)
                listener.start(host: "127.0.0.1", port: Int(port)) { error in
                    node.start()
                    done(error.map { .failure($0) } ?? .success(()))
                }
            } catch {
                done(.failure(error))
            }
        }
        let nbd = NBDServer(
            eventLoop: member.loop.eventLoop, provider: member.directory,
            configuration: NBDConfiguration(listeners: [.unix(path: member.socket)]), logger: logger)
        try nbd.start()
        member.nbd = nbd
        member.door = path + "/\(number).door"
        _ = try ServerBootstrap(group: member.loop.eventLoop)
            .childChannelInitializer { channel in channel.eventLoop.makeCompletedFuture { try member.listener?.accept(channel) } }
            .bind(unixDomainSocketPath: member.door).wait()
        return member
    }

    private static func freePort() throws -> UInt16 {
        let channel = try ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton).bind(host: "127.0.0.1", port: 0).wait()
        defer { try? channel.close().wait() }
        return UInt16(channel.localAddress!.port!)
    }

    private func waitUntilAllAreUp() throws {
        let deadline = ContinuousClock.now + .seconds(30)
        while true {
            let up = try members.map { member in
                try member.wait { done in
                    done(.success(member.node.isServing ? member.node.control.state.nodes.values.count { $0.isUp } : 0))
                } as Int
            }
            if up.allSatisfy({ $0 == members.count }) { return }
            guard ContinuousClock.now < deadline else { throw SheepError(.waitingForNodes, "up nodes seen: \(up)") }
            usleep(10_000)
        }
    }

    @discardableResult
    func administer(_ request: AdministrationRequest, at member: Int = 0) throws -> AdministrationReply {
        let member = members[member]
        return try member.wait { done in member.node.administer(request) { done($0) } }
    }
}
