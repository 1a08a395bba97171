import Client
import NIOCore
import ObjectModel
import SheepProtocol
import Testing

@Suite(.timeLimit(.minutes(15))) struct ClientTests {
    private func connect(_ sheep: FakeSheep) async throws -> SheepClient {
        try await SheepClient.connect(host: "127.0.0.1", port: sheep.port)
    }

    @Test("administration: a request comes back with its reply, a refusal with the sheep's error")
    func administration() async throws {
        try await FakeSheep.with { sheep async throws in
            let client = try await connect(sheep)
            let create = AdministrationRequest.volumeCreate(VolumeCreate(name: "alice", size: 1 << 20))
            let vid = VID.preferred(for: "alice")
            #expect(try await client.administer(create) == .created(VolumeCreated(birth: Birth(rawValue: 1), vid: vid)))
            await #expect(throws: ClientError.refused(SheepError(.volumeExists, "it exists"))) {
                try await client.administer(create)
            }
            await client.close()
        }
    }

    @Test("a volume: writes, zeros and reads that overlap, answered in reverse order, end where they belong")
    func overlappingRequests() async throws {
        try await FakeSheep.with(.reversing) { sheep async throws in
            sheep.cluster.add("alice", [UInt8](repeating: 0xFF, count: 1 << 20))
            let client = try await connect(sheep)
            let volume = try await client.openVolume("alice", readOnly: false)
            #expect(volume.information.size == 1 << 20)
            try await withThrowingTaskGroup(of: Void.self) { group in
                for index in 0..<64 {
                    group.addTask {
                        let offset = UInt64(index) * 8192
                        try await volume.write(ByteBuffer(repeating: UInt8(index), count: 4096), at: offset)
                        try await volume.zero(at: offset + 4096, length: 4096, mayDeallocate: true)
                        let back = try await volume.read(at: offset, length: 8192)
                        let expected = [UInt8](repeating: UInt8(index), count: 4096) + [UInt8](repeating: 0, count: 4096)
                        #expect(Array(back.readableBytesView) == expected)
                    }
                }
                try await group.waitForAll()
            }
            try await volume.flush()
            try await volume.close()
            #expect(sheep.cluster.flushes == 1)
            await client.close()
        }
    }

    @Test("block status tells holes and data")
    func status() async throws {
        try await FakeSheep.with { sheep async throws in
            var content = [UInt8](repeating: 0, count: 4 * FakeCluster.unit)
            content[FakeCluster.unit] = 1
            sheep.cluster.add("alice", content)
            let client = try await connect(sheep)
            let volume = try await client.openVolume("alice", readOnly: true)
            let unit = UInt64(FakeCluster.unit)
            #expect(try await volume.status(at: 0, length: 4 * unit, limit: 10) == [
                DeviceExtent(length: unit, isAllocated: false, isZero: true),
                DeviceExtent(length: unit, isAllocated: true, isZero: false),
                DeviceExtent(length: 2 * unit, isAllocated: false, isZero: true),
            ])
            await client.close()
        }
    }

    @Test("nobody listens: the system's reason is told")
    func refusedConnection() async throws {
        try await DeafPort.with { port async throws in
            let refused = ClientError.cannotConnect(.tcp(host: "127.0.0.1", port: port), reason: "Connection refused")
            await #expect(throws: refused) { try await SheepClient.connect(host: "127.0.0.1", port: port) }
        }
        await #expect(throws: ClientError.cannotConnect(.unix(path: "/nowhere/sock"), reason: "No such file or directory")) {
            try await SheepClient.connect(to: .unix(path: "/nowhere/sock"))
        }
    }

    @Test("the sheep hangs up: everything that waits fails, and so does what comes later")
    func lostConnection() async throws {
        try await FakeSheep.with(.hangingUp) { sheep async throws in
            let client = try await connect(sheep)
            let lost = ClientError.connectionLost(client.endpoint, reason: "closed by the sheep")
            for _ in 0..<2 {
                await #expect(throws: lost) { try await client.administer(.nodeList) }
            }
        }
    }

    @Test("a sheep that says nothing: the request ends at its time limit, the connection goes on")
    func timeLimit() async throws {
        try await FakeSheep.with(.silent) { sheep async throws in
            let endpoint = SheepEndpoint.tcp(host: "127.0.0.1", port: sheep.port)
            let connection = try await SheepConnection.connect(to: endpoint)
            await #expect(throws: ClientError.timedOut(endpoint, seconds: 0)) {
                try await connection.request(.administer, body: [1], timeLimit: .milliseconds(20))
            }
            await connection.close()
        }
    }

    @Test("what is no frame ends the connection with a reason")
    func babbling() async throws {
        try await FakeSheep.with(.babbling) { sheep async throws in
            let client = try await connect(sheep)
            await #expect(throws: ClientError.malformed(client.endpoint, "invalid protocol version")) {
                try await client.administer(.nodeList)
            }
        }
    }
}
