package import ObjectModel

/// Our own operations of the 48-byte header family.
///
/// ```
/// off size field
///   0    1 version      0xD1: ours (Sheepdog's own clients send 0, 1, 2 or 0x0A here)
///   1    1 opcode       ``Operation``
///   2    2 flags        0
///   4    4 reserved     0
///   8    4 id           chosen by the requester, echoed in the reply; replies come in any order
///  12    4 data length  bytes that follow the header: body, then payload
///  16    4 body length  bytes of the body, the operation's value; the rest is payload (block data)
///  20    4 result       replies: 0, or a ``SheepError/Code``, the body then being a ``SheepError``
///  24   24 reserved     0
/// ```
/// All integers are little-endian. Requests and replies look alike; who dialled sends requests.
package struct FrameHeader: Hashable, Sendable {
    package static let size = 48
    package static let version: UInt8 = 0xD1
    /// The longest body: a control log snapshot or a listing. 64 MiB.
    package static let maximumBody = 64 << 20
    /// The longest payload: one object. 128 MiB.
    package static let maximumPayload = 128 << 20

    package var operation: Operation
    package var id: UInt32
    package var bodyLength: Int
    package var payloadLength: Int
    package var result: UInt32

    package init(operation: Operation, id: UInt32, bodyLength: Int, payloadLength: Int, result: UInt32 = 0) {
        (self.operation, self.id, self.bodyLength) = (operation, id, bodyLength)
        (self.payloadLength, self.result) = (payloadLength, result)
    }

    /// Writes 48 bytes.
    @inlinable package func encode(into raw: UnsafeMutableRawBufferPointer) {
        precondition(raw.count >= Self.size)
        raw.storeBytes(of: UInt64(0), toByteOffset: 0, as: UInt64.self)
        raw.storeBytes(of: Self.version, toByteOffset: 0, as: UInt8.self)
        raw.storeBytes(of: operation.rawValue, toByteOffset: 1, as: UInt8.self)
        raw.storeBytes(of: id.littleEndian, toByteOffset: 8, as: UInt32.self)
        raw.storeBytes(of: UInt32(bodyLength + payloadLength).littleEndian, toByteOffset: 12, as: UInt32.self)
        raw.storeBytes(of: UInt32(bodyLength).littleEndian, toByteOffset: 16, as: UInt32.self)
        raw.storeBytes(of: result.littleEndian, toByteOffset: 20, as: UInt32.self)
        for offset in stride(from: 24, to: 48, by: 8) { raw.storeBytes(of: UInt64(0), toByteOffset: offset, as: UInt64.self) }
    }

    /// Reads 48 bytes; refuses what is not ours or announces more than the stated maxima.
    @inlinable package init(from raw: UnsafeRawBufferPointer) throws(WireError) {
        guard raw.count >= Self.size else { throw .truncated(need: Self.size, have: raw.count) }
        guard raw[0] == Self.version else { throw .invalid("protocol version") }
        guard let operation = Operation(rawValue: raw[1]) else { throw .invalid("operation") }
        let data = Int(UInt32(littleEndian: raw.loadUnaligned(fromByteOffset: 12, as: UInt32.self)))
        let body = Int(UInt32(littleEndian: raw.loadUnaligned(fromByteOffset: 16, as: UInt32.self)))
        guard body <= data else { throw .invalid("body length") }
        guard body <= Self.maximumBody else { throw .tooLong(body, maximum: Self.maximumBody) }
        guard data - body <= Self.maximumPayload else { throw .tooLong(data - body, maximum: Self.maximumPayload) }
        self.init(
            operation: operation, id: UInt32(littleEndian: raw.loadUnaligned(fromByteOffset: 8, as: UInt32.self)),
            bodyLength: body, payloadLength: data - body,
            result: UInt32(littleEndian: raw.loadUnaligned(fromByteOffset: 20, as: UInt32.self)))
    }
}

/// What a frame asks for.
package enum Operation: UInt8, Hashable, Sendable, CaseIterable {
    // Everybody.
    /// The first frame on a connection from another sheep: who dials.
    case hello = 0x01
    /// ``AdministrationRequest`` in, ``AdministrationReply`` out.
    case administer = 0x02
    /// The first frame of a dialer that has the cluster's key: ``KeyChallenge`` in, ``KeyAnswer`` out.
    case authenticate = 0x03
    /// ``KeyProof`` in, nothing out.
    case prove = 0x04

    // Volumes for `dog` and `sheepfs`.
    case deviceOpen = 0x10
    case deviceRead = 0x11
    case deviceWrite = 0x12
    case deviceFlush = 0x13
    case deviceZero = 0x14
    case deviceStatus = 0x15
    case deviceClose = 0x16
    /// ``DeviceReadGrant`` in, ``DeviceReadGranted`` out: an object that a process of the sheep's machine reads by itself.
    case deviceReadGrant = 0x17
    /// Nothing in, ``PayloadMemory`` out: where a process of the sheep's machine may put the data of writes.
    case devicePayloads = 0x18

    // Between sheep.
    case ping = 0x20
    case replicaWrite = 0x21
    case replicaZero = 0x22
    case replicaRead = 0x23
    case replicaStatus = 0x24
    case replicaFlush = 0x25
    case replicaGather = 0x26
    case replicaSettled = 0x27
    case recoveryListing = 0x28
    case recoverySlot = 0x29
    case recoveryRead = 0x2A
    case recoveryDigest = 0x2F
    case usage = 0x2B
    case nodeReport = 0x2C
    /// Drains and gives back all leases, as the first half of a clean shutdown of the cluster.
    case releaseLeases = 0x2D
    case endProcess = 0x2E
    case scrubSlot = 0x31
    /// ``VolumeUse`` in and out: how many clients have a volume attached at the sheep that is asked.
    case volumeUse = 0x32
    case forward = 0x30
    case replicaRecall = 0x33
    case volumeMapping = 0x34
}
