// Invariants
// 1. A change that another gateway passed on is noted when it is in the object here, before anybody is told so.
// 2. A note goes when its gateway has the reply or is gone, when the change was undone, and when this disk begins to copy the object's
//    group from another one: what it had done there counts no more. What that one knows to be done comes with the copy.
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

    /// Of a volume. Owners tell every 50 ms who has which replies, so that there are not so many but of gateways that have stood still.
    private static var limit: Int { 4096 }

    private var notes: [Birth: [ChangeOrigin: Note]] = [:]
    private var noted: UInt64 = 0

    init() {}

    /// With what the former run left.
    init(in store: ObjectStore<D>) {
        for (slot, bytes) in store.notesLeft() {
            var reader = WireReader(bytes)
            guard let done: ReplicaRecord = try? reader.readValue(), let origin = done.record.origin, notes[done.volume]?[origin] == nil else {
                store.removeNote(slot)
                continue
            }
            noted += 1
            notes[done.volume, default: [:]][origin] = Note(record: done.record, slot: slot, number: noted)
        }
    }

    var volumes: [Birth] { notes.keys.sorted() }

    func has(_ volume: Birth) -> Bool { notes[volume] != nil }

    func hasDone(_ origin: ChangeOrigin, of volume: Birth) -> Bool { notes[volume]?[origin] != nil }

    /// In the order in which they were noted; what a former run left comes first.
    func records(of volume: Birth) -> [UnsettledRecord] {
        notes[volume, default: [:]].values.sorted { $0.number < $1.number }.map(\.record)
    }

    /// The change is in its object.
    mutating func add(_ change: ReplicaChange, to store: ObjectStore<D>) {
        let record = UnsettledRecord(
            term: change.context.term, sequence: change.sequence, object: change.object, kind: change.kind, offset: change.offset,
            length: change.length, origin: change.origin)
        add(record, of: change.context.volume, to: store)
    }

    /// Of a change that undoes another the note of that one goes.
    mutating func add(_ record: UnsettledRecord, of volume: Birth, to store: ObjectStore<D>) {
        guard let origin = record.origin else { return }
        if origin.isUndo { return remove(volume, from: store) { $0.origin.map(origin.undoes) ?? false } }
        guard notes[volume]?[origin] == nil else { return }
        var writer = WireWriter()
        writer.write(ReplicaRecord(volume: volume, record: record))
        noted += 1
        notes[volume, default: [:]][origin] = Note(record: record, slot: store.addNote(writer.bytes), number: noted)
        guard notes[volume]!.count > Self.limit, let oldest = notes[volume]!.min(by: { $0.value.number < $1.value.number }) else { return }
        remove(volume, from: store) { $0.origin == oldest.key }
    }

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
        for record in moved { add(record, of: new, to: store) }
        remove(old, from: store)
    }
}
