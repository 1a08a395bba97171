import FrontendKit
import Logging
import NBDFrontend
import NIOCore
import NIOPosix

/// An event loop for servers that a test starts by itself.
struct LoopThread: ~Copyable {
    private let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)

    deinit { try! group.syncShutdownGracefully() }

    func server(_ listeners: NBDListener...) -> NBDServer<MemoryBlockDeviceProvider> {
        var logger = Logger(label: "test")
        logger.logLevel = .critical
        return NBDServer(
            eventLoop: group.next(), provider: MemoryBlockDeviceProvider(),
            configuration: NBDConfiguration(listeners: listeners), logger: logger)
    }

    func stop(_ server: NBDServer<MemoryBlockDeviceProvider>) {
        let stopped = group.next().makePromise(of: Void.self)
        group.next().execute { server.stop { stopped.succeed() } }
        try! stopped.futureResult.wait()
    }
}
