import ObjectModel
import SheepProtocol
import Testing

@Suite struct DeviceTests {
    private let handle = DeviceHandle(rawValue: 1)
    private let identity = WriteIdentity(client: ClientID(high: 2, low: 3), number: 4)

    @Test("every body of a device operation survives the round trip, no truncation does")
    func bodies() throws {
        let origin = DeviceOrigin(birth: Birth(rawValue: 8), family: Family(rawValue: 7), isSnapshot: true)
        try expectRoundTrip(DeviceOpen(name: "alice@monday", readOnly: true))
        try expectRoundTrip(DeviceOpen(name: "alice", readOnly: false, continuing: origin))
        try expectRoundTrip(DeviceOpened(
            handle: handle, gateway: NodeID(high: 5, low: 6), name: "alice", description: "a volume", size: 5, isReadOnly: false,
            preferredBlockSize: 4096, maximumRequest: 1 << 25, objectShift: 22, origin: origin))
        let offer = ShortCircuitOffer(board: "/proc/1/fd/2", store: "/proc/1/fd/3", boot: BootID(rawValue: 9))
        try expectRoundTrip(DeviceOpened(
            handle: handle, gateway: NodeID(high: 5, low: 6), name: "alice", description: "", size: 5, isReadOnly: true,
            preferredBlockSize: 4096, maximumRequest: 1 << 25, objectShift: 22, origin: origin, shortCircuit: offer))
        try expectRoundTrip(DeviceReadGrant(handle: handle, index: 5))
        try expectRoundTrip(DeviceReadGranted(object: nil, place: 5, changes: 6, generation: 7))
        let object = ObjectName(family: origin.family, index: 3, birth: origin.birth)
        try expectRoundTrip(DeviceReadGranted(object: object, place: 5, changes: 6, generation: 7))
        try expectRoundTrip(DeviceReference(handle: handle))
        try expectRoundTrip(DeviceRead(handle: handle, offset: 5, length: 6))
        try expectRoundTrip(DeviceWrite(handle: handle, offset: 5, durable: true, identity: identity))
        let place = PayloadPlace(offset: 6, length: 7)
        try expectRoundTrip(place)
        try expectRoundTrip(DeviceWrite(handle: handle, offset: 5, durable: true, identity: identity, place: place))
        try expectRoundTrip(PayloadMemory(path: "/proc/7/fd/8", size: 9, identity: 10))
        try expectRoundTrip(DeviceZero(
            handle: handle, offset: 5, length: 6, mayDeallocate: true, durable: false, identity: identity))
        try expectRoundTrip(DeviceStatus(handle: handle, offset: 5, length: 6, limit: 7))
        try expectRoundTrip(DeviceExtents(extents: [
            DeviceExtent(length: 5, isAllocated: true, isZero: false),
            DeviceExtent(length: 6, isAllocated: false, isZero: true),
        ]))
    }

    @Test("an extent of no bytes is refused, for who walks over extents would never end")
    func emptyExtent() {
        let empty = DeviceExtents(extents: [DeviceExtent(length: 0, isAllocated: true, isZero: false)])
        #expect(throws: WireError.self) { try DeviceExtents(wire: empty.wire) }
    }
}

@Suite struct FrameHeaderTests {
    private func bytes(_ header: FrameHeader) -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: FrameHeader.size) { buffer, count in
            header.encode(into: UnsafeMutableRawBufferPointer(buffer))
            count = FrameHeader.size
        }
    }

    private func decode(_ bytes: [UInt8]) throws -> FrameHeader {
        try bytes.withUnsafeBytes { try FrameHeader(from: $0) }
    }

    @Test("a header of every operation comes back from its 48 bytes", arguments: Operation.allCases)
    func roundTrip(_ operation: Operation) throws {
        let header = FrameHeader(operation: operation, id: 0xFEDC_BA98, bodyLength: 17, payloadLength: 4096, result: 3)
        #expect(try decode(bytes(header)) == header)
    }

    @Test("foreign versions, unknown operations, lying and excessive lengths and short headers are refused")
    func refusals() {
        let good = bytes(FrameHeader(operation: .administer, id: 1, bodyLength: 10, payloadLength: 20))
        for (offset, value) in [(0, UInt8(2)), (1, 0xFF), (16, 31), (15, 0xFF)] {
            var bad = good
            bad[offset] = value
            #expect(throws: WireError.self, "byte \(offset)") { try decode(bad) }
        }
        for length in 0..<48 { #expect(throws: WireError.self) { try decode(Array(good.prefix(length))) } }
    }
}
