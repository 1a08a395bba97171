import ConformanceKit
import FrontendKit
import NIOCore
import ObjectModel
import Testing
import iSCSIBackingStoreFrontend

/// Clients that lie: each gets an error code or a closed connection, and an honest client beside it sees nothing.
@Suite("Clients of Sheepdog that lie")
struct HostileClientTests {
    private func beside(
        _ bounds: BackingStoreBounds = BackingStoreBounds(), _ lie: (TestServer, VID) throws -> Void
    ) throws {
        let server = try TestServer(bounds: bounds)
        let honest = try server.client()
        let vid = try honest.new("v", size: 64 << 20).vid
        let object = SheepdogObjectID(.data, vid, index: 3)
        #expect(try honest.write(object, [1, 2, 3], flags: .tgt) == .success)
        try lie(server, vid)
        #expect(Array(try honest.read(object, length: 3, flags: .tgt).data.readableBytesView) == [1, 2, 3])
        #expect(waitUntil { server.statistics.connections == 1 })
        #expect(server.onLoop { $0.clients(vid).there } == 1)
        // The device that connections share, and the honest client's own.
        #expect(server.onLoop { $0.users(vid) } == 2)
    }

    @Test("lengths of 4 GiB and payloads that are too long")
    func lengths() throws {
        try beside { server, vid in
            let client = try server.client()
            let data = SheepdogObjectID(.data, vid)
            for opcode in Opcode.allCases where opcode != .readObject {
                var request = RequestHeader(version: opcode.rawValue < 0x80 ? 1 : 10, opcode: opcode.rawValue, flags: .write, id: 1, dataLength: .max)
                request.object = data
                let liar = try server.client()
                liar.send(request)
                #expect(liar.raw.isClosedByServer(), "\(opcode)")
            }
            #expect(try client.ask(.readObject, length: Int(UInt32.max)) { $0.object = data }.result == .invalidParameters)
            #expect(try client.ask(.readObject, length: 4 << 20 + 1) { $0.object = data }.result == .invalidParameters)
            #expect(try client.ask(.writeObject, length: 512) { $0.object = data }.result == .invalidParameters, "without a payload")
            let long = ByteBuffer(repeating: 1, count: 4 << 20 + 1)
            #expect(try client.ask(.writeObject, long) { $0.object = data }.result == .invalidParameters)
            #expect(try client.ask(.flushVolume, ByteBuffer(repeating: 1, count: 1 << 20)).result == .invalidParameters)
            #expect(try client.read(data, length: 1, at: 1 << 40).result == .invalidParameters)
            #expect(try client.write(data, [1], at: .max, flags: .tgt) == .invalidParameters)
            #expect(try client.read(data, length: 8, at: UInt64(UInt32.max), flags: .tgt).result == .success)
        }
    }

    @Test("objects that no volume has", arguments: [UInt64.max, 0, 1 << 56, 1 << 58, 1 << 59, 1 << 60, 1 << 61, 1 << 62, 1 << 63, 3 << 62])
    func objects(_ rawValue: UInt64) throws {
        try beside { server, _ in
            let client = try server.client()
            let object = SheepdogObjectID(rawValue: rawValue)
            #expect(try client.read(object, length: 512).result == .noObject)
            #expect([.noObject, .invalidParameters].contains(try client.write(object, [1], create: true)))
            #expect([.noObject, .invalidParameters].contains(try client.ask(.discardObject) { $0.object = object }.result))
            #expect(try client.ask(.objectExists) { $0.object = object }.result == .noObject)
        }
    }

    @Test("names without an end, empty, and no text")
    func names() throws {
        try beside { server, _ in
            let client = try server.client()
            for opcode in [Opcode.newVolume, .lockVolume, .getVolumeInformation, .deleteVolume] {
                #expect(try client.ask(opcode, ByteBuffer(repeating: 0x61, count: 256)).result == .invalidParameters)
                #expect(try client.ask(opcode, ByteBuffer(repeating: 0, count: 256)).result == .invalidParameters)
                #expect(try client.ask(opcode, ByteBuffer(repeating: 0xFF, count: 255)).result == .invalidParameters)
                var broken = ByteBuffer(bytes: [0xC3, 0x28])
                broken.writeRepeatingByte(0, count: 254)
                #expect(try client.ask(opcode, broken).result == .invalidParameters)
            }
            #expect(try client.ask(.newVolume, SheepdogClient.names("x")) { $0.copyPolicy = 0x22 }.result == .invalidParameters)
            #expect(try client.ask(.newVolume, SheepdogClient.names("x")) { $0.copies = 32 }.result == .invalidParameters)
            #expect(try client.ask(.newVolume, SheepdogClient.names("x")) { $0.objectShift = 60 }.result == .invalidParameters)
        }
    }

    @Test("a write that never comes to its end, byte by byte, is nobody's")
    func half() throws {
        var bounds = BackingStoreBounds()
        bounds.stallSeconds = 0.2
        try beside(bounds) { server, vid in
            let client = try server.client()
            var request = RequestHeader(opcode: Opcode.writeObject.rawValue, flags: [.write, .tgt], id: 1, dataLength: 4096)
            request.object = SheepdogObjectID(.data, vid, index: 3)
            var bytes = ByteBuffer()
            request.encode(into: &bytes)
            bytes.writeRepeatingByte(9, count: 4095)
            while let byte = bytes.readSlice(length: min(97, bytes.readableBytes)), byte.readableBytes > 0 { client.raw.send(byte) }
            #expect(client.raw.isClosedByServer())
            #expect(server.statistics.timeLimits == 1)
        }
    }

    @Test("replies that are not taken stop the reading, then the connection")
    func unread() throws {
        var bounds = BackingStoreBounds()
        bounds.stallSeconds = 0.2
        try beside(bounds) { server, vid in
            let client = try server.client()
            var request = RequestHeader(opcode: Opcode.readObject.rawValue, flags: .tgt, id: 1, dataLength: 4 << 20)
            request.object = SheepdogObjectID(.data, vid)
            for _ in 0..<200 { client.send(request) }
            #expect(waitUntil { server.statistics.timeLimits == 1 })
            #expect(server.statistics.requests < 100)
        }
    }

    @Test("more connections than there may be")
    func connections() throws {
        var bounds = BackingStoreBounds()
        bounds.connections = 3
        try beside(bounds) { server, _ in
            let clients = [try server.client(), try server.client()]
            for client in clients { #expect(try client.ask(.getClusterDefault).result == .success) }
            #expect(try server.client().raw.isClosedByServer())
            #expect(server.statistics.connectionsRefused == 1)
            #expect(try clients[1].ask(.getClusterDefault).result == .success)
            for client in clients { client.raw.disconnect() }
        }
    }
}
