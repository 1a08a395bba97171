import CLinux
import NIOCore
import ObjectModel
import ObjectStore
import SheepProtocol

/// Reads objects of a sheep on this machine from its files, without asking it each time, as long as it vouches for them (``ReadBoard``).
///
/// What is read often and seldom changed is worth it: the sheep is asked for an object (``Operation/deviceReadGrant``) after some reads of
/// it, the more of them the shorter the last grant was of use; a long read counts as many short ones. Where one read follows the other the next
/// object is asked for before it is reached. Every few seconds a read of each volume goes to the sheep all the same, so that it sees that the
/// volume is in use (``tick()``). One of the connection; used on the event loop only.
final class ShortCircuitReader {
    private struct Key: Hashable {
        let device: DeviceHandle
        let index: UInt32
    }

    /// What is known of an object that was read.
    private final class Entry {
        var object: ShortCircuitObject?
        var isAsked = false
        /// The sheep granted nothing when it was asked before the first read: it may not have opened the object yet.
        var isRefused = false
        /// Through the sheep since there was no grant.
        var reads = 0
        /// By the present grant, and when last looked at.
        var (uses, usesSeen) = (0, 0)
        /// Reads through the sheep before it is asked for the next grant.
        var patience = ShortCircuitReader.leastPatience
        /// Second-chance mark.
        var wasUsed = true
    }

    private static var leastPatience: Int { 2 }
    private static var mostPatience: Int { 64 }
    /// Uses after which a grant was worth its cost.
    private static var goodUses: Int { 8 }
    /// Objects that are known at once, each of which may have a file open; a quarter of what this process may have open.
    private static let mostEntries = min(2048, Int(clamping: clinux_file_limit() / 4))
    /// Bytes of their tables: 4 KiB for an object of 4 MiB.
    private static var mostTableBytes: Int { 16 << 20 }

    private let shared: SharedReadBoard
    private let store: StoreView
    private unowned let connection: SheepConnection
    private let helper: ReadHelper
    private var entries: [Key: Entry] = [:]
    private var ring: [Key] = []
    private var hand = 0
    private var tableBytes = 0
    /// Devices whose next read goes to the sheep.
    private var due: Set<DeviceHandle> = []
    /// Where the last read of all ended.
    private var lastEnd: (device: DeviceHandle, offset: UInt64)?

    /// Nil when this process cannot see what is offered.
    init?(_ offer: ShortCircuitOffer, on connection: SheepConnection, helper: ReadHelper) {
        guard let shared = SharedReadBoard.find(offer.board, boot: offer.boot), let store = StoreView(path: offer.store) else { return nil }
        (self.shared, self.store, self.connection, self.helper) = (shared, store, connection, helper)
    }

    /// Appends the bytes if they are here for the taking; else the buffer stays as it was, and the sheep is to be asked. `total` is the volume's size.
    /// A short read waits for the disk while it may, see ``ReadHelper``.
    func read(
        _ device: DeviceHandle, shift: ObjectShift, size total: UInt64, at offset: UInt64, length: Int, appendingTo buffer: inout ByteBuffer,
        whileWaiting mayWait: () -> Bool
    ) -> Bool {
        guard length > 0 else { return true }
        let size = UInt64(shift.objectSize)
        let end = offset + UInt64(length)
        if let lastEnd, lastEnd == (device, offset) {
            let next = (end - 1) / size + 1
            if next * size < total, let index = UInt32(exactly: next) { expect(Key(device: device, index: index)) }
        }
        lastEnd = (device, end)
        if !due.isEmpty, due.remove(device) != nil { return false }
        let start = buffer.writerIndex
        var (offset, rest) = (offset, length)
        while rest > 0 {
            let piece = min(rest, Int(size - offset % size))
            guard let index = UInt32(exactly: offset / size),
                readObject(Key(device: device, index: index), at: Int(offset % size), length: piece, appendingTo: &buffer, mayWait)
            else {
                buffer.moveWriterIndex(to: start)
                return false
            }
            (offset, rest) = (offset + UInt64(piece), rest - piece)
        }
        return true
    }

    private func readObject(
        _ key: Key, at offset: Int, length: Int, appendingTo buffer: inout ByteBuffer, _ mayWait: () -> Bool
    ) -> Bool {
        let entry = entries[key] ?? remember(key)
        entry.wasUsed = true
        guard let object = entry.object else {
            entry.reads += Self.worth(length)
            if entry.reads >= entry.patience { ask(for: entry, key, isExpected: false) }
            return false
        }
        // Looked at before as well, so that nothing is read in vain.
        guard shared.vouches(for: object.stamp) else {
            ended(entry)
            return false
        }
        let isRead = buffer.appendBlocks(of: offset..<offset + length) {
            helper.read(object, at: $0, into: $1) { mayWait() && shared.vouches(for: object.stamp) } && shared.vouches(for: object.stamp)
        }
        if isRead { entry.uses += Self.worth(length) }
        return isRead
    }

    /// In short reads: what it saves not to ask the sheep.
    private static func worth(_ length: Int) -> Int { 1 + length / (32 << 10) }

    /// The object is likely to be read soon. One whose grants were of no use waits for its reads.
    private func expect(_ key: Key) {
        let entry = entries[key] ?? remember(key)
        if let object = entry.object, !shared.vouches(for: object.stamp) { ended(entry) }
        if entry.object == nil, entry.patience == Self.leastPatience, !entry.isRefused { ask(for: entry, key, isExpected: true) }
    }

    /// To be called every few seconds: what is not vouched for any more is let go, for an object may be deleted and its file keep its space for us;
    /// and of what is in use the sheep hears, which gives back the lease of a volume that nobody uses.
    func tick() {
        for (key, entry) in entries {
            if let object = entry.object, !shared.vouches(for: object.stamp) { ended(entry) }
            if entry.uses != entry.usesSeen { due.insert(key.device) }
            entry.usesSeen = entry.uses
        }
    }

    /// The device is not used any more.
    func closed(_ device: DeviceHandle) {
        for (key, entry) in entries where key.device == device {
            drop(entry)
            entries[key] = nil
        }
        ring.removeAll { $0.device == device }
        due.remove(device)
        hand = 0
    }

    private func ended(_ entry: Entry) {
        entry.patience = entry.uses >= Self.goodUses ? Self.leastPatience : min(2 * entry.patience, Self.mostPatience)
        drop(entry)
    }

    private func drop(_ entry: Entry) {
        tableBytes -= entry.object?.tableBytes ?? 0
        (entry.object, entry.reads, entry.uses, entry.usesSeen, entry.isRefused) = (nil, 0, 0, 0, false)
    }

    private func remember(_ key: Key) -> Entry {
        if ring.count >= Self.mostEntries { evict() }
        ring.append(key)
        let entry = Entry()
        entries[key] = entry
        return entry
    }

    /// One that was not used since the hand came by last.
    private func evict() {
        while let entry = entries[ring[hand]], entry.wasUsed {
            entry.wasUsed = false
            hand = (hand + 1) % ring.count
        }
        let key = ring[hand]
        ring[hand] = ring[ring.count - 1]
        ring.removeLast()
        if hand >= ring.count { hand = 0 }
        if let entry = entries.removeValue(forKey: key) { drop(entry) }
    }

    private func ask(for entry: Entry, _ key: Key, isExpected: Bool) {
        guard !entry.isAsked else { return }
        entry.isAsked = true
        connection.send(.deviceReadGrant, body: DeviceReadGrant(handle: key.device, index: key.index).wire, timeLimit: nil) { [weak self] result in
            guard let self, entries[key] === entry else { return }
            entry.isAsked = false
            drop(entry)
            entry.isRefused = false
            guard let object = object(result) else {
                if isExpected { entry.isRefused = true } else { entry.patience = min(2 * entry.patience, Self.mostPatience) }
                return
            }
            while tableBytes + object.tableBytes > Self.mostTableBytes, ring.count > 1 { evict() }
            guard entries[key] === entry else { return }
            entry.object = object
            tableBytes += object.tableBytes
        }
    }

    private func object(_ result: Result<SheepReply, ClientError>) -> ShortCircuitObject? {
        guard case .success(var reply) = result, let granted = try? DeviceReadGranted(wire: reply.body) else { return nil }
        var checksums: [UInt32] = []
        checksums.reserveCapacity(reply.payload.readableBytes / 4)
        while let checksum = reply.payload.readInteger(endianness: .little, as: UInt32.self) { checksums.append(checksum) }
        return ShortCircuitObject(
            granted.object, in: store, checksums: checksums,
            stamp: ReadStamp(place: granted.place, changes: granted.changes, generation: granted.generation))
    }
}

extension ByteBuffer {
    /// Appends a range of bytes out of the whole blocks that `read` puts into the memory given, if it does.
    fileprivate mutating func appendBlocks(of range: Range<Int>, read: (_ offset: Int, UnsafeMutableRawBufferPointer) -> Bool) -> Bool {
        let first = range.lowerBound / blockSize * blockSize
        let covered = (range.upperBound + blockSize - 1) / blockSize * blockSize - first
        var isRead = false
        writeWithUnsafeMutableBytes(minimumWritableBytes: covered) { raw in
            isRead = read(first, UnsafeMutableRawBufferPointer(rebasing: raw[..<covered]))
            guard isRead else { return 0 }
            let head = range.lowerBound - first
            if head > 0 { raw.copyMemory(from: UnsafeRawBufferPointer(rebasing: raw[head..<head + range.count])) }
            return range.count
        }
        return isRead
    }
}
