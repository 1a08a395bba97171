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
        client = try server.dog()
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

    @Test("what is removed: nothing for a hole, and the object otherwise; a snapshot keeps its own")
    func remove() throws {
        let vid = try client.new("pv", size: 16 << 20).vid
        let object = SheepdogObjectID(.data, vid, index: 1)
        let remove = { (object: SheepdogObjectID) in try client.ask(.removeObject) { $0.object = object } }
        #expect(try client.write(object, [1], create: true) == .success)
        #expect(try remove(object).bytes == bytes("00040000 01000000 07000000 00000000 00000000"))
        #expect(try client.read(object, length: 1).result == .noObject)
        #expect(try remove(object).result == .success, "sent again")
        #expect(try remove(SheepdogObjectID(.data, vid, index: 4)).result == .noObject)
        #expect(try remove(SheepdogObjectID(.data, VID(rawValue: 77))).result == .noObject)
        #expect(try remove(SheepdogObjectID(.inode, vid)).result == .invalidParameters)
        #expect(try client.write(object, [1], create: true) == .success)
        _ = try client.snapshot(vid, name: "pv", tag: "s")
        #expect(try remove(object).bytes == bytes("00040000 01000000 07000000 00000000 1A000000"))
        #expect(try client.read(object, length: 1).result == .success)
    }

    @Test("the stores, the recovery, and the cache of deleted volumes")
    func smallOnes() throws {
        let stores = try client.ask(.getStoreList, length: 512)
        #expect(stores.bytes == bytes("00900000 01000000 07000000 0B000000 00000000") && stores.data == ByteBuffer(string: "plain tree "))
        #expect(try client.ask(.getStoreList, length: 5).data == ByteBuffer(string: "plain"), "no more than there is room for")
        let recovery = try client.ask(.statRecovery, length: 24)
        #expect(recovery.bytes == bytes("00970000 01000000 07000000 18000000 00000000"))
        #expect(recovery.data == ByteBuffer(repeating: 0, count: 24))
        #expect(try client.ask(.flushDeletedCache).bytes == bytes("00980000 01000000 07000000 00000000 00000000"))
    }

    @Test("epochs: each field where dog reads it, the newest first with what is the cluster's")
    func epochFields() throws {
        server.onLoop { backend in
            backend.cluster.flags = 8
            backend.cluster.epochs.insert(SheepdogEpoch(epoch: 2, time: 1_700_000_100_000_000_000, nodes: [backend.nodes[1]]), at: 0)
        }
        let reply = try client.ask(.statCluster, length: 2 * (48 + 3 * 80)) { $0.nodesInRecord = 3 }
        #expect(reply.result == .success && reply.data.readableBytes == 2 * 288 && reply.header.epoch == 2)
        let records = [reply.data.getSlice(at: 0, length: 288)!, reply.data.getSlice(at: 288, length: 288)!]
        func number<T: FixedWidthInteger>(_ record: Int, at offset: Int, _: T.Type) -> T {
            records[record].getInteger(at: records[record].readerIndex + offset, endianness: .little)!
        }
        #expect(number(0, at: 0, UInt64.self) == 1_700_000_000 << 32 | 5 && number(1, at: 0, UInt64.self) == 0)
        #expect(number(0, at: 8, UInt64.self) == 1_700_000_100 && number(1, at: 8, UInt64.self) == 1_700_000_000)
        #expect(number(0, at: 16, UInt32.self) == 2 && number(1, at: 16, UInt32.self) == 1)
        #expect(number(0, at: 20, UInt32.self) == 1 && number(1, at: 20, UInt32.self) == 3)
        #expect([24, 25, 26].map { number(0, at: $0, UInt8.self) } == [0, 3, 0], "recovery is not disabled, 3 copies, replicated")
        #expect(number(1, at: 25, UInt8.self) == 0)
        #expect(number(0, at: 30, UInt16.self) == 8 && number(1, at: 30, UInt16.self) == 0)
        #expect(records[0].getString(at: records[0].readerIndex + 32, length: 6) == "local\0" && number(1, at: 32, UInt8.self) == 0)
        #expect(number(0, at: 48 + 40, UInt16.self) == 7001 && number(0, at: 48 + 80 + 40, UInt16.self) == 0)
        #expect((0..<3).map { number(1, at: 48 + 80 * $0 + 40, UInt16.self) } == [7000, 7001, 7002])
    }

    @Test("the cluster and the disk: each field where dog reads it")
    func clusterAndDisk() throws {
        server.onLoop { backend in
            backend.cluster.flags = 8
            backend.nodes[2].space = 1 << 40
        }
        let cluster = try client.ask(.clusterInformation, length: ClusterRecords.clusterSize).data
        #expect(cluster.getInteger(at: 2, endianness: .little, as: Int16.self) == 3)
        #expect(cluster.getInteger(at: 4, endianness: .little, as: UInt32.self) == 1)
        #expect(cluster.getInteger(at: 8, endianness: .little, as: UInt64.self) == 1_700_000_000 << 32 | 5)
        #expect(cluster.getInteger(at: 16, endianness: .little, as: UInt16.self) == 8)
        #expect(cluster.getBytes(at: 18, length: 4) == [3, 0, 1, 22] && cluster.getString(at: 25, length: 6) == "plain\0")
        #expect(cluster.getInteger(at: 48 + 2 * 80 + 40, endianness: .little, as: UInt16.self) == 7002)
        #expect(cluster.getInteger(at: 48 + 2 * 80 + 72, endianness: .little, as: UInt64.self) == 1 << 40)
        let disks = try client.ask(.diskInformation, length: ClusterRecords.diskInformationSize).data
        #expect(disks.getInteger(at: 0, as: UInt32.self) == 0)
        #expect(disks.getInteger(at: 8, endianness: .little, as: UInt64.self) == 1 << 39, "free")
        #expect(disks.getInteger(at: 16, endianness: .little, as: UInt64.self) == 1 << 39, "used")
        #expect(disks.getString(at: 24, length: 7) == "/store\0")
        #expect(disks.getInteger(at: 263_680, endianness: .little, as: UInt32.self) == 1)
        let sheep = try client.ask(.statSheep).bytes
        #expect(Array(sheep[32..<48]) == [0, 0, 0, 0, 0, 1, 0, 0] + [0, 0, 0, 0, 0x80, 0, 0, 0])
    }

    @Test("nodes are in the order of the bytes of their addresses, then of their ports")
    func nodeOrder() {
        func node(_ host: String, _ port: UInt16) -> SheepdogNode { SheepdogNode(host: host, port: port, virtualNodes: 1, zone: 0) }
        let nodes = [node("fe80::1", 1), node("10.0.0.10", 7000), node("10.0.0.2", 10000), node("10.0.0.2", 7000), node("9.0.0.1", 1)]
        let ordered = nodes.byAddress.map { "\($0.host) \($0.port)" }
        #expect(ordered == ["9.0.0.1 1", "10.0.0.2 7000", "10.0.0.2 10000", "10.0.0.10 7000", "fe80::1 1"])
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
