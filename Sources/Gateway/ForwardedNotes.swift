// Invariants
// 1. A change that another gateway passed on is noted as begun before anything of it is in the object here, and as done before anybody is
//    told so.
// 2. A note goes when its gateway has the reply or is gone, when the change failed, and when this disk begins to copy the object's group
//    from another one: what it had done there counts no more. What that one knows comes with the copy.
// 3. What is undone was not done. But a change that a process left in part stays in doubt: some of it may have been read before. So does
//    one that is undone with the bytes of a member that may have some of it.
import NIOCore
import ObjectModel
import ObjectStore
import SheepProtocol

/// What this disk has done of the changes that gateways pass on to owners. The notes outlive the process: should those of all copies die at
/// once, one of them still knows what must not be done a second time for a gateway that had no answer.
struct ForwardedNotes<D: Disk> {
    private struct Note {
        /// In part when the process died in the middle of it.
        let change: ReplicaRecord
        /// Nil: the disk has no room for it.
        let slot: Int?
        /// In part, as this run found the change under way at the member that it copied from.
        let isInherited: Bool
        /// Counts the notes, those that were left first.
        let number: UInt64
    }

    /// A change that was not done yet when the former run died; the object shows whether it was.
    struct Begun {
        let change: ReplicaRecord
        let signs: ForwardedNote.Signs
        fileprivate let slot: Int
    }

    /// Of a volume. Owners tell every 50 ms who has which replies, so that there are not so many but of gateways that have stood still.
    private static var limit: Int { 4096 }

    private var notes: [ChangeOrigin: Note] = [:]
    /// By volume, under the birth that it had.
    private var origins: [Birth: Set<ChangeOrigin>] = [:]
    private var noted: UInt64 = 0
    /// Left by the former run, until ``decide(_:_:in:)``.
    private(set) var begun: [Begun] = []

    init() {}

    /// With what the former run left.
    init(in store: ObjectStore<D>) {
        for (slot, bytes) in store.notesLeft() {
            var reader = WireReader(bytes)
            guard let note: ForwardedNote = try? reader.readValue(), note.change.record.origin != nil else {
                store.removeNote(slot)
                continue
            }
            if let signs = note.signs { begun.append(Begun(change: note.change, signs: signs, slot: slot)) } else {
                keep(note.change, slot: slot, in: store)
            }
        }
    }

    private mutating func keep(_ change: ReplicaRecord, slot: Int?, isInherited: Bool = false, in store: ObjectStore<D>) {
        let origin = change.record.origin!
        if let known = notes[origin] {
            guard known.change.record.isPartial, !change.record.isPartial else {
                if let slot { store.removeNote(slot) }
                return
            }
            remove(origin, from: store)
        }
        noted += 1
        notes[origin] = Note(change: change, slot: slot, isInherited: isInherited, number: noted)
        origins[change.volume, default: []].insert(origin)
    }

    var volumes: [Birth] { origins.keys.sorted() }

    func has(_ volume: Birth) -> Bool { origins[volume] != nil }

    /// What this disk knows of a change, under whatever birth the volume was.
    func memory(of origin: ChangeOrigin) -> ReplicaRecall.Memory {
        notes[origin].map { $0.change.record.isPartial ? .inPart : .done } ?? .notDone
    }

    /// In the order in which they were noted; what a former run left comes first.
    func records(of volume: Birth) -> [UnsettledRecord] { inOrder(origins[volume] ?? []).map(\.change.record) }

    private func inOrder(_ origins: Set<ChangeOrigin>) -> [Note] {
        origins.map { notes[$0]! }.sorted { $0.number < $1.number }
    }

    // MARK: A change

    /// Nothing of the change is in its object yet. Returns the slot for ``done(_:slot:in:)``.
    mutating func begin(_ change: ReplicaChange, in store: ObjectStore<D>, signs: () -> ForwardedNote.Signs) -> Int? {
        guard let origin = change.origin else { return nil }
        // A process that dies in the middle must not call done what is undone.
        if origin.isUndo {
            undo(change, origin, in: store)
            return nil
        }
        if memory(of: origin) == .done { return nil }
        return store.addNote(ForwardedNote(change: Self.record(change), signs: signs()).wire)
    }

    /// Another change takes its place, and may leave some of it.
    private mutating func undo(_ change: ReplicaChange, _ origin: ChangeOrigin, in store: ObjectStore<D>) {
        let undone = inOrder(origins[change.context.volume] ?? []).filter { origin.undoes($0.change.record.origin!) }
        for note in undone where !note.change.record.isPartial || note.isInherited && origin.doubted == nil {
            remove(note.change.record.origin!, from: store)
        }
        guard let doubted = origin.doubted else { return }
        var left = Self.record(change)
        (left.record.origin, left.record.isPartial) = (doubted, true)
        // No sequence settles it: it waits for its gateway.
        (left.record.term, left.record.sequence) = (.zero, .zero)
        add(left, to: store)
    }

    /// The object was copied from a member that was in the middle of it: should that one be gone, its gateway's repeat is not known to
    /// be the first. What puts all of it here, or what was there before it, ends that.
    mutating func inherit(_ change: ReplicaRecord, to store: ObjectStore<D>) {
        guard let origin = change.record.origin, memory(of: origin) == .notDone else { return }
        var change = change
        change.record.isPartial = true
        add(change, isInherited: true, to: store)
    }

    /// The change failed: it counts as done nowhere.
    func failed(slot: Int?, in store: ObjectStore<D>) {
        if let slot { store.removeNote(slot) }
    }

    /// The change is in its object.
    mutating func done(_ change: ReplicaChange, slot: Int?, in store: ObjectStore<D>) {
        add(Self.record(change), slot: slot, to: store)
    }

    /// What the object shows of a change that the former run had begun.
    mutating func decide(_ begun: Begun, _ memory: ReplicaRecall.Memory, in store: ObjectStore<D>) {
        self.begun.removeAll { $0.slot == begun.slot }
        guard memory != .notDone else { return store.removeNote(begun.slot) }
        var change = begun.change
        change.record.isPartial = memory == .inPart
        add(change, slot: begun.slot, to: store)
    }

    mutating func add(_ change: ReplicaRecord, slot: Int? = nil, isInherited: Bool = false, to store: ObjectStore<D>) {
        guard let origin = change.record.origin, !origin.isUndo else { return }
        switch memory(of: origin) {
        case .notDone: break
        case .inPart where !change.record.isPartial: break
        case .inPart, .done: return failed(slot: slot, in: store)
        }
        let note = ForwardedNote(change: change, signs: nil).wire
        let kept = slot.map { store.changeNote($0, to: note) ? $0 : nil } ?? store.addNote(note)
        keep(change, slot: kept, isInherited: isInherited, in: store)
        let known = origins[change.volume]!
        if known.count > Self.limit { remove(known.min { notes[$0]!.number < notes[$1]!.number }!, from: store) }
    }

    private static func record(_ change: ReplicaChange) -> ReplicaRecord {
        let record = UnsettledRecord(
            term: change.context.term, sequence: change.sequence, object: change.object, kind: change.kind, offset: change.offset,
            length: change.length, origin: change.origin)
        return ReplicaRecord(volume: change.context.volume, record: record)
    }

    // MARK: The end of notes

    mutating func remove(_ volume: Birth, from store: ObjectStore<D>, where isOver: (UnsettledRecord) -> Bool = { _ in true }) {
        guard let known = origins[volume] else { return }
        for note in inOrder(known.filter { isOver(notes[$0]!.change.record) }) { remove(note.change.record.origin!, from: store) }
    }

    private mutating func remove(_ origin: ChangeOrigin, from store: ObjectStore<D>) {
        guard let note = notes.removeValue(forKey: origin) else { return }
        if let slot = note.slot { store.removeNote(slot) }
        origins[note.change.volume]!.remove(origin)
        if origins[note.change.volume]!.isEmpty { origins[note.change.volume] = nil }
    }

    /// The volume goes on under another birth.
    mutating func move(from old: Birth, to new: Birth, in store: ObjectStore<D>) {
        for note in inOrder(origins.removeValue(forKey: old) ?? []) {
            let change = ReplicaRecord(volume: new, record: note.change.record)
            let slot = note.slot.flatMap { store.changeNote($0, to: ForwardedNote(change: change, signs: nil).wire) ? $0 : nil }
            notes[change.record.origin!] = Note(change: change, slot: slot, isInherited: note.isInherited, number: note.number)
            origins[new, default: []].insert(change.record.origin!)
        }
    }
}

/// A slot's bytes.
struct ForwardedNote: WireCodable {
    /// What the object reads as in the change's range once that is done.
    struct Signs: WireCodable, Equatable {
        /// CRC32C of a write's bytes; a trim and a zero leave zeros.
        var checksum: UInt32
        /// The same of its first block.
        var firstBlock: UInt32
        /// What is done in part begins there.
        var isInOrder: Bool
        /// Without an object of the change's own birth zeros are read there, and not what an ancestor shows.
        var readsAsZerosWhenAbsent: Bool

        init(of kind: ChangeKind, _ payload: ByteBuffer, isInOrder: Bool, readsAsZerosWhenAbsent: Bool) {
            (checksum, firstBlock) = kind == .write ? (payload.checksum(), payload.checksum(blockSize)) : (0, 0)
            (self.isInOrder, self.readsAsZerosWhenAbsent) = (isInOrder, readsAsZerosWhenAbsent)
        }

        /// The object's bytes in the range are what the change leaves.
        func areShown(by bytes: ByteBuffer, of kind: ChangeKind) -> Bool { kind == .write ? bytes.checksum() == checksum : bytes.isZeros() }

        /// They begin as the change leaves them, if it was done from the first block on. They may have been so before.
        func mayBeBegun(in bytes: ByteBuffer, of kind: ChangeKind) -> Bool {
            !isInOrder || (kind == .write ? bytes.checksum(blockSize) == firstBlock : bytes.isZeros(blockSize))
        }

        init(from reader: inout WireReader) throws(WireError) {
            checksum = try reader.read()
            firstBlock = try reader.read()
            isInOrder = try reader.readBool()
            readsAsZerosWhenAbsent = try reader.readBool()
        }

        func encode(to writer: inout WireWriter) {
            writer.write(checksum)
            writer.write(firstBlock)
            writer.write(isInOrder)
            writer.write(readsAsZerosWhenAbsent)
        }
    }

    var change: ReplicaRecord
    /// Nil: it is done, or in part as the record says.
    var signs: Signs?

    init(change: ReplicaRecord, signs: Signs?) { (self.change, self.signs) = (change, signs) }

    init(from reader: inout WireReader) throws(WireError) {
        change = try reader.readValue()
        signs = try reader.readOptional()
    }

    func encode(to writer: inout WireWriter) {
        writer.write(change)
        writer.write(optional: signs)
    }
}

extension ByteBuffer {
    /// CRC32C of what is to be read, at most so many bytes of it.
    fileprivate func checksum(_ length: Int = .max) -> UInt32 {
        withUnsafeReadableBytes { CRC32C.of(UnsafeRawBufferPointer(rebasing: $0.prefix(length))) }
    }

    fileprivate func isZeros(_ length: Int = .max) -> Bool { readableBytesView.prefix(length).allSatisfy { $0 == 0 } }
}
