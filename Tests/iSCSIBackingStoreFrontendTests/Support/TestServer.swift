import ConformanceKit
import Logging
import NIOCore
import NIOPosix
import iSCSIBackingStoreFrontend

/// A server with a loop of its own on a unix socket; stopped when the value goes out of scope.
///
/// `@unchecked Sendable`: the volumes are used on the loop only, through ``onLoop(_:)``.
final class TestServer: @unchecked Sendable {
    let directory = TemporaryDirectory()
    let server: BackingStoreServer<MemoryVolumes>
    private let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    private let volumes = MemoryVolumes()

    init(bounds: BackingStoreBounds = BackingStoreBounds()) throws {
        var logger = Logger(label: "test")
        logger.logLevel = .critical
        server = BackingStoreServer(
            eventLoop: group.next(), backend: volumes,
            configuration: BackingStoreConfiguration(socket: "\(directory.path)/sock", bounds: bounds), logger: logger)
        try server.start()
    }

    var socketPath: String { "\(directory.path)/sock" }
    func client(version: UInt8 = 1) throws -> SheepdogClient { SheepdogClient(try RawClient(unix: socketPath), version: version) }
    func dog() throws -> SheepdogClient { try client(version: 2) }

    /// Runs on the server's loop and waits.
    @discardableResult
    func onLoop<Result: Sendable>(_ body: @escaping @Sendable (MemoryVolumes) -> Result) -> Result {
        nonisolated(unsafe) let volumes = volumes
        return try! group.next().submit { body(volumes) }.wait()
    }

    var statistics: BackingStoreStatistics {
        let server = server
        return onLoop { _ in server.statistics }
    }

    deinit {
        let server = server
        let stopped = group.next().makePromise(of: Void.self)
        group.next().execute { server.stop { stopped.succeed() } }
        try! stopped.futureResult.wait()
        try! group.syncShutdownGracefully()
    }
}
