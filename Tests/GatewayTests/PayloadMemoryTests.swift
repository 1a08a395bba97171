import ObjectModel
import ObjectStore
import SheepProtocol
import Testing

/// Writes whose data is in memory that the client shares with its sheep.
@Suite struct PayloadMemoryTests {
    private static let size: UInt64 = 64 << 20

    /// A cluster with a volume, and who has it open.
    private struct Bench {
        let cluster: LiveCluster
        let connection: RawConnection
        let handle: DeviceHandle
        private let client = ClientID(high: 1, low: 1)

        init(overTCP: Bool = false) throws {
            cluster = try LiveCluster(sheep: 1, copies: 1)
            try cluster.administer(.volumeCreate(VolumeCreate(name: "v", size: PayloadMemoryTests.size)))
            let member = cluster.members[0]
            connection = try overTCP ? RawConnection(port: member.port) : RawConnection(path: member.door)
            connection.send(.deviceOpen, id: 1, body: DeviceOpen(name: "v", readOnly: false).wire)
            handle = try DeviceOpened(wire: #require(try connection.wholeReply()).body).handle
        }

        func memory() throws -> SharedMemory {
            connection.send(.devicePayloads, id: 2, body: [])
            let offer = try PayloadMemory(wire: #require(try connection.wholeReply()).body)
            return try #require(SharedMemory.find(offer.path, size: Int(offer.size), isWritable: true))
        }

        /// The result of a write: 0, or a ``SheepError/Code``.
        func write(_ place: PayloadPlace?, at offset: UInt64, number: UInt64, payload: [UInt8] = []) throws -> UInt32 {
            connection.send(.deviceWrite, id: 3, body: body(place, at: offset, number: number), payload: payload)
            return try #require(try connection.reply()).result
        }

        func body(_ place: PayloadPlace?, at offset: UInt64, number: UInt64) -> [UInt8] {
            DeviceWrite(
                handle: handle, offset: offset, durable: false, identity: WriteIdentity(client: client, number: number), place: place
            ).wire
        }

        func read(at offset: UInt64, length: UInt32) throws -> [UInt8] {
            connection.send(.deviceRead, id: 4, body: DeviceRead(handle: handle, offset: offset, length: length).wire)
            return try #require(try connection.wholeReply()).payload
        }
    }

    @Test("what is written is what was there when the request came, and the place is free again with the answer")
    func written() throws {
        let bench = try Bench()
        let memory = try bench.memory()
        for number in 1...3 {
            let fill = UInt8(number)
            for place in 8192..<8192 + 70_000 { memory.bytes[place] = fill }
            #expect(try bench.write(PayloadPlace(offset: 8192, length: 70_000), at: UInt64(number) * 1_000_000, number: UInt64(number)) == 0)
        }
        for number in 1...3 {
            let bytes = try bench.read(at: UInt64(number) * 1_000_000, length: 70_001)
            #expect(bytes == [UInt8](repeating: UInt8(number), count: 70_000) + [0])
        }
    }

    @Test("a place that is not in the memory, or where there is none, is refused, and nothing is written")
    func refused() throws {
        let bench = try Bench()
        let invalid = SheepError.Code.invalidArgument.rawValue
        #expect(try bench.write(PayloadPlace(offset: 0, length: 4096), at: 0, number: 1) == invalid, "nothing is shared yet")
        let size = UInt32(try bench.memory().bytes.count)
        for (number, place) in [
            PayloadPlace(offset: size, length: 1), PayloadPlace(offset: size - 4095, length: 4096), PayloadPlace(offset: .max, length: .max),
            PayloadPlace(offset: 0, length: size + 1), PayloadPlace(offset: 1, length: .max),
        ].enumerated() {
            #expect(try bench.write(place, at: 0, number: UInt64(number) + 2) == invalid, "\(place)")
        }
        #expect(try bench.write(PayloadPlace(offset: 0, length: 4096), at: Self.size - 4095, number: 20) == invalid, "past the volume's end")
        #expect(try bench.read(at: 0, length: 4096) == [UInt8](repeating: 0, count: 4096))
        #expect(try bench.write(nil, at: 0, number: 21, payload: [7]) == 0, "the connection goes on")
        #expect(try bench.read(at: 0, length: 1) == [7])
    }

    @Test("places that are named again before their answer are refused: a client makes the sheep keep no more than the memory has")
    func bounded() throws {
        let bench = try Bench()
        let whole = PayloadPlace(offset: 0, length: UInt32(try bench.memory().bytes.count))
        // New objects take a while, so that the first is not answered when the others come.
        bench.connection.send((0..<20).flatMap { number in
            RawConnection.frame(.deviceWrite, id: 10 + UInt32(number), body: bench.body(whole, at: 0, number: 1 + UInt64(number)))
        })
        let results = try (0..<20).map { _ in try #require(try bench.connection.reply()).result }
        #expect(results.contains(0) && results.contains(SheepError.Code.invalidArgument.rawValue))
        #expect(try bench.write(whole, at: 0, number: 100) == 0, "all are free again")
    }

    @Test("who comes by TCP is given no memory")
    func remote() throws {
        let bench = try Bench(overTCP: true)
        bench.connection.send(.devicePayloads, id: 2, body: [])
        #expect(try bench.connection.reply()?.result == SheepError.Code.unavailable.rawValue)
    }
}
