import ObjectModel

/// An append-only file of ``LogRecord``s, replaced from time to time by a shorter one that says the same.
///
/// Invariants:
/// - What replay returns is a prefix of what was appended, and holds everything up to the last sync that succeeded.
/// - While a replacement is being written every append goes to both files. From the moment the replacement is being
///   made durable until its rename is durable, every sync covers both files, then the folder too.
/// - A failed append leaves the log as it was; the next one overwrites its remains.
package final class RecordLog<D: Disk> {
    /// How a replay ended.
    package enum End: Equatable {
        case whole
        /// Bytes follow that are no records and were never known durable; the log must be rewritten before it is used.
        case torn
        /// A record that was durable is damaged.
        case damaged(slot: Int)
    }

    private struct Replacement {
        var file: D.File
        var slots: UInt32
        var life: UInt32
        var finishing = false
    }

    private let disk: D
    let name: String
    private var file: D.File
    private var replacement: Replacement?
    private var replaced: [D.File] = []
    private var syncsInFlight = 0
    private var folderIsDirty = false
    private var folderGeneration = 0
    /// Records in the file, its header included.
    package private(set) var slots: UInt32
    private var durableSlots: UInt32 = 0
    /// The life that records are written in, and where each began.
    private var life: UInt32 = 0
    private var lives: [(slot: UInt32, life: UInt32)] = []
    private var reservedBytes: UInt64 = 0
    /// Counts appends since the log was opened; a record is durable when `durable` has reached its number.
    private(set) var appended: UInt64 = 0
    private(set) var durable: UInt64 = 0
    private let scratch = AlignedBytes(count: LogRecord.size * 1024)

    /// Space kept ahead of the end, so that trims can be recorded on a full disk.
    private static var reserveAhead: UInt64 { 1 << 20 }

    package var isBeingReplaced: Bool { replacement != nil }
    private var temporaryName: String { name + ".new" }

    private init(disk: D, name: String, file: D.File, slots: UInt32) {
        (self.disk, self.name, self.file, self.slots) = (disk, name, file, slots)
    }

    /// Makes an empty log in the place of whatever had the name. Not durable yet.
    package static func create(on disk: D, name: String) throws(DiskError) -> RecordLog {
        if try disk.exists(name) { try disk.remove(name) }
        let log = RecordLog(disk: disk, name: name, file: try disk.open(name, create: true), slots: 0)
        try log.append(.header)
        return log
    }

    /// Opens a log and hands its records over in order.
    package static func open(
        on disk: D, name: String, replay body: (LogRecord) -> Void
    ) throws(DiskError) -> (log: RecordLog, end: End) {
        let log = RecordLog(disk: disk, name: name, file: try disk.open(name, create: false), slots: 0)
        return (log, try log.replay(body))
    }

    package func close() {
        disk.close(file)
        if let replacement { disk.close(replacement.file) }
        for file in replaced { disk.close(file) }
        (replacement, replaced) = (nil, [])
    }

    private func replay(_ body: (LogRecord) -> Void) throws(DiskError) -> End {
        let size = try disk.size(of: file)
        let total = Int((size + UInt64(LogRecord.size) - 1) / UInt64(LogRecord.size))
        var firstBad: Int?
        var slot = 0
        while slot < total {
            let count = min(total - slot, scratch.buffer.count / LogRecord.size)
            let part = UnsafeMutableRawBufferPointer(rebasing: scratch.buffer[..<(count * LogRecord.size)])
            try disk.read(file, at: UInt64(slot * LogRecord.size), into: part)
            for position in 0..<count {
                let bytes = UnsafeRawBufferPointer(rebasing: part[position * LogRecord.size..<(position + 1) * LogRecord.size])
                let decoded = LogRecord.decode(bytes, slot: UInt32(slot + position), life: life)
                if let firstBad {
                    // A record that knew the bad slot durable proves rot.
                    if let decoded, decoded.durable > UInt32(firstBad) { return .damaged(slot: firstBad) }
                } else if let decoded, decoded.record.kind == .header ? slot + position == 0 : slot + position > 0 {
                    note(decoded.record)
                    body(decoded.record)
                    slots += 1
                } else {
                    firstBad = slot + position
                }
            }
            slot += count
        }
        if firstBad == 0 || total == 0 { return .damaged(slot: 0) }
        durableSlots = 0
        return firstBad == nil && size == UInt64(slots) * UInt64(LogRecord.size) ? .whole : .torn
    }

    private func note(_ record: LogRecord) {
        guard record.kind == .life else { return }
        life = UInt32(truncatingIfNeeded: record.version.rawValue)
        lives.append((slots, life))
    }

    /// Cuts off what follows the first `slots` records and begins a new life, in which nothing behind the cut is valid.
    /// To be synced before any other append.
    package func beginLife(after slots: UInt32) throws(DiskError) {
        precondition(slots <= self.slots)
        let highest = lives.map(\.life).max() ?? 0
        self.slots = slots
        life = lives.last { $0.slot < slots }?.life ?? 0
        try disk.truncate(file, to: UInt64(slots) * UInt64(LogRecord.size))
        try append(.life(highest + 1))
        life = highest + 1
        lives.append((self.slots - 1, life))
    }

    /// Appends; returns the number to wait for when the record must be durable.
    @discardableResult
    package func append(_ record: LogRecord) throws(DiskError) -> UInt64 {
        try write(record, to: file, slot: slots, durable: durableSlots)
        slots += 1
        appended += 1
        if replacement != nil { appendToReplacement([record]) }
        reserveMore()
        return appended
    }

    private func write(_ record: LogRecord, to file: D.File, slot: UInt32, durable: UInt32) throws(DiskError) {
        let bytes = UnsafeMutableRawBufferPointer(rebasing: scratch.buffer[..<LogRecord.size])
        record.encode(slot: slot, life: life, durable: durable, into: bytes)
        try disk.write(file, at: UInt64(slot) * UInt64(LogRecord.size), from: UnsafeRawBufferPointer(bytes))
    }

    private func reserveMore() {
        let end = UInt64(slots) * UInt64(LogRecord.size)
        guard end + Self.reserveAhead / 2 > reservedBytes else { return }
        reservedBytes = end + Self.reserveAhead
        // Without space there is nothing to keep; appends fail on their own then.
        try? disk.reserve(file, at: end, length: Self.reserveAhead)
    }

    /// Makes durable what was appended before the call.
    package func sync(with others: [D.File] = [], completion: @escaping (DiskError?) -> Void) {
        let (number, slotsNow, generation) = (appended, slots, folderGeneration)
        var files = others + [file]
        if let replacement, replacement.finishing { files.append(replacement.file) }
        syncsInFlight += 1
        disk.sync(files: files, directories: folderIsDirty ? ["."] : []) { [self] error in
            syncsInFlight -= 1
            if error == nil {
                durable = max(durable, number)
                if generation == folderGeneration {
                    durableSlots = max(durableSlots, slotsNow)
                    folderIsDirty = false
                }
            }
            closeReplaced()
            completion(error)
        }
    }

    private func closeReplaced() {
        guard syncsInFlight == 0 else { return }
        for file in replaced { disk.close(file) }
        replaced = []
    }

    /// Begins a replacement; until it is finished, ``appendToReplacement(_:)`` adds what it shall hold.
    package func beginReplacement() throws(DiskError) {
        precondition(replacement == nil)
        if try disk.exists(temporaryName) { try disk.remove(temporaryName) }
        replacement = Replacement(file: try disk.open(temporaryName, create: true), slots: 0, life: 0)
        appendToReplacement([.header, .life(life)])
        replacement?.life = life
    }

    /// Adds records; a disk that refuses them ends the replacement, and the old file stays.
    package func appendToReplacement(_ records: [LogRecord]) {
        guard var current = replacement else { return }
        do {
            var rest = records[...]
            while !rest.isEmpty {
                let part = rest.prefix(scratch.buffer.count / LogRecord.size)
                rest = rest.dropFirst(part.count)
                for (position, record) in part.enumerated() {
                    let range = position * LogRecord.size..<(position + 1) * LogRecord.size
                    record.encode(
                        slot: current.slots + UInt32(position), life: current.life, durable: 0,
                        into: UnsafeMutableRawBufferPointer(rebasing: scratch.buffer[range]))
                }
                let bytes = UnsafeRawBufferPointer(rebasing: scratch.buffer[..<(part.count * LogRecord.size)])
                try disk.write(current.file, at: UInt64(current.slots) * UInt64(LogRecord.size), from: bytes)
                current.slots += UInt32(part.count)
            }
            replacement = current
        } catch {
            abandonReplacement()
        }
    }

    private func abandonReplacement() {
        guard let current = replacement else { return }
        replacement = nil
        // A sync may still hold the file.
        replaced.append(current.file)
        closeReplaced()
        try? disk.remove(temporaryName)
    }

    /// Makes the replacement durable, puts it in place and makes that durable.
    package func finishReplacement(completion: @escaping (DiskError?) -> Void) {
        guard replacement != nil else { return completion(nil) }
        replacement?.finishing = true
        sync { [self] error in
            guard error == nil, let current = replacement else { return completion(error) }
            do throws(DiskError) {
                try disk.rename(temporaryName, to: name)
            } catch {
                abandonReplacement()
                return completion(error)
            }
            replaced.append(file)
            (file, slots, durableSlots, reservedBytes) = (current.file, current.slots, 0, 0)
            replacement = nil
            folderGeneration += 1
            folderIsDirty = true
            sync(completion: completion)
        }
    }
}
