import ConformanceKit
import FrontendKit
import Logging
import NBDFrontend
import NIOCore
import NIOPosix
import ObjectModel

/// A server with a loop of its own, on a unix socket and a free TCP port; stopped when the value goes out of scope.
///
/// `@unchecked Sendable`: the provider is used on the loop only, through ``onLoop(_:)``.
struct TestServer<Provider: BlockDeviceProvider & SendableMetatype>: ~Copyable, @unchecked Sendable {
    let directory = TemporaryDirectory()
    let server: NBDServer<Provider>
    private let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    private let provider: Provider

    init(_ provider: Provider, defaultExport: String? = nil, bounds: NBDBounds = NBDBounds()) throws {
        self.provider = provider
        let configuration = NBDConfiguration(
            listeners: [.unix(path: "\(directory.path)/socket"), .tcp(host: "127.0.0.1", port: 0)],
            defaultExport: defaultExport, bounds: bounds)
        var logger = Logger(label: "test")
        logger.logLevel = .critical
        server = NBDServer(eventLoop: group.next(), provider: provider, configuration: configuration, logger: logger)
        try server.start()
    }

    var socketPath: String { "\(directory.path)/socket" }
    var port: Int { server.boundAddresses[1].port! }
    var uri: String { "nbd+unix:///?socket=\(socketPath)" }
    func uri(_ export: String) -> String { "nbd+unix:///\(export)?socket=\(socketPath)" }

    /// Runs on the server's loop and waits.
    func onLoop<Result: Sendable>(_ body: @escaping @Sendable (Provider) -> Result) -> Result {
        nonisolated(unsafe) let provider = provider
        return try! group.next().submit { body(provider) }.wait()
    }

    var statistics: NBDStatistics {
        let server = server
        return onLoop { _ in server.statistics }
    }

    /// Waits for a condition on the statistics; false after ten seconds.
    func eventually(_ condition: (NBDStatistics) -> Bool) -> Bool {
        waitUntil { condition(statistics) }
    }

    func stop() {
        let server = server
        let stopped = group.next().makePromise(of: Void.self)
        group.next().execute { server.stop { stopped.succeed() } }
        try! stopped.futureResult.wait()
    }

    deinit {
        if !server.boundAddresses.isEmpty { stop() }
        try! group.syncShutdownGracefully()
    }
}
