import ConformanceKit
import FrontendKit
import Glibc
import NBDFrontend
import NIOCore
import ObjectModel
import Testing

@Suite("NBD connections")
struct ConnectionTests {
    @Test("requests are pipelined up to the bound, and answered out of order")
    func pipelining() throws {
        var bounds = NBDBounds()
        bounds.requestsUnderWay = 8
        let server = try TestServer(HeldDevice(), bounds: bounds)
        let client = try RawClient(unix: server.socketPath)
        try client.go("held")
        for cookie in 0..<20 as Range<UInt64> { client.sendRequest(.read, cookie: cookie, offset: cookie, length: 512) }
        #expect(waitUntil { server.onLoop { $0.held.count } == 8 })
        server.onLoop { $0.complete(5) }
        var reply = client.receive(SimpleReply.size + 512)
        #expect(try SimpleReply(from: &reply) == SimpleReply(cookie: 5))
        #expect(reply.readableBytesView.allSatisfy { $0 == 5 })
        var answered: Set<UInt64> = [5]
        while answered.count < 20 {
            #expect(waitUntil { server.onLoop { !$0.held.isEmpty } })
            server.onLoop { $0.complete($0.held.count - 1) }
            answered.insert(try client.receiveSimpleReply().cookie)
            _ = client.receive(512)
        }
        #expect(server.onLoop { $0.mostHeld } == 8)
    }

    @Test("payload under way is bounded too")
    func byteBound() throws {
        var bounds = NBDBounds()
        bounds.bytesUnderWay = 1 << 20
        let server = try TestServer(HeldDevice(), bounds: bounds)
        let client = try RawClient(unix: server.socketPath)
        try client.go("held")
        for cookie in 0..<20 as Range<UInt64> { client.sendRequest(.read, cookie: cookie, length: 256 << 10) }
        #expect(waitUntil { server.onLoop { $0.held.count } == 4 })
        for _ in 0..<20 {
            #expect(waitUntil { server.onLoop { !$0.held.isEmpty } })
            server.onLoop { $0.complete(0) }
            #expect(client.receive(SimpleReply.size + 256 << 10).readableBytes == SimpleReply.size + 256 << 10)
        }
        #expect(server.onLoop { $0.mostHeld } == 4)
    }

    @Test("a disconnect request lets what is under way finish")
    func disconnect() throws {
        let server = try TestServer(HeldDevice())
        let client = try RawClient(unix: server.socketPath)
        try client.go("held")
        client.sendRequest(.write, cookie: 7, length: 4, flags: .forceUnitAccess, payload: [1, 2, 3, 4])
        client.sendRequest(.disconnect)
        #expect(waitUntil { server.onLoop { $0.held.map(\.what) } == ["durable write"] })
        #expect(client.isQuiet())
        server.onLoop { $0.complete(0) }
        #expect(try client.receiveSimpleReply() == SimpleReply(cookie: 7))
        #expect(client.isClosedByServer())
        #expect(waitUntil { server.onLoop { $0.closes } == 1 })
    }

    @Test("the server stops: requests under way are answered, then connections close and the socket is gone")
    func stop() throws {
        let server = try TestServer(HeldDevice())
        let client = try RawClient(unix: server.socketPath)
        try client.go("held")
        client.sendRequest(.flush, cookie: 3)
        #expect(waitUntil { server.onLoop { $0.held.count } == 1 })
        nonisolated(unsafe) var isStopped = false
        let nbd = server.server
        server.onLoop { _ in nbd.stop { isStopped = true } }
        #expect(server.onLoop { _ in isStopped } == false)
        #expect(access(server.socketPath, F_OK) == -1)
        server.onLoop { $0.complete(0) }
        #expect(try client.receiveSimpleReply() == SimpleReply(cookie: 3))
        #expect(client.isClosedByServer())
        #expect(waitUntil { server.onLoop { _ in isStopped } })
    }

    @Test("the server stops although a request is never answered")
    func stopForced() throws {
        var bounds = NBDBounds()
        bounds.drainSeconds = 0.1
        let server = try TestServer(HeldDevice(), bounds: bounds)
        let client = try RawClient(unix: server.socketPath)
        try client.go("held")
        client.sendRequest(.flush, cookie: 3)
        #expect(waitUntil { server.onLoop { $0.held.count } == 1 })
        server.stop()
        #expect(client.isClosedByServer())
        server.onLoop { $0.completeAll() }
    }

    @Test("errors of the device: simple and structured")
    func deviceErrors() throws {
        let server = try TestServer(HeldDevice())
        let simple = try RawClient(unix: server.socketPath)
        try simple.go("held")
        simple.sendRequest(.read, cookie: 1, length: 4096)
        #expect(waitUntil { server.onLoop { $0.held.count } == 1 })
        server.onLoop { $0.complete(0, SheepError(.waitingForNodes, "two of three nodes are down")) }
        #expect(try simple.receiveSimpleReply() == SimpleReply(cookie: 1, error: .inputOutput))
        let structured = try RawClient(unix: server.socketPath)
        try structured.go("held", structured: true)
        structured.sendRequest(.read, cookie: 2, offset: 512, length: 4096)
        structured.sendRequest(.write, cookie: 3, length: 1, payload: [0])
        #expect(waitUntil { server.onLoop { $0.held.count } == 2 })
        server.onLoop { $0.complete(0, SheepError(.noSpace, "full")) }
        server.onLoop { $0.complete(0, SheepError(.noSpace, "full")) }
        var (header, chunk) = try structured.receiveChunk()
        #expect(header.kind == .errorOffset && header.cookie == 2 && header.isDone)
        #expect(try ErrorChunk(from: &chunk) == ErrorChunk(error: .noSpace, text: "full", offset: 512))
        (header, chunk) = try structured.receiveChunk()
        #expect(header.kind == .error && header.cookie == 3)
        #expect(try ErrorChunk(from: &chunk) == ErrorChunk(error: .noSpace, text: "full"))
        #expect(server.statistics.requestsFailed == 3)
    }

    @Test("an empty read, and zeroing only if it is fast")
    func corners() throws {
        let server = try TestServer(HeldDevice())
        let client = try RawClient(unix: server.socketPath)
        try client.go("held", structured: true)
        client.sendRequest(.read, cookie: 1)
        let (empty, _) = try client.receiveChunk()
        #expect(empty.kind == .none && empty.isDone && empty.cookie == 1)
        client.sendRequest(.writeZeroes, cookie: 2, length: 4096, flags: .fastZero)
        var (refused, chunk) = try client.receiveChunk()
        #expect(refused.kind == .error)
        #expect(try ErrorChunk(from: &chunk).error == .notSupported)
    }

    @Test("volumes created and resized while the server runs are there")
    func createAndResize() throws {
        let server = try TestServer(MemoryBlockDeviceProvider())
        #expect(throws: SheepError.self) { try LibnbdTarget(.unix(server.socketPath), export: "late") }
        server.onLoop { _ = $0.create("late", size: 1 << 20) }
        let client = try LibnbdTarget(.unix(server.socketPath), export: "late")
        let raw = try RawClient(unix: server.socketPath)
        try raw.go("late")
        raw.sendRequest(.read, cookie: 1, offset: 1 << 20, length: 1)
        #expect(try raw.receiveSimpleReply().error == .invalid)
        server.onLoop { $0.volumes["late"]!.size = 2 << 20 }
        raw.sendRequest(.read, cookie: 2, offset: 1 << 20, length: 1)
        #expect(try raw.receiveSimpleReply().error == nil)
        #expect(client.size == 1 << 20)
        try client.reopen()
        #expect(client.size == 2 << 20)
    }

    @Test("snapshots are read-only and keep what they had")
    func snapshots() throws {
        let provider = MemoryBlockDeviceProvider()
        provider.create("v", size: 1 << 20)
        let server = try TestServer(provider)
        let volume = try LibnbdTarget(.unix(server.socketPath), export: "v")
        try volume.write([1, 2, 3], at: 100, durable: false)
        server.onLoop { _ = $0.snapshot("v", tag: "monday") }
        try volume.write([9, 9, 9], at: 100, durable: false)
        let snapshot = try LibnbdTarget(.unix(server.socketPath), export: "v@monday")
        #expect(try snapshot.read(at: 100, length: 3) == [1, 2, 3])
        let error = #expect(throws: SheepError.self) { try snapshot.write([0], at: 0, durable: false) }
        #expect(error?.code == .readOnly)
    }

    @Test("durable requests and flushes reach the device as such, over any connection")
    func durability() throws {
        let provider = MemoryBlockDeviceProvider()
        provider.create("v", size: 1 << 20)
        let server = try TestServer(provider)
        let first = try LibnbdTarget(.unix(server.socketPath), export: "v")
        let second = try LibnbdTarget(.tcp(port: server.port), export: "v")
        try first.write([1], at: 0, durable: false)
        #expect(server.onLoop { $0.volumes["v"]!.durableRequests } == 0)
        try second.flush()
        try first.write([1], at: 0, durable: true)
        try first.trim(at: 0, length: 1, durable: true)
        try second.zero(at: 0, length: 1, mayDeallocate: true, onlyIfFast: false, durable: true)
        #expect(server.onLoop { $0.volumes["v"]!.durableRequests } == 4)
    }

    @Test("a stale socket is replaced; a living one and other files are not; our own is removed")
    func socketFile() throws {
        let directory = TemporaryDirectory()
        let path = "\(directory.path)/s"
        let stale = socket(AF_UNIX, CInt(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
        let bound = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(stale, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        #expect(bound == 0)
        close(stale)
        do {
            let loop = LoopThread()
            let server = loop.server(.unix(path: path))
            try server.start()
            _ = try RawClient(unix: path)
            let second = loop.server(.unix(path: path))
            let busy = #expect(throws: SheepError.self) { try second.start() }
            #expect(busy?.code == .busy)
            loop.stop(server)
        }
        #expect(access(path, F_OK) == -1)
        let file = creat(path, 0o600)
        close(file)
        let loop = LoopThread()
        let refused = #expect(throws: SheepError.self) { try loop.server(.unix(path: path)).start() }
        #expect(refused?.code == .invalidArgument)
        #expect(access(path, F_OK) == 0)
        let long = #expect(throws: SheepError.self) {
            try loop.server(.unix(path: String(repeating: "x", count: 108))).start()
        }
        #expect(long?.code == .invalidArgument)
    }

    @Test("a port in use is refused with its address, and the other listeners are taken back")
    func portInUse() throws {
        let server = try TestServer(MemoryBlockDeviceProvider())
        let directory = TemporaryDirectory()
        let path = "\(directory.path)/s"
        let loop = LoopThread()
        let second = loop.server(.unix(path: path), .tcp(host: "127.0.0.1", port: server.port))
        let error = #expect(throws: SheepError.self) { try second.start() }
        #expect(error?.message.contains("127.0.0.1:\(server.port)") == true)
        #expect(access(path, F_OK) == -1)
    }
}
