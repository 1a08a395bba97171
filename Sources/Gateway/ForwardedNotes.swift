// Invariants
// 1. A change that another gateway passed on is noted as begun before anything of it is in the object here, and as done before anybody is
//    told so.
// 2. A note goes when its gateway has the reply or is gone, when the change failed or was undone, and when this disk begins to copy the
//    object's group from another one: what it had done there counts no more. What that one knows to be done comes with the copy.
import ObjectModel
import ObjectStore
import SheepProtocol

/// What this disk has done of the changes that gateways pass on to owners. The notes outlive the process: should those of all copies die at
/// once, one of them still knows what must not be done a second time for a gateway that had no answer.
struct ForwardedNotes<D: Disk> {
    private struct Note {
        let record: UnsettledRecord
        /// Nil: the disk has no room for it.
        let slot: Int?
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

    private var notes: [Birth: [ChangeOrigin: Note]] = [:]
    private var noted: UInt64 = 0
    /// Left by the former run, until ``decide(_:isDone:in:)``.
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

    private mutating func keep(_ change: ReplicaRecord, slot: Int?, in store: ObjectStore<D>) {
        let origin = change.record.origin!
        guard notes[change.volume]?[origin] == nil else {
            if let slot { store.removeNote(slot) }
            return
        }
        noted += 1
        notes[change.volume, default: [:]][origin] = Note(record: change.record, slot: slot, number: noted)
    }

    var volumes: [Birth] { notes.keys.sorted() }

    func has(_ volume: Birth) -> Bool { notes[volume] != nil }

    func hasDone(_ origin: ChangeOrigin, of volume: Birth) -> Bool { notes[volume]?[origin] != nil }

    /// In the order in which they were noted; what a former run left comes first.
    func records(of volume: Birth) -> [UnsettledRecord] {
        notes[volume, default: [:]].values.sorted { $0.number < $1.number }.map(\.record)
    }

    // MARK: A change

    /// Nothing of the change is in its object yet. Returns the slot for ``done(_:slot:in:)``.
    mutating func begin(_ change: ReplicaChange, in store: ObjectStore<D>, signs: () -> ForwardedNote.Signs) -> Int? {
        guard let origin = change.origin else { return nil }
        // A process that dies in the middle must not call done what is undone.
        if origin.isUndo { remove(change.context.volume, from: store) { $0.origin.map(origin.undoes) ?? false } }
        if origin.isUndo || hasDone(origin, of: change.context.volume) { return nil }
        return store.addNote(ForwardedNote(change: Self.record(change), signs: signs()).wire)
    }

    /// The change failed: it counts as done nowhere.
    func failed(slot: Int?, in store: ObjectStore<D>) {
        if let slot { store.removeNote(slot) }
    }

    /// The change is in its object.
    mutating func done(_ change: ReplicaChange, slot: Int?, in store: ObjectStore<D>) {
        add(Self.record(change), slot: slot, to: store)
    }

    /// Whether what the former run had begun is in its object.
    mutating func decide(_ change: Begun, isDone: Bool, in store: ObjectStore<D>) {
        begun.removeAll { $0.slot == change.slot }
        if isDone { add(change.change, slot: change.slot, to: store) } else { store.removeNote(change.slot) }
    }

    mutating func add(_ change: ReplicaRecord, slot: Int? = nil, to store: ObjectStore<D>) {
        guard let origin = change.record.origin, !origin.isUndo else { return }
        guard !hasDone(origin, of: change.volume) else { return failed(slot: slot, in: store) }
        let note = ForwardedNote(change: change, signs: nil).wire
        let kept = slot.map { store.changeNote($0, to: note) ? $0 : nil } ?? store.addNote(note)
        keep(change, slot: kept, in: store)
        guard notes[change.volume]!.count > Self.limit, let oldest = notes[change.volume]!.min(by: { $0.value.number < $1.value.number })
        else { return }
        remove(change.volume, from: store) { $0.origin == oldest.key }
    }

    private static func record(_ change: ReplicaChange) -> ReplicaRecord {
        let record = UnsettledRecord(
            term: change.context.term, sequence: change.sequence, object: change.object, kind: change.kind, offset: change.offset,
            length: change.length, origin: change.origin)
        return ReplicaRecord(volume: change.context.volume, record: record)
    }

    // MARK: The end of notes

    mutating func remove(_ volume: Birth, from store: ObjectStore<D>, where isOver: (UnsettledRecord) -> Bool = { _ in true }) {
        guard let known = notes[volume] else { return }
        let over = known.filter { isOver($0.value.record) }
        guard !over.isEmpty else { return }
        for note in over.values.sorted(by: { $0.number < $1.number }) {
            if let slot = note.slot { store.removeNote(slot) }
            notes[volume]![note.record.origin!] = nil
        }
        if notes[volume]!.isEmpty { notes[volume] = nil }
    }

    /// The volume goes on under another birth.
    mutating func move(from old: Birth, to new: Birth, in store: ObjectStore<D>) {
        let moved = records(of: old)
        for record in moved { add(ReplicaRecord(volume: new, record: record), to: store) }
        remove(old, from: store)
    }
}

/// A slot's bytes.
struct ForwardedNote: WireCodable {
    /// What the object reads as in the change's range once that is done.
    struct Signs: WireCodable, Equatable {
        /// CRC32C of a write's bytes; a trim and a zero leave zeros.
        var checksum: UInt32
        /// Without an object of the change's own birth zeros are read there, and not what an ancestor shows.
        var readsAsZerosWhenAbsent: Bool

        init(checksum: UInt32, readsAsZerosWhenAbsent: Bool) {
            (self.checksum, self.readsAsZerosWhenAbsent) = (checksum, readsAsZerosWhenAbsent)
        }

        init(from reader: inout WireReader) throws(WireError) {
            checksum = try reader.read()
            readsAsZerosWhenAbsent = try reader.readBool()
        }

        func encode(to writer: inout WireWriter) {
            writer.write(checksum)
            writer.write(readsAsZerosWhenAbsent)
        }
    }

    var change: ReplicaRecord
    /// Nil: it is done.
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
