import ConformanceKit
import FrontendKit
import NIOCore
import ObjectModel
import iSCSIBackingStoreFrontend

/// A volume used over the wire as tgt uses it, and where tgt has no request for it, as QEMU does.
final class SheepdogTarget: ConformanceTarget {
    private let socketPath: String
    private let name: String
    private var client: SheepdogClient
    private var vid = VID(rawValue: 0)
    private(set) var size: UInt64 = 0
    private static let objectSize: UInt64 = 4 << 20

    init(unix path: String, name: String) throws {
        (socketPath, self.name) = (path, name)
        client = SheepdogClient(try RawClient(unix: path))
        try open()
    }

    private func open() throws {
        client = SheepdogClient(try RawClient(unix: socketPath))
        vid = try client.find(name, lock: 1).vid
        size = try client.header(vid, flags: .tgt).getInteger(at: 536, endianness: .little)!
    }

    var maximumRequest: Int { 4 << 20 }

    private func wire<Value>(_ body: () throws -> Value) throws(SheepError) -> Value {
        do { return try body() } catch { throw SheepError(.inputOutput, "\(error)") }
    }

    private func check(_ result: ResultCode) throws(SheepError) {
        guard result == .success else { throw SheepError(.inputOutput, "result \(result)") }
    }

    /// The pieces of a range by object: object, offset in it, range in the whole.
    private func pieces(_ offset: UInt64, _ length: UInt64) -> [(SheepdogObjectID, UInt64, Range<Int>)] {
        var pieces: [(SheepdogObjectID, UInt64, Range<Int>)] = []
        var position: UInt64 = 0
        while position < length {
            let within = (offset + position) % Self.objectSize
            let count = min(Self.objectSize - within, length - position)
            let object = SheepdogObjectID(.data, vid, index: UInt32((offset + position) / Self.objectSize))
            pieces.append((object, within, Int(position)..<Int(position + count)))
            position += count
        }
        return pieces
    }

    func read(at offset: UInt64, length: Int) throws(SheepError) -> [UInt8] {
        var bytes: [UInt8] = []
        for (object, within, range) in pieces(offset, UInt64(length)) {
            let reply = try wire { try client.read(object, length: range.count, at: within, flags: .tgt) }
            try check(reply.result)
            bytes += reply.data.readableBytesView
        }
        return bytes
    }

    func write(_ data: [UInt8], at offset: UInt64, durable: Bool) throws(SheepError) {
        for (object, within, range) in pieces(offset, UInt64(data.count)) {
            try check(try wire { try client.write(object, Array(data[range]), at: within, flags: durable ? [.tgt, .cache] : .cache, create: !durable) })
        }
    }

    func flush() throws(SheepError) {
        try check(try wire { try client.ask(.flushVolume) { $0.object = SheepdogObjectID(.inode, vid) }.result })
    }

    func trim(at offset: UInt64, length: UInt64, durable: Bool) throws(SheepError) {
        for (object, within, range) in pieces(offset, length) {
            if UInt64(range.count) == Self.objectSize {
                try check(try wire { try client.ask(.discardObject) { $0.object = object }.result })
            } else {
                let zeros = [UInt8](repeating: 0, count: range.count)
                try check(try wire { try client.write(object, zeros, at: within, flags: .tgt) })
            }
        }
    }

    func zero(at offset: UInt64, length: UInt64, mayDeallocate: Bool, onlyIfFast: Bool, durable: Bool) throws(SheepError) {
        if onlyIfFast { throw SheepError(.notSupported, "there is no such request") }
        for (object, within, range) in pieces(offset, length) {
            let zeros = [UInt8](repeating: 0, count: range.count)
            try check(try wire { try client.write(object, zeros, at: within, flags: .tgt) })
        }
    }

    func status(at offset: UInt64, length: UInt64, onlyOne: Bool) throws(SheepError) -> [BlockExtent] {
        let slots = try wire { try client.slots(vid, count: Int((size + Self.objectSize - 1) / Self.objectSize)) }
        var extents: [BlockExtent] = []
        for (object, _, range) in pieces(offset, length) {
            let isAllocated = slots[Int(object.index)] != 0
            if extents.last?.isAllocated == isAllocated { extents[extents.count - 1].length += UInt64(range.count) } else {
                extents.append(BlockExtent(length: UInt64(range.count), isAllocated: isAllocated, isZero: !isAllocated))
            }
        }
        return onlyOne ? Array(extents.prefix(1)) : extents
    }

    func reopen() throws(SheepError) { try wire { try open() } }
}
