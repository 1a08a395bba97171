import ConformanceKit
import FrontendKit
import Glibc
import NBDFrontend
import NIOCore
import ObjectModel
import Testing

/// Clients that lie: each gets the protocol's error or a closed connection, and an honest client beside it sees nothing.
@Suite("NBD clients that lie")
struct HostileClientTests {
    /// Runs a lie beside an honest client that works before, meanwhile and after.
    private func beside(
        _ bounds: NBDBounds = NBDBounds(), _ lie: (borrowing TestServer<MemoryBlockDeviceProvider>) throws -> Void
    ) throws {
        let provider = MemoryBlockDeviceProvider()
        provider.create("v", size: 64 << 20)
        let server = try TestServer(provider, bounds: bounds)
        let honest = try LibnbdTarget(.unix(server.socketPath), export: "v")
        try honest.write([1, 2, 3], at: 0, durable: false)
        try lie(server)
        #expect(try honest.read(at: 0, length: 3) == [1, 2, 3])
        try honest.write([4], at: 5000, durable: true)
        #expect(try honest.read(at: 5000, length: 1) == [4])
        #expect(server.eventually { $0.connections == 1 })
        #expect(waitUntil { server.onLoop { $0.volumes["v"]!.users } == 1 })
    }

    @Test("garbage instead of a handshake")
    func garbage() throws {
        try beside { server in
            for bytes in [[0xFF, 0xFF, 0xFF, 0xFF], [0, 0, 0, 3] + Array(repeating: 0x41, count: 500)] as [[UInt8]] {
                let client = try RawClient(unix: server.socketPath)
                client.send(ByteBuffer(bytes: bytes))
                #expect(client.isClosedByServer())
            }
            #expect(server.statistics.protocolErrors == 2)
        }
    }

    @Test("options of 4 GiB, and unknown ones")
    func options() throws {
        try beside { server in
            let long = try RawClient(unix: server.socketPath)
            try long.greet()
            long.send { OptionHeader(option: 7, length: .max).encode(into: &$0) }
            #expect(long.isClosedByServer())
            let unknown = try RawClient(unix: server.socketPath)
            try unknown.greet()
            for option in [0, 4, 77, 5, 11] as [UInt32] {
                unknown.sendOption(option, ByteBuffer(string: "whatever"))
                #expect(try unknown.receiveOptionReply().kind == .unsupported)
            }
            unknown.sendOption(6, ByteBuffer(repeating: 0, count: 100_000))
            #expect(try unknown.receiveOptionReply().kind == .tooBig)
            unknown.sendOption(.abort)
            #expect(try unknown.receiveOptionReply().kind == .acknowledged)
            #expect(unknown.isClosedByServer())
        }
    }

    @Test("requests with a wrong magic number, 4 GiB, unknown commands and flags, past the end")
    func requests() throws {
        try beside { server in
            let magic = try RawClient(unix: server.socketPath)
            try magic.go("v")
            magic.send(ByteBuffer(repeating: 0, count: 28))
            #expect(magic.isClosedByServer())
            let huge = try RawClient(unix: server.socketPath)
            try huge.go("v")
            huge.sendRequest(.write, length: .max, payload: [1, 2, 3])
            #expect(huge.isClosedByServer())
            let client = try RawClient(unix: server.socketPath)
            try client.go("v")
            client.sendRequest(.read, cookie: 1, length: .max)
            #expect(try client.receiveSimpleReply() == SimpleReply(cookie: 1, error: .invalid))
            client.sendRequest(.read, cookie: 2, length: 512, flags: CommandFlags(rawValue: 0x8000))
            #expect(try client.receiveSimpleReply() == SimpleReply(cookie: 2, error: .invalid))
            client.sendRequest(.write, cookie: 3, offset: 64 << 20, length: 3, payload: [1, 2, 3])
            #expect(try client.receiveSimpleReply() == SimpleReply(cookie: 3, error: .noSpace))
            client.sendRequest(.write, cookie: 4, length: 33 << 20, payload: Array(repeating: 7, count: 33 << 20))
            #expect(try client.receiveSimpleReply() == SimpleReply(cookie: 4, error: .invalid))
            client.send {
                var header = RequestHeader(command: .read, cookie: 5, offset: .max, length: .max)
                header.command = 99
                header.encode(into: &$0)
            }
            #expect(try client.receiveSimpleReply() == SimpleReply(cookie: 5, error: .invalid))
            client.sendRequest(.blockStatus, cookie: 6, length: 4096)
            #expect(try client.receiveSimpleReply() == SimpleReply(cookie: 6, error: .invalid))
            client.sendRequest(.read, cookie: 7, offset: .max, length: 2)
            #expect(try client.receiveSimpleReply() == SimpleReply(cookie: 7, error: .invalid))
            #expect(server.statistics.requestsRefused == 7 && server.statistics.protocolErrors == 2)
        }
    }

    @Test("half a handshake, then silence")
    func silentHandshake() throws {
        var bounds = NBDBounds()
        bounds.handshakeSeconds = 0.2
        try beside(bounds) { server in
            let silent = try RawClient(unix: server.socketPath)
            let half = try RawClient(unix: server.socketPath)
            try half.greet()
            half.send(ByteBuffer(bytes: [0x49, 0x48]))
            #expect(silent.isClosedByServer() && half.isClosedByServer())
            #expect(server.statistics.timeLimits == 2)
        }
    }

    @Test("half a request, then silence; idle clients stay")
    func silentRequest() throws {
        var bounds = NBDBounds()
        bounds.stallSeconds = 0.2
        try beside(bounds) { server in
            let idle = try RawClient(unix: server.socketPath)
            try idle.go("v")
            let header = try RawClient(unix: server.socketPath)
            try header.go("v")
            header.send(ByteBuffer(bytes: [0x25, 0x60]))
            let payload = try RawClient(unix: server.socketPath)
            try payload.go("v")
            payload.sendRequest(.write, length: 1 << 20, payload: [1, 2, 3])
            let refused = try RawClient(unix: server.socketPath)
            try refused.go("v")
            refused.sendRequest(.write, offset: .max, length: 1 << 20, payload: [1, 2, 3])
            #expect(header.isClosedByServer() && payload.isClosedByServer() && refused.isClosedByServer())
            #expect(server.statistics.timeLimits == 3)
            idle.sendRequest(.flush, cookie: 4)
            #expect(try idle.receiveSimpleReply() == SimpleReply(cookie: 4))
        }
    }

    @Test("a client that takes no replies is not read any further, then closed")
    func takesNoReplies() throws {
        var bounds = NBDBounds()
        bounds.stallSeconds = 0.5
        try beside(bounds) { server in
            let client = try RawClient(unix: server.socketPath)
            try client.go("v")
            for cookie in 0..<200 as Range<UInt64> { client.sendRequest(.read, cookie: cookie, length: 1 << 20) }
            #expect(server.eventually { $0.timeLimits == 1 })
            #expect(server.statistics.requests < 100)
        }
    }

    @Test("a disconnect in the middle of a write: nothing of it is executed")
    func halfWrite() throws {
        try beside { server in
            for length in [1000, 1 << 20] as [UInt32] {
                let client = try RawClient(unix: server.socketPath)
                try client.go("v")
                client.sendRequest(.write, offset: 1 << 20, length: length, payload: Array(repeating: 7, count: Int(length) - 1))
                client.disconnect()
            }
            #expect(server.eventually { $0.connections == 1 })
            let reader = try LibnbdTarget(.unix(server.socketPath), export: "v")
            #expect(try reader.read(at: 1 << 20, length: 1 << 20).allSatisfy { $0 == 0 })
        }
    }

    @Test("a reset while replies are being sent")
    func reset() throws {
        try beside { server in
            for _ in 0..<20 {
                let client = try RawClient(port: server.port)
                try client.go("v")
                for cookie in 0..<16 as Range<UInt64> { client.sendRequest(.read, cookie: cookie, length: 1 << 20) }
                _ = client.receive(10_000)
                client.reset()
            }
            for _ in 0..<20 {
                let client = try RawClient(unix: server.socketPath)
                try client.go("v")
                for cookie in 0..<16 as Range<UInt64> { client.sendRequest(.read, cookie: cookie, length: 1 << 20) }
                client.disconnect()
            }
        }
    }

    @Test("replies that come after the client has gone")
    func lateReplies() throws {
        let server = try TestServer(HeldDevice())
        let client = try RawClient(unix: server.socketPath)
        try client.go("held")
        client.sendRequest(.read, cookie: 1, length: 4096)
        client.sendRequest(.write, cookie: 2, length: 1, payload: [1])
        client.sendRequest(.flush, cookie: 3)
        #expect(waitUntil { server.onLoop { $0.held.count } == 3 })
        client.disconnect()
        #expect(server.eventually { $0.connections == 0 })
        server.onLoop { $0.completeAll() }
        #expect(server.onLoop { $0.closes } == 1)
    }

    @Test("200 connections, idle ones, working ones and halves; then all are gone")
    func manyConnections() throws {
        try beside { server in
            var clients: [RawClient] = []
            for index in 0..<200 {
                let client = try RawClient(unix: server.socketPath)
                if index % 2 == 0 { try client.go("v") }
                if index % 4 == 0 { client.sendRequest(.write, length: 1 << 20, payload: [1]) }
                clients.append(client)
            }
            #expect(server.eventually { $0.connections == 201 })
            for index in stride(from: 2, to: 200, by: 4) {
                clients[index].sendRequest(.flush, cookie: UInt64(index))
                #expect(try clients[index].receiveSimpleReply() == SimpleReply(cookie: UInt64(index)))
            }
            clients = []
            #expect(server.eventually { $0.connections == 1 })
        }
    }

    @Test("connections beyond the bound are closed at once, and there is room again afterwards")
    func tooManyConnections() throws {
        var bounds = NBDBounds()
        bounds.connections = 3
        try beside(bounds) { server in
            let second = try RawClient(unix: server.socketPath)
            try second.go("v")
            do {
                let third = try RawClient(port: server.port)
                try third.go("v")
                let fourth = try RawClient(unix: server.socketPath)
                #expect(fourth.isClosedByServer())
                #expect(server.statistics.connectionsRefused == 1)
            }
            #expect(server.eventually { $0.connections == 2 })
            let next = try RawClient(unix: server.socketPath)
            try next.go("v")
        }
    }
}
