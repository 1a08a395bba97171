import ObjectModel

/// The file `notes`: what the next run of this sheep is to know of this one, a few bytes in a slot each.
///
/// ```
///  0        4        6                       128
///  +--------+--------+-------+---------------+
///  | CRC32C | length | bytes | zeros         |
///  +--------+--------+-------+---------------+
/// ```
///
/// Little-endian. The CRC covers all from byte 4 on and begins with the slot's number; anything that does not fit it is a free slot.
/// Nothing of it is ever synced: a note outlives the process, and after a power cut it tells nothing, for what it speaks of may be lost.
struct NoteFile<D: Disk> {
    static var name: String { "notes" }
    static var slotSize: Int { 128 }
    static var capacity: Int { slotSize - 6 }

    /// Nil until there is a first note.
    var file: D.File?
    /// Slots in the file.
    var slots = 0
    var free: [Int] = []
    let scratch = AlignedBytes(count: slotSize)

    mutating func takeSlot() -> Int {
        if let slot = free.popLast() { return slot }
        slots += 1
        return slots - 1
    }

    /// The slot's bytes, in `scratch`.
    func encode(_ note: [UInt8], slot: Int) {
        let bytes = scratch.buffer
        bytes.initializeMemory(as: UInt8.self, repeating: 0)
        bytes.storeBytes(of: UInt16(note.count).littleEndian, toByteOffset: 4, as: UInt16.self)
        UnsafeMutableRawBufferPointer(rebasing: bytes[6...]).copyBytes(from: note)
        bytes.storeBytes(of: checksum(slot).littleEndian, toByteOffset: 0, as: UInt32.self)
    }

    /// Of what is in `scratch`; nil: no note.
    func decode(slot: Int) -> [UInt8]? {
        let bytes = scratch.bytes
        let length = Int(UInt16(littleEndian: bytes.loadUnaligned(fromByteOffset: 4, as: UInt16.self)))
        guard UInt32(littleEndian: bytes.loadUnaligned(as: UInt32.self)) == checksum(slot), (1...Self.capacity).contains(length) else { return nil }
        return Array(bytes[6..<6 + length])
    }

    private func checksum(_ slot: Int) -> UInt32 {
        CRC32C.finish(CRC32C.extend(CRC32C.start ^ UInt32(truncatingIfNeeded: slot), UnsafeRawBufferPointer(rebasing: scratch.bytes[4...])))
    }
}

extension ObjectStore {
    /// Also while it is being closed: changes end then.
    private var takesNotes: Bool {
        switch phase {
        case .open, .closing: true
        case .failed, .closed: false
        }
    }

    private func openNotes() throws(DiskError) {
        let isNew = try !disk.exists(NoteFile<D>.name)
        let file = try disk.open(NoteFile<D>.name, create: isNew)
        notes.file = file
        // A disk that is full later still takes notes. Without the space now they are taken as long as there is some.
        if isNew { try? disk.reserve(file, at: 0, length: UInt64(4096 * NoteFile<D>.slotSize)) }
    }

    /// Keeps up to 122 bytes for the next run, should this one be killed; returns the slot to take them back from. Nil: the disk has no room
    /// for them, or takes no changes.
    package func addNote(_ note: [UInt8]) -> Int? {
        guard takesNotes else { return nil }
        let slot = notes.takeSlot()
        return write(note, in: slot) ? slot : nil
    }

    /// Puts another note into a slot. False: it is free now, and the note is not kept.
    package func changeNote(_ slot: Int, to note: [UInt8]) -> Bool { takesNotes && write(note, in: slot) }

    private func write(_ note: [UInt8], in slot: Int) -> Bool {
        precondition((1...NoteFile<D>.capacity).contains(note.count))
        do throws(DiskError) {
            if notes.file == nil { try openNotes() }
            notes.encode(note, slot: slot)
            try disk.write(notes.file!, at: UInt64(slot * NoteFile<D>.slotSize), from: notes.scratch.bytes)
            return true
        } catch {
            notes.free.append(slot)
            _ = refusal(error)
            return false
        }
    }

    package func removeNote(_ slot: Int) {
        guard takesNotes, let file = notes.file else { return }
        notes.scratch.buffer.initializeMemory(as: UInt8.self, repeating: 0)
        do throws(DiskError) {
            try disk.write(file, at: UInt64(slot * NoteFile<D>.slotSize), from: notes.scratch.bytes)
            notes.free.append(slot)
        } catch { _ = refusal(error) }
    }

    /// What the run before left, by slot. To be asked once, before the first ``addNote(_:)``. What cannot be read is no note.
    package func notesLeft() -> [(slot: Int, note: [UInt8])] {
        do throws(DiskError) {
            guard try disk.exists(NoteFile<D>.name) else { return [] }
            let file = try disk.open(NoteFile<D>.name, create: false)
            notes.file = file
            notes.slots = Int(try disk.size(of: file)) / NoteFile<D>.slotSize
            var left: [(slot: Int, note: [UInt8])] = []
            for slot in 0..<notes.slots {
                try disk.read(file, at: UInt64(slot * NoteFile<D>.slotSize), into: notes.scratch.buffer)
                if let note = notes.decode(slot: slot) { left.append((slot, note)) } else { notes.free.append(slot) }
            }
            return left
        } catch {
            if !error.isUnreadable { _ = refusal(error) }
            forgetNotes()
            return []
        }
    }

    /// The power was lost, or all that the notes speak of is gone.
    package func forgetNotes() {
        if let file = notes.file { disk.close(file) }
        (notes.file, notes.slots, notes.free) = (nil, 0, [])
        do throws(DiskError) {
            if try disk.exists(NoteFile<D>.name) { try disk.remove(NoteFile<D>.name) }
        } catch { _ = refusal(error) }
    }
}
