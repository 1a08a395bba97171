import Client
import NIOCore
import ObjectStore
import SheepProtocol
import Testing

@Suite struct SharedPayloadsTests {
    private static let place = 256 << 10

    @Test("places are given once, and again when they are free; what is too short or too long gets none")
    func places() throws {
        let memory = try #require(SharedMemory.make("test", size: 3 * Self.place + 1))
        let payloads = try #require(SharedPayloads(PayloadMemory(path: memory.path, size: UInt32(memory.bytes.count), identity: memory.identity)))
        func data(_ byte: UInt8, _ length: Int) -> ByteBuffer { ByteBuffer(repeating: byte, count: length) }
        #expect(payloads.put(data(1, (32 << 10) - 1)) == nil)
        #expect(payloads.put(data(1, Self.place + 1)) == nil)
        let given = try (1...3).map { try #require(payloads.put(data(UInt8($0), Self.place - $0))) }
        #expect(Set(given.map(\.offset)).count == 3)
        #expect(payloads.put(data(4, Self.place)) == nil, "all are taken")
        for (number, place) in given.enumerated() {
            #expect(place.length == UInt32(Self.place - number - 1))
            let bytes = memory.bytes[Int(place.offset)..<Int(place.offset) + Int(place.length)]
            #expect(bytes.allSatisfy { $0 == UInt8(number + 1) })
        }
        payloads.done(given[1])
        #expect(payloads.put(data(5, Self.place)) == PayloadPlace(offset: given[1].offset, length: UInt32(Self.place)))
        #expect(memory.bytes[Int(given[1].offset)] == 5 && memory.bytes[Int(given[2].offset)] == 3)
    }

    @Test("an offer that is not there is none")
    func absent() throws {
        let memory = try #require(SharedMemory.make("test", size: 4096))
        #expect(SharedPayloads(PayloadMemory(path: memory.path, size: 8192, identity: memory.identity)) == nil, "another size")
        #expect(SharedPayloads(PayloadMemory(path: "/proc/self/exe", size: 4096, identity: memory.identity)) == nil)
        #expect(SharedPayloads(PayloadMemory(path: "/nowhere", size: 4096, identity: memory.identity)) == nil)
    }
}
