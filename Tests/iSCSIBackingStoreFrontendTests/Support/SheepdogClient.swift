import ConformanceKit
import NIOCore
import ObjectModel
import Testing
import iSCSIBackingStoreFrontend

/// A client of Sheepdog's protocol, one request at a time.
final class SheepdogClient {
    struct Reply {
        var bytes: [UInt8]
        var header: ReplyHeader
        var data: ByteBuffer
        var result: ResultCode { header.result }
        var vid: VID { VID(rawValue: header.vid) }
    }

    let raw: RawClient
    /// Of what is public: QEMU and tgt announce 0 or 1, `dog` 2.
    let version: UInt8
    private var nextID: UInt32 = 7

    init(_ raw: RawClient, version: UInt8 = 1) { (self.raw, self.version) = (raw, version) }

    func send(_ request: RequestHeader, _ payload: ByteBuffer? = nil) {
        raw.send {
            request.encode(into: &$0)
            if let payload { $0.writeImmutableBuffer(payload) }
        }
    }

    func receive() throws -> Reply {
        var bytes = raw.receive(ReplyHeader.size)
        let copy = Array(bytes.readableBytesView)
        let header = try #require(ReplyHeader(from: &bytes), "no reply")
        return Reply(bytes: copy, header: header, data: raw.receive(Int(header.dataLength)))
    }

    /// - Parameter length: Of the buffer for the reply, or of the payload when nil.
    func ask(
        _ opcode: Opcode, _ payload: ByteBuffer? = nil, flags: RequestFlags = [], length: Int? = nil, id: UInt32 = 7,
        _ change: (inout RequestHeader) -> Void = { _ in }
    ) throws -> Reply {
        let isPublic = opcode.rawValue < Opcode.firstInternal
        var request = RequestHeader(
            version: isPublic ? version : 0x0A, opcode: opcode.rawValue, flags: payload == nil ? flags : flags.union(.write), id: id,
            dataLength: UInt32(length ?? payload?.readableBytes ?? 0))
        change(&request)
        send(request, payload)
        let reply = try receive()
        #expect(reply.header.id == id && reply.header.opcode == opcode.rawValue)
        return reply
    }

    // MARK: Objects

    func read(_ object: SheepdogObjectID, length: Int, at offset: UInt64 = 0, flags: RequestFlags = []) throws -> Reply {
        try ask(.readObject, flags: flags, length: length) { ($0.object, $0.offset) = (object, offset) }
    }

    func write(
        _ object: SheepdogObjectID, _ data: [UInt8], at offset: UInt64 = 0, flags: RequestFlags = [], create: Bool = false,
        source: SheepdogObjectID? = nil
    ) throws -> ResultCode {
        try ask(
            create ? .createAndWriteObject : .writeObject, ByteBuffer(bytes: data),
            flags: source == nil ? flags : flags.union(.copyOnWrite)
        ) {
            ($0.object, $0.offset) = (object, offset)
            if let source { $0.copyOnWriteObject = source }
        }.result
    }

    func slots(_ vid: VID, flags: RequestFlags = [], size: Int = InodeLayout.sizeWithoutCounts, count: Int) throws -> [UInt32] {
        let reply = try read(SheepdogObjectID(.inode, vid), length: size, flags: flags)
        #expect(reply.result == .success)
        return (0..<count).map { reply.data.getInteger(at: InodeLayout.headerSize + 4 * $0, endianness: .little)! }
    }

    func writeSlots(_ vid: VID, from index: Int, _ slots: [UInt32], flags: RequestFlags = []) throws -> ResultCode {
        var data: [UInt8] = []
        for slot in slots { withUnsafeBytes(of: slot.littleEndian) { data += $0 } }
        return try write(
            SheepdogObjectID(.inode, vid), data, at: UInt64(InodeLayout.headerSize + 4 * index), flags: flags)
    }

    func header(_ vid: VID, flags: RequestFlags = []) throws -> ByteBuffer {
        let reply = try read(SheepdogObjectID(.inode, vid), length: InodeLayout.headerSize, flags: flags)
        #expect(reply.result == .success)
        return reply.data
    }

    // MARK: Volumes

    static func names(_ name: String, tag: String? = nil) -> ByteBuffer {
        var buffer = ByteBuffer()
        NamePayload(name: name, tag: tag ?? "").encode(into: &buffer, withTag: tag != nil)
        return buffer
    }

    func new(_ name: String, size: UInt64 = 0, base: VID? = nil, snapshot: Bool = false) throws -> Reply {
        try ask(.newVolume, Self.names(name)) {
            ($0.volumeSize, $0.baseVID, $0.snapshotID) = (size, base?.rawValue ?? 0, snapshot ? 1 : 0)
        }
    }

    func find(_ name: String, tag: String = "", id: UInt32 = 0, lock: UInt32? = nil) throws -> Reply {
        try ask(lock == nil ? .getVolumeInformation : .lockVolume, Self.names(name, tag: tag)) {
            ($0.snapshotID, $0.lockType) = (id, lock ?? 0)
        }
    }

    func delete(_ name: String, tag: String? = nil) throws -> Reply { try ask(.deleteVolume, Self.names(name, tag: tag)) }

    /// As clients do it: the tag into the inode, then a volume on top.
    func snapshot(_ vid: VID, name: String, tag: String) throws -> Reply {
        var field = ByteBuffer(string: tag)
        field.writeRepeatingByte(0, count: NamePayload.fieldSize - field.readableBytes)
        let result = try write(SheepdogObjectID(.inode, vid), Array(field.readableBytesView), at: UInt64(NamePayload.fieldSize))
        #expect(result == .success)
        return try new(name, base: vid, snapshot: true)
    }
}
