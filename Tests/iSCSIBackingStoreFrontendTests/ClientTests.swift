import ConformanceKit
import NIOCore
import ObjectModel
import Testing
import iSCSIBackingStoreFrontend

/// What the well-known clients do by themselves, step by step.
@Suite("Clients of Sheepdog")
struct ClientTests {
    private let server: TestServer
    private let client: SheepdogClient
    private let vid: VID
    private let inode: SheepdogObjectID

    init() throws {
        server = try TestServer()
        client = try server.client()
        vid = try client.new("a", size: 16 << 20).vid
        inode = SheepdogObjectID(.inode, vid)
    }

    private func object(_ index: UInt32, of vid: VID? = nil) -> SheepdogObjectID {
        SheepdogObjectID(.data, vid ?? self.vid, index: index)
    }

    @Test("what a client had asked for goes with its connection, and with no other one's")
    func oneClientGoes() throws {
        let vid = vid
        do {
            let other = try server.client()
            for client in [client, other, client] { #expect(try client.write(object(0), [1], flags: .tgt, create: true) == .success) }
            #expect(server.onLoop { $0.clients(vid).there } == 2)
        }
        #expect(waitUntil { server.onLoop { $0.clients(vid).gone } == 1 })
        #expect(server.onLoop { $0.clients(vid).there } == 1)
        #expect(try client.write(object(0), [2], flags: .tgt) == .success)
        #expect(server.onLoop { $0.clients(vid).there } == 1)
    }

    // MARK: Slots

    @Test("tgt sees its own VID in every slot, QEMU where something is visible, dog what is")
    func views() throws {
        #expect(try client.write(object(1), [1], create: true) == .success)
        let new = try client.snapshot(vid, name: "a", tag: "s").vid
        #expect(try client.write(object(2, of: new), [1], create: true) == .success)
        let (own, parent) = (new.rawValue, vid.rawValue)
        #expect(try client.slots(new, flags: .tgt, count: 5) == [own, own, own, own, 0])
        #expect(try client.slots(new, count: 5) == [0, own, own, 0, 0])
        #expect(try client.slots(new, size: InodeLayout.size, count: 5) == [0, parent, parent, 0, 0])
        #expect(try client.slots(vid, count: 5) == [0, parent, 0, 0, 0])
    }

    @Test("a part of the inode is a part of the whole, wherever it begins")
    func parts() throws {
        for index: UInt32 in [0, 2, 3] { #expect(try client.write(object(index), [1], create: true) == .success) }
        let whole = try client.read(inode, length: InodeLayout.size).data
        #expect(whole.readableBytes == InodeLayout.size)
        for (offset, length) in [(0, 8), (250, 300), (4660, 8), (4663, 3), (4665, 9), (4666, 2), (4670, 100), (4_198_960, 20)] {
            let part = try client.read(inode, length: length, at: UInt64(offset)).data
            #expect(part == whole.getSlice(at: offset, length: length), "\(length) bytes from \(offset) on")
        }
    }

    @Test("the header tells what Sheepdog's does")
    func header() throws {
        let header = try client.header(vid)
        #expect(header.getString(at: 0, length: 2) == "a\0")
        #expect(header.getInteger(at: 512, endianness: .little, as: UInt64.self) == 1_700_000_001 << 32 | 7)
        #expect(header.getInteger(at: 520, as: UInt64.self) == 0)
        #expect(header.getInteger(at: 536, endianness: .little, as: UInt64.self) == 16 << 20)
        #expect(header.getBytes(at: 552, length: 4) == [0, 0, 3, 22])
        #expect(header.getInteger(at: 560, endianness: .little, as: UInt32.self) == vid.rawValue)
        let new = try client.snapshot(vid, name: "a", tag: "s").vid
        let (frozen, working) = (try client.header(vid), try client.header(new))
        #expect(frozen.getInteger(at: 520, endianness: .little, as: UInt64.self) == 1_700_000_002 << 32)
        #expect(frozen.getString(at: 256, length: 2) == "s\0" && working.getInteger(at: 256, as: UInt8.self) == 0)
        #expect(working.getInteger(at: 564, endianness: .little, as: UInt32.self) == vid.rawValue)
    }

    @Test("writes of several slots change nothing, whatever a client believes; those of other families are refused")
    func staleSlots() throws {
        for index: UInt32 in 0..<4 { #expect(try client.write(object(index), [7], create: true) == .success) }
        let own = vid.rawValue
        let other = try client.new("other", size: 4 << 20).vid.rawValue
        #expect(try client.writeSlots(vid, from: 0, [0, 0, own, 0]) == .success)
        #expect(try client.writeSlots(vid, from: 1, [own]) == .success)
        #expect(try client.writeSlots(vid, from: 0, [own, other]) == .invalidParameters)
        #expect(try client.writeSlots(vid, from: 0, [other]) == .invalidParameters)
        #expect(try client.writeSlots(vid, from: 0, [0], flags: .tgt) == .success)
        #expect(try client.write(inode, [0, 0], at: 4664) == .invalidParameters, "half a slot")
        #expect(try client.write(inode, [0, 0, 0, 0], at: 4666) == .invalidParameters, "between slots")
        #expect(try client.write(inode, [0, 0, 0, 0], at: 4_198_968) == .invalidParameters, "counts")
        #expect(try client.slots(vid, count: 4) == [own, own, own, own])
    }

    @Test("one zero slot is QEMU's discard")
    func discard() throws {
        for index: UInt32 in 0..<4 { #expect(try client.write(object(index), [7], create: true) == .success) }
        #expect(try client.writeSlots(vid, from: 2, [0]) == .success)
        #expect(try client.slots(vid, count: 4) == [vid.rawValue, vid.rawValue, 0, vid.rawValue])
        #expect(try client.read(object(2), length: 1, flags: .tgt).data.getInteger(at: 0, as: UInt8.self) == 0)
    }

    // MARK: Data

    @Test("a create never replaces what is there, and copies nothing")
    func create() throws {
        #expect(try client.write(object(0), [1, 2, 3], create: true) == .success)
        #expect(try client.write(object(0), [9], at: 1, create: true) == .success)
        #expect(try client.write(object(0), [8], at: 2, create: true, source: object(3)) == .success)
        #expect(Array(try client.read(object(0), length: 4).data.readableBytesView) == [1, 9, 8, 0])
        let stranger = try client.new("other", size: 4 << 20).vid
        #expect(try client.write(object(0), [5], create: true, source: object(0, of: stranger)) == .invalidParameters)
        #expect(try client.write(object(4), [5], create: true) == .invalidParameters, "beyond the volume")
    }

    @Test("what QEMU saw stays readable and writable when another door gives it back, whatever connection it saw it by; dog is told", arguments: [0, 1] as [UInt8])
    func trimmedElsewhere(version: UInt8) throws {
        let (qemu, dog) = (try server.client(version: version), try server.dog())
        for index: UInt32 in 0..<2 { #expect(try qemu.write(object(index), [1], create: true) == .success) }
        for index: UInt32 in 0..<2 { #expect(try dog.ask(.discardObject) { $0.object = object(index) }.result == .success) }
        #expect(try dog.read(object(0), length: 1).result == .noObject && dog.write(object(0), [2]) == .noObject)
        #expect(try dog.ask(.objectExists) { $0.object = object(0) }.result == .noObject)
        #expect(try qemu.read(object(1), length: 512).data == ByteBuffer(repeating: 0, count: 512))
        #expect(try qemu.write(object(0), [2]) == .success)
        #expect(try qemu.read(object(0), length: 1).data.getInteger(at: 0, as: UInt8.self) == 2)
        #expect(try dog.ask(.objectExists) { $0.object = object(0) }.result == .success)
    }

    @Test("holes read as zeros for tgt, whose writes are durable always; others ask for it", arguments: [RequestFlags.tgt, [.tgt, .cache], .direct, []])
    func durable(_ flags: RequestFlags) throws {
        #expect(try client.read(object(3), length: 4096, flags: .tgt).data == ByteBuffer(repeating: 0, count: 4096))
        let before = server.onLoop { $0.durableRequests("a") }
        #expect(try client.write(object(3), [1], flags: flags, create: true) == .success)
        #expect(server.onLoop { $0.durableRequests("a") } == before + 1)
        #expect(try client.write(object(3), [1], flags: .cache, create: true) == .success)
        #expect(server.onLoop { $0.durableRequests("a") } == before + 1)
        #expect(try client.ask(.flushVolume) { $0.object = inode }.result == .success)
        #expect(server.onLoop { $0.durableRequests("a") } == before + 2)
    }

    @Test("a size that fills no object: reads of the last one are whole, its tail takes zeros only")
    func oddSize() throws {
        let odd = try client.new("odd", size: 4 << 20 + 1000).vid
        let last = object(1, of: odd)
        #expect(try client.write(last, [UInt8](repeating: 1, count: 1000) + [0, 0], create: true) == .success)
        #expect(try client.write(last, [1], at: 1000, create: true) == .invalidParameters)
        let data = try client.read(last, length: 4 << 20).data
        #expect(data.readableBytes == 4 << 20 && data.getBytes(at: 999, length: 2) == [1, 0])
    }

    // MARK: Snapshots under running clients

    @Test("tgt: a snapshot makes its writes ask for the name, its reads load the inode")
    func tgtSnapshot() throws {
        #expect(try client.write(object(0), [1], flags: .tgt) == .success)
        let new = try client.snapshot(vid, name: "a", tag: "s").vid
        #expect(try client.write(object(0), [2], flags: .tgt) == .readOnly)
        #expect(try client.read(object(0), length: 1, flags: .tgt).result == .inodeInvalidated)
        #expect(try client.read(inode, length: 1, flags: .tgt).result == .inodeInvalidated)
        let old = try client.read(inode, length: InodeLayout.sizeWithoutCounts, flags: .tgt)
        #expect(old.result == .success && old.data.getInteger(at: 520, as: UInt64.self) != 0)
        #expect(try client.find("a", lock: 1).vid == new)
        #expect(try client.write(object(0, of: new), [2], flags: .tgt, create: true, source: object(0)) == .success)
        #expect(try client.read(object(0, of: new), length: 1, flags: .tgt).data.getInteger(at: 0, as: UInt8.self) == 2)
        #expect(try client.read(object(0), length: 1).data.getInteger(at: 0, as: UInt8.self) == 1, "the snapshot, as dog reads it")
    }

    @Test("tgt: after a rollback the old inode leads to the volume of that name; a deleted volume ends in an error")
    func tgtRollback() throws {
        let second = try client.snapshot(vid, name: "a", tag: "s").vid
        #expect(try client.write(object(0, of: second), [2], flags: .tgt) == .success)
        server.onLoop { $0.rollBack("a", to: "s") }
        #expect(try client.read(object(0, of: second), length: 1, flags: .tgt).result == .inodeInvalidated)
        let old = try client.read(SheepdogObjectID(.inode, second), length: InodeLayout.sizeWithoutCounts, flags: .tgt)
        #expect(old.data.getString(at: 0, length: 2) == "a\0" && old.data.getInteger(at: 520, as: UInt64.self) != 0)
        #expect(try client.header(second).getInteger(at: 0, as: UInt8.self) == 0, "for dog it is deleted")
        server.onLoop { $0.forget(second) }
        #expect(try client.read(object(0, of: second), length: 1, flags: .tgt).result == .noObject)
        #expect(try client.read(SheepdogObjectID(.inode, second), length: 1, flags: .tgt).result == .noVolume)
    }

    @Test("tgt: a deleted snapshot leads to the volume of its name as well, as long as there is one")
    func tgtSnapshotDeleted() throws {
        #expect(try client.write(object(0), [1], create: true) == .success)
        let second = try client.snapshot(vid, name: "a", tag: "s").vid
        #expect(try server.client().delete("a", tag: "s").result == .success)
        #expect(try client.read(object(0), length: 1, flags: .tgt).result == .inodeInvalidated)
        #expect(try client.read(inode, length: 1, flags: .tgt).result == .inodeInvalidated)
        #expect(try client.write(object(0), [2], flags: .tgt) == .readOnly)
        let old = try client.read(inode, length: InodeLayout.sizeWithoutCounts, flags: .tgt)
        #expect(old.data.getString(at: 0, length: 2) == "a\0" && old.data.getInteger(at: 520, as: UInt64.self) != 0)
        #expect(try client.find("a", lock: 1).vid == second)
        #expect(try server.client().delete("a").result == .success)
        #expect(try client.read(object(0), length: 1, flags: .tgt).result == .noObject)
    }

    @Test("QEMU reads under the VID from before a snapshot for as long as its volume lives, also when the snapshot is deleted")
    func qemuSnapshotDeleted() throws {
        let byte = { (index: UInt32) in try client.read(object(index), length: 1).data.getInteger(at: 0, as: UInt8.self) }
        for index: UInt32 in 0..<3 { #expect(try client.write(object(index), [1], create: true) == .success) }
        let other = try server.client()
        let second = try other.snapshot(vid, name: "a", tag: "s").vid
        #expect(try other.write(object(1, of: second), [2], create: true) == .success)
        #expect(try byte(1) == 1)
        #expect(try other.delete("a", tag: "s").result == .success)
        #expect(try byte(0) == 1)
        #expect(try client.write(object(0), [2]) == .readOnly)
        // The next of its volume that lives shows what was written there.
        let third = try other.snapshot(second, name: "a", tag: "t").vid
        #expect(try other.write(object(2, of: third), [3], create: true) == .success)
        #expect(try byte(1) == 2 && byte(2) == 1)
        #expect(try other.delete("a", tag: "t").result == .success)
        #expect(try byte(0) == 1 && byte(2) == 3)
        let anew = try server.client()
        #expect(try anew.read(object(0), length: 1).result == .success, "a connection that came later")
        #expect(try other.delete("a").result == .success)
        #expect(try client.read(object(0), length: 1).result == .noTag)
    }

    @Test("a snapshot that is deleted in the middle of QEMU's read")
    func snapshotDeletedDuringRead() throws {
        #expect(try client.write(object(0), [1], create: true) == .success)
        _ = try client.snapshot(vid, name: "a", tag: "s")
        server.onLoop { backend in
            backend.duringRead = { backend.delete(backend.snapshots(ofVolumeNamed: "a")[0]) { _ in } }
        }
        let reply = try client.read(object(0), length: 1)
        #expect(reply.result == .success && reply.data.getInteger(at: 0, as: UInt8.self) == 1)
    }

    @Test("who reads a snapshot for its own sake gets nothing else when it is deleted")
    func readSnapshotDeleted() throws {
        #expect(try client.write(object(0), [1], create: true) == .success)
        let second = try client.snapshot(vid, name: "a", tag: "s").vid
        let reader = try server.client()
        #expect(try reader.find("a", tag: "s").vid == vid && reader.read(object(0), length: 1).result == .success)
        #expect(try client.write(object(0, of: second), [2], create: true) == .success)
        #expect(try client.delete("a", tag: "s").result == .success)
        #expect(try reader.read(object(0), length: 1).result == .noTag)
        #expect(try client.read(object(0), length: 1).data.getInteger(at: 0, as: UInt8.self) == 2)
    }

    @Test("a discard is not meant where a snapshot is looked up or deleted by its tag or id, be it there or not")
    func discardIsKept() throws {
        _ = try client.snapshot(vid, name: "a", tag: "s")
        _ = try client.find("a")
        #expect(server.onLoop(\.kept) == [])
        #expect(try client.find("a", tag: "none", lock: 0).result == .noTag && client.find("a", id: 1).result == .success)
        #expect(try client.delete("a", tag: "s").result == .success)
        #expect(server.onLoop(\.kept) == ["a", "a", "a"])
    }

    @Test("QEMU: a snapshot by its whole header, then its own writes are read-only until it asks for the name")
    func qemuSnapshot() throws {
        #expect(try client.write(object(0), [1], create: true) == .success)
        var header = try client.header(vid)
        header.setString("tag", at: 256)
        #expect(try client.write(inode, Array(header.readableBytesView)) == .success)
        #expect(try client.header(vid) == header)
        // Another made it larger since, which QEMU does not know; and it may send the same once more.
        server.onLoop { $0.resize($0.volume(named: "a")!, to: 20 << 20) { _ in } }
        for _ in 0..<2 { #expect(try client.write(inode, Array(header.readableBytesView)) == .success) }
        let new = try client.new("a", base: vid, snapshot: true).vid
        #expect(try client.header(new).getInteger(at: 536, endianness: .little, as: UInt64.self) == 20 << 20)
        #expect(try client.find("a", tag: "tag").vid == vid && client.find("a", id: 1).vid == vid)
        #expect(try client.write(object(0), [2]) == .readOnly)
        #expect(try client.find("a").vid == new)
        #expect(try client.write(object(0, of: new), [2], create: true, source: object(0)) == .success)
        #expect(try client.new("a", base: vid, snapshot: true).result == .invalidParameters, "sent again")
    }

    @Test("QEMU: going back to a snapshot deletes the working volume that it has open, and branches")
    func qemuGoto() throws {
        #expect(try client.write(object(0), [1], create: true) == .success)
        let second = try client.snapshot(vid, name: "a", tag: "s").vid
        #expect(try client.write(object(0, of: second), [2], create: true) == .success)
        #expect(try client.delete("a").vid == second)
        #expect(try client.find("a").result == .noVolume)
        let third = try client.new("a", size: 16 << 20, base: vid)
        #expect(third.result == .success)
        #expect(try client.read(object(0, of: third.vid), length: 1).data.getInteger(at: 0, as: UInt8.self) == 1)
    }

    @Test("a clone that cannot have its size is not there, and the next try makes it")
    func cloneAndGrow() throws {
        _ = try client.snapshot(vid, name: "a", tag: "s")
        server.onLoop { $0.largestSize = 16 << 20 }
        #expect(try client.new("b", size: 20 << 20, base: vid).result == .invalidParameters)
        #expect(try client.find("b").result == .noVolume)
        server.onLoop { $0.largestSize = .max }
        let clone = try client.new("b", size: 20 << 20, base: vid)
        #expect(clone.result == .success)
        #expect(try client.header(clone.vid).getInteger(at: 536, endianness: .little, as: UInt64.self) == 20 << 20)
    }

    @Test("what tgt exports is not deleted; it is as soon as tgt is gone")
    func exported() throws {
        let tgt = try server.client()
        #expect(try tgt.write(object(0), [1], flags: .tgt) == .success)
        #expect(try client.delete("a").result == .volumeLocked)
        tgt.raw.disconnect()
        #expect(waitUntil { server.statistics.connections == 1 })
        #expect(try client.delete("a").vid == vid)
    }

    // MARK: Names

    @Test("every way to name a volume or snapshot, and what is not there")
    func names() throws {
        let new = try client.snapshot(vid, name: "a", tag: "s").vid
        #expect(try client.find("a").vid == new && client.find("a", tag: "s").vid == vid)
        #expect(try client.find("b").result == .noVolume && client.find("b", tag: "s").result == .noVolume)
        #expect(try client.find("a", tag: "t").result == .noTag && client.find("a", id: 9).result == .noTag)
        #expect(try client.new("a", size: 1).result == .volumeExists)
        #expect(try client.new("c", base: VID(rawValue: 99)).result == .noBaseVolume)
        #expect(try client.new("c", base: new).result == .invalidParameters, "no snapshot")
        #expect(try client.delete("a", tag: "s").vid == vid)
        let working = try client.delete("a")
        #expect(working.vid == new)
        #expect(try client.delete("a").result == .noVolume)
        #expect(try client.write(object(0, of: new), [1]) == .readOnly)
        #expect(try client.header(new).getInteger(at: 536, as: UInt64.self) == 0)
    }

    @Test("the maps of VIDs have no gap between a name's own and the one that it has")
    func bitmaps() throws {
        let second = try client.snapshot(vid, name: "a", tag: "s").vid
        let third = try client.snapshot(second, name: "a", tag: "t").vid
        _ = try client.delete("a", tag: "t")
        server.onLoop { $0.forget(second) }
        let inUse = try client.ask(.readVolumeIDs, length: VolumeIDBitmap.size).data
        let deleted = try client.ask(.readDeletedVolumeIDs, length: VolumeIDBitmap.size).data
        func has(_ map: ByteBuffer, _ vid: VID) -> Bool {
            map.getInteger(at: Int(vid.rawValue / 8), as: UInt8.self)! & 1 << UInt8(vid.rawValue % 8) != 0
        }
        for one in [vid, second, third] { #expect(has(inUse, one)) }
        #expect(!has(deleted, vid) && has(deleted, second) && !has(deleted, third))
        #expect(!has(inUse, VID(rawValue: third.rawValue + 1)))
    }

    @Test("size and name written into the header are resize and rename; a volume never shrinks")
    func headerChanges() throws {
        var header = try client.header(vid)
        header.setInteger(UInt64(20 << 20), at: 536, endianness: .little)
        #expect(try client.write(inode, Array(header.readableBytesView)) == .success)
        #expect(try client.slots(vid, flags: .tgt, count: 6) == [UInt32](repeating: vid.rawValue, count: 5) + [0])
        header.setInteger(UInt64(4 << 20), at: 536, endianness: .little)
        #expect(try client.write(inode, Array(header.readableBytesView)) == .invalidParameters)
        header = try client.header(vid)
        header.setString("b", at: 0)
        #expect(try client.write(inode, Array(header.readableBytesView)) == .success)
        #expect(try client.find("b").vid == vid && client.find("a").result == .noVolume)
    }

    @Test("locks: none without the cluster's flag; one client, or several that share")
    func locks() throws {
        #expect(try client.find("a", lock: 0).vid == vid && client.find("a", lock: 0).vid == vid)
        server.onLoop { $0.cluster.flags = 8 }
        #expect(try client.find("a", lock: 0).vid == vid)
        #expect(try client.find("a", lock: 0).result == .volumeLocked && client.find("a", lock: 1).result == .volumeLocked)
        #expect(try client.find("a").vid == vid, "to ask is free")
        #expect(try client.ask(.releaseVolume) { $0.baseVID = vid.rawValue }.result == .success)
        #expect(try client.find("a", lock: 1).vid == vid && client.find("a", lock: 1).vid == vid)
        // QEMU sends the name with a release.
        #expect(try client.ask(.releaseVolume, ByteBuffer(string: "a\0")) { $0.baseVID = vid.rawValue }.result == .success)
        #expect(try client.ask(.releaseVolume) { $0.baseVID = 99 }.result == .success)
        #expect(try client.find("a", lock: 2).result == .invalidParameters)
    }

    @Test("volumes of more than 2^20 objects open; the whole of their inode is refused")
    func largeVolume() throws {
        let large = try client.new("large", size: 1 << 43).vid
        let inode = SheepdogObjectID(.inode, large)
        for length in [InodeLayout.sizeWithoutCounts, InodeLayout.size] {
            #expect(try client.read(inode, length: length).result == .invalidParameters)
            #expect(try client.read(inode, length: length, flags: .tgt).result == .invalidParameters)
        }
        #expect(try client.header(large).getInteger(at: 536, endianness: .little, as: UInt64.self) == 1 << 43)
        let far = SheepdogObjectID(.data, large, index: (1 << 21) - 1)
        #expect(try client.write(far, [3], at: 5, create: true) == .success)
        #expect(try client.read(far, length: 1, at: 5).data.getInteger(at: 0, as: UInt8.self) == 3)
    }

    @Test("a sheep that joins the cluster lets clients wait")
    func joining() throws {
        server.onLoop { $0.readiness = .waitingForNodes }
        var request = RequestHeader(opcode: Opcode.readObject.rawValue, flags: .tgt, id: 9, dataLength: 1)
        request.object = object(0)
        client.send(request)
        #expect(try server.client().ask(.getNodeList, length: 80).result == .success, "dog is answered")
        #expect(client.raw.isQuiet())
        server.onLoop { $0.readiness = .serving }
        #expect(try client.receive().result == .success)
    }

    @Test("while the cluster shuts down dog is told, and who has a disk there waits for its return")
    func shuttingDown() throws {
        server.onLoop { $0.readiness = .shuttingDown }
        let dog = try server.dog()
        #expect(try dog.new("b", size: 1).result == .shuttingDown && dog.find("a").result == .shuttingDown)
        let record = try dog.ask(.statCluster, length: 48)
        #expect(record.result == .shuttingDown && record.data.readableBytes == 48)
        let cluster = try dog.ask(.clusterInformation, length: ClusterRecords.clusterSize)
        #expect(cluster.result == .success && cluster.data.getInteger(at: 20, as: UInt8.self) == 3)
        var request = RequestHeader(opcode: Opcode.writeObject.rawValue, flags: [.tgt, .write], id: 9, dataLength: 1)
        request.object = object(0)
        client.send(request, ByteBuffer(bytes: [1]))
        #expect(client.raw.isQuiet())
        server.onLoop { $0.readiness = .serving }
        #expect(try client.receive().result == .success)
    }
}
