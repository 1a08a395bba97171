import ConformanceKit
import FrontendKit
import NIOCore
import ObjectModel
import Testing
import iSCSIBackingStoreFrontend

/// As tgt's threads do it: a connection for each, on all of which requests come while others are served.
@Suite("Many connections of one client")
struct ManyConnectionsTests {
    private static let sector = 512

    @Test("each request is answered once, whatever it comes with", arguments: 1...20 as ClosedRange<UInt64>)
    func eachOnce(_ seed: UInt64) throws {
        let server = try TestServer()
        var random = ConformanceRandom(seed: seed)
        let clients = try (0..<16).map { _ in try server.client() }
        let object = SheepdogObjectID(.data, try clients[0].new("a", size: 16 << 20).vid, index: 0)
        var written = [UInt8](repeating: 0, count: clients.count)
        var requests: UInt64 = 1
        for _ in 0..<100 {
            var expected: [[UInt32: UInt8?]] = []
            var later: [ByteBuffer] = []
            for place in clients.indices {
                var (stream, replies) = (ByteBuffer(), [UInt32: UInt8?]())
                // One write or some reads: what is under way together has no order.
                let value = Int.random(in: 0...4, using: &random) > 0 ? nil : UInt8.random(in: 1...255, using: &random)
                for _ in 0..<(value == nil ? [0, 1, 1, 1, 1, 2, 3].randomElement(using: &random)! : 1) {
                    requests += 1
                    for part in Self.request(object, place, UInt32(requests), write: value) { stream.writeImmutableBuffer(part) }
                    replies[UInt32(requests)] = .some(value == nil ? written[place] : nil)
                }
                if let value { written[place] = value }
                // Most come whole.
                let whole = stream.readableBytes
                clients[place].raw.send(stream.readSlice(length: Int.random(in: 0...5, using: &random) > 0 ? whole : Int.random(in: 0...whole, using: &random))!)
                later.append(stream)
                expected.append(replies)
            }
            for (client, rest) in zip(clients, later) { client.raw.send(rest) }
            for (client, var replies) in zip(clients, expected) {
                while !replies.isEmpty {
                    let reply = try client.receive()
                    let known = replies.removeValue(forKey: reply.header.id)
                    let data = try #require(known, "seed \(seed): a reply that nobody asked for")
                    #expect(reply.result == .success, "seed \(seed)")
                    #expect(reply.data == ByteBuffer(repeating: data ?? 0, count: data == nil ? 0 : Self.sector), "seed \(seed)")
                }
            }
        }
        #expect(server.statistics.requests == requests, "seed \(seed)")
    }

    /// Each connection has a sector of its own.
    private static func request(_ object: SheepdogObjectID, _ place: Int, _ id: UInt32, write value: UInt8?) -> [ByteBuffer] {
        let opcode = value == nil ? Opcode.readObject : .createAndWriteObject
        var request = RequestHeader(opcode: opcode.rawValue, flags: value == nil ? .tgt : [.tgt, .write], id: id, dataLength: UInt32(sector))
        (request.object, request.offset) = (object, UInt64(place * sector))
        var header = ByteBuffer()
        request.encode(into: &header)
        return [header] + (value.map { [ByteBuffer(repeating: $0, count: sector)] } ?? [])
    }

    @Test("what comes while another request is served is served in the same turn, once, also when its client leaves meanwhile", arguments: [false, true])
    func sameTurn(leaves: Bool) throws {
        let server = try TestServer()
        let (one, other) = (try server.client(), try server.client())
        let object = SheepdogObjectID(.data, try one.new("a", size: 16 << 20).vid, index: 0)
        #expect(try other.write(object, [1], flags: .tgt, create: true) == .success)
        nonisolated(unsafe) let raw = other.raw
        let request = Self.request(object, 0, 9, write: nil)[0]
        server.onLoop { volumes in
            volumes.duringRead = {
                raw.send(request)
                if leaves { volumes.duringRead = { raw.disconnect() } }
            }
        }
        #expect(try one.read(object, length: 512, flags: .tgt).result == .success)
        if leaves { #expect(waitUntil { server.statistics.connections == 1 }) } else { #expect(try other.receive().header.id == 9) }
        // The first request may have been found while the loop looked for one, the other one then comes by way of NIO.
        #expect(server.statistics.requestsLookedAt >= 1)
        #expect(server.statistics.requests == 4)
    }

    @Test("who leaves with a request on its way is missed by nobody", arguments: 1...10 as ClosedRange<UInt64>)
    func leaves(_ seed: UInt64) throws {
        let server = try TestServer()
        var random = ConformanceRandom(seed: seed)
        let honest = try server.client()
        let object = SheepdogObjectID(.data, try honest.new("a", size: 16 << 20).vid, index: 0)
        var requests: UInt64 = 1
        for _ in 0..<30 {
            requests += 9
            let others = try (0..<8).map { _ in try server.client() }
            for (place, client) in others.enumerated() {
                for part in Self.request(object, place, 1, write: nil) { client.raw.send(part) }
                if Bool.random(using: &random) { client.raw.disconnect() }
            }
            #expect(try honest.read(object, length: Self.sector, flags: .tgt).result == .success, "seed \(seed)")
        }
        #expect(waitUntil { server.statistics.connections == 1 }, "seed \(seed)")
        #expect(server.statistics.requests <= requests, "seed \(seed)")
    }
}
