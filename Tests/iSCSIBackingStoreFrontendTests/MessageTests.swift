import NIOCore
import ObjectModel
import Testing
import iSCSIBackingStoreFrontend

@Suite("Messages of Sheepdog's protocol")
struct MessageTests {
    @Test("requests come back as they went, from 48 bytes and no fewer")
    func requests() throws {
        var request = RequestHeader(version: 2, opcode: 0x01, flags: [.write, .tgt], id: 0xDEAD_BEEF, dataLength: 4096)
        request.object = SheepdogObjectID(.data, VID(rawValue: 0x75757B), index: 9)
        request.copyOnWriteObject = SheepdogObjectID(.data, VID(rawValue: 0x75757A), index: 9)
        request.offset = 0x3FF000
        var buffer = ByteBuffer()
        request.encode(into: &buffer)
        #expect(buffer.readableBytes == RequestHeader.size)
        for length in 0..<RequestHeader.size {
            var piece = buffer.getSlice(at: 0, length: length)!
            #expect(RequestHeader(from: &piece) == nil)
        }
        #expect(buffer.getInteger(at: 16, endianness: .little) == UInt64(0x75757B) << 32 | 9)
        #expect(buffer.getInteger(at: 40, endianness: .little) == UInt32(0x3FF000))
        #expect(RequestHeader(from: &buffer) == request)
    }

    @Test("fields of volumes lie where clients put them")
    func volumeFields() {
        var request = RequestHeader(opcode: 0x11, id: 1)
        (request.volumeSize, request.baseVID, request.copies, request.copyPolicy) = (1 << 40, 0x123456, 3, 0x22)
        (request.objectShift, request.snapshotID, request.lockType) = (22, 7, 1)
        var buffer = ByteBuffer()
        request.encode(into: &buffer)
        #expect(buffer.getBytes(at: 24, length: 16) == [0x56, 0x34, 0x12, 0, 3, 0x22, 0, 22, 7, 0, 0, 0, 1, 0, 0, 0])
        #expect((request.copies, request.copyPolicy, request.objectShift) == (3, 0x22, 22))
    }

    @Test("replies come back as they went, from 48 bytes and no fewer")
    func replies() throws {
        var reply = ReplyHeader(to: RequestHeader(opcode: 0x14, id: 7), epoch: 5, result: .noTag, dataLength: 12)
        reply.setVolume(vid: 0x75757B, copies: 3, objectShift: 22)
        var buffer = ByteBuffer()
        reply.encode(into: &buffer)
        for length in 0..<ReplyHeader.size {
            var piece = buffer.getSlice(at: 0, length: length)!
            #expect(ReplyHeader(from: &piece) == nil)
        }
        #expect(ReplyHeader(from: &buffer) == reply)
    }

    @Test("every error has a code of the protocol")
    func codes() {
        let codes = Set(SheepError.Code.allCases.map(ResultCode.init))
        #expect(!codes.contains(.success) && !codes.contains(.inodeInvalidated))
        #expect(ResultCode(.notFormatted) == .waitingForFormat && ResultCode(.readOnly) == .readOnly)
    }

    @Test("objects by kind, VID and index")
    func objects() {
        let inode = SheepdogObjectID(.inode, VID(rawValue: 0x7C2B25))
        #expect(inode.rawValue == 0x807C_2B25_0000_0000)
        let object = SheepdogObjectID(rawValue: 0x007C_2B25_0000_00FF)
        #expect(object.kind == .data && object.vid == VID(rawValue: 0x7C2B25) && object.index == 255)
        #expect(SheepdogObjectID(rawValue: 1 << 57).kind == nil && SheepdogObjectID(rawValue: 3 << 62).kind == nil)
    }
}
