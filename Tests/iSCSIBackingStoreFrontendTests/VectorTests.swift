import NIOCore
import ObjectModel
import Testing
import iSCSIBackingStoreFrontend

/// Replies as Sheepdog 1.0 gives them, byte by byte, to requests with id 7 in epoch 1; and where ours are better on purpose.
@Suite("Replies byte by byte")
struct VectorTests {
    private let server: TestServer
    private let client: SheepdogClient

    init() throws {
        server = try TestServer()
        client = try server.client()
    }

    private func bytes(_ groups: String) -> [UInt8] {
        let digits = Array(groups.filter { $0 != " " })
        let head = stride(from: 0, to: digits.count, by: 2).map { UInt8(String(digits[$0...$0 + 1]), radix: 16)! }
        return head + [UInt8](repeating: 0, count: 48 - head.count)
    }

    @Test("the default of the cluster")
    func clusterDefault() throws {
        #expect(try client.ask(.getClusterDefault).bytes == bytes("00180000 01000000 07000000 00000000 00000000 03001600"))
    }

    @Test("versions that are not spoken")
    func versions() throws {
        let refused = try client.ask(.getClusterDefault) { $0.version = 3 }
        #expect(refused.bytes == bytes("00180000 01000000 07000000 00000000 14000000"))
        for version: UInt8 in [0, 1, 2, 9, 11] {
            #expect(try client.ask(.getNodeList, length: 80) { $0.version = version }.result == .versionMismatch)
        }
        for version: UInt8 in 0...2 { #expect(try client.ask(.getClusterDefault) { $0.version = version }.result == .success) }
    }

    @Test("an unknown opcode, and lengths that are wrong")
    func invalid() throws {
        var unknown = RequestHeader(opcode: 0x70, id: 7)
        client.send(unknown)
        #expect(try client.receive().bytes == bytes("00700000 01000000 07000000 00000000 05000000"))
        // Peer and repair operations of the original.
        for opcode: UInt8 in [0xA3, 0xA4, 0xA5, 0xA6, 0xC1, 0xC2, 0xC5] {
            unknown = RequestHeader(version: 0x0A, opcode: opcode, id: 7)
            client.send(unknown)
            #expect(try client.receive().result == .invalidParameters)
        }
        #expect(
            try client.ask(.newVolume, ByteBuffer(repeating: 0x61, count: 255)).bytes
                == bytes("00110000 01000000 07000000 00000000 05000000"))
        #expect(try client.ask(.readVolumeIDs, length: 4096).bytes == bytes("00150000 01000000 07000000 00000000 05000000"))
        #expect(try client.ask(.diskInformation, length: 16).result == .invalidParameters)
    }

    @Test("a volume made, found, read and deleted")
    func volume() throws {
        let made = try client.ask(.newVolume, SheepdogClient.names("pv")) { $0.volumeSize = 16 << 20 }
        #expect(made.bytes == bytes("00110000 01000000 07000000 00000000 00000000 00000000 7b757500 00000000 03160000"))
        #expect(
            try client.find("pv").bytes
                == bytes("00140000 01000000 07000000 00000000 00000000 00000000 7b757500 00000000 03160000"))
        let inode = try client.read(SheepdogObjectID(.inode, made.vid), length: 4664)
        #expect(inode.bytes == bytes("00020000 01000000 07000000 38120000 00000000"))
        #expect(inode.data.readableBytes == 4664)
        let deleted = try client.delete("pv")
        #expect(deleted.bytes[1] == 0x17 && deleted.result == .success && deleted.vid == made.vid)
    }

    @Test("what is missing")
    func missing() throws {
        let vid = try client.new("pv", size: 16 << 20).vid
        let hole = SheepdogObjectID(.data, vid, index: 1)
        #expect(try client.read(hole, length: 512).bytes == bytes("00020000 01000000 07000000 00000000 02000000"))
        #expect(try client.write(hole, [1]) == .noObject)
        #expect(try client.read(SheepdogObjectID(.data, VID(rawValue: 77)), length: 512).result == .noObject)
        #expect(try client.read(SheepdogObjectID(.inode, VID(rawValue: 77)), length: 4664).result == .noObject)
        #expect(try client.write(hole, [1], create: true, source: SheepdogObjectID(.data, VID(rawValue: 77))) == .noObject)
        // tgt asks again at once and for ever when an inode is not there.
        #expect(try client.read(SheepdogObjectID(.inode, VID(rawValue: 77)), length: 1, flags: .tgt).result == .noVolume)
    }

    @Test("past the end of an object: reads give zeros, writes are refused")
    func pastEnd() throws {
        let vid = try client.new("pv", size: 16 << 20).vid
        let object = SheepdogObjectID(.data, vid, index: 0)
        #expect(try client.write(object, [UInt8](repeating: 9, count: 512), at: (4 << 20) - 512, create: true) == .success)
        let reply = try client.read(object, length: 1024, at: (4 << 20) - 512)
        #expect(Array(reply.data.readableBytesView) == [UInt8](repeating: 9, count: 512) + [UInt8](repeating: 0, count: 512))
        #expect(try client.write(object, [UInt8](repeating: 9, count: 1024), at: (4 << 20) - 512) == .invalidParameters)
    }

    @Test("the newest epoch alone, all nodes, and room for none")
    func cluster() throws {
        let record = try client.ask(.statCluster, length: 48)
        #expect(record.result == .success && record.data.readableBytes == 48)
        #expect(record.data.getInteger(at: 16, endianness: .little, as: UInt32.self) == 1)
        #expect(try client.ask(.statCluster, length: 1000) { $0.nodesInRecord = 2 }.result == .bufferTooSmall)
        let whole = try client.ask(.statCluster, length: 4096) { $0.nodesInRecord = 16 }
        #expect(whole.data.readableBytes == 48 + 16 * 80)
        let nodes = try client.ask(.getNodeList, length: 6144 * 80)
        #expect(nodes.header.nodeCount == 3 && nodes.data.readableBytes == 240)
        #expect(Array(nodes.data.readableBytesView[24..<42]) == [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 127, 0, 0, 1, 0x58, 0x1B])
        let information = try client.ask(.clusterInformation, length: ClusterRecords.clusterSize)
        #expect(information.data.readableBytes == ClusterRecords.clusterSize)
        #expect(try client.ask(.diskInformation, length: ClusterRecords.diskInformationSize).data.readableBytes == 263_688)
    }

    @Test("the locks of all volumes, 1428 bytes each")
    func volumeStates() throws {
        let vid = VID.preferred(for: "pv").rawValue
        _ = try client.new("pv", size: 16 << 20)
        server.onLoop { backend in
            backend.lock(backend.volume(named: "pv")!, shared: true) { _ in }
            backend.lock(backend.volume(named: "pv")!, shared: true) { _ in }
            backend.nodes[0].data = .init(host: "10.0.0.9", port: 7100)
        }
        #expect(try client.ask(.getVolumeStates, length: 1427).result == .bufferTooSmall)
        let reply = try client.ask(.getVolumeStates, length: 512 * 1428)
        #expect(reply.result == .success && reply.data.readableBytes == 1428)
        func number(at offset: Int) -> UInt32? { reply.data.getInteger(at: offset, endianness: .little) }
        #expect(number(at: 0) == vid && reply.data.getBytes(at: 4, length: 5) == [3, 0, 0, 0, 22])
        #expect(number(at: 12) == 0 && number(at: 16) == 3 && number(at: 60) == 2)
        #expect([64, 68, 72].map(number) == [2, 2, 0])
        let owner = [UInt8](repeating: 0, count: 12) + [127, 0, 0, 1, 0x58, 0x1B] + [UInt8](repeating: 0, count: 12)
            + [10, 0, 0, 9, 0xBC, 0x1B, 0, 0, 0, 0]
        #expect(reply.data.getBytes(at: 20, length: 40) == owner)
        #expect(reply.data.getBytes(at: 188, length: 40) == owner)
        #expect(reply.data.getInteger(at: 188 + 40 + 16, endianness: .little, as: UInt16.self) == 7001)
    }

    @Test("before the format")
    func unformatted() throws {
        server.onLoop { $0.readiness = .waitingForFormat }
        #expect(try client.find("pv").bytes == bytes("00140000 01000000 07000000 00000000 16000000"))
        let record = try client.ask(.statCluster, length: 48)
        #expect(record.result == .waitingForFormat && record.data.readableBytes == 48)
    }
}
