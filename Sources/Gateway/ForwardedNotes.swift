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
        let slot: Int
    }

    /// Of a volume. Owners tell every 50 ms who has which replies, so that there are not so many but of gateways that have stood still.
    private static var limit: Int { 4096 }

    /// In the order in which they were done, by volume.
    private var notes: [Birth: [Note]] = [:]

    /// With what the former run left.
    init(in store: ObjectStore<D>) {
        for (slot, bytes) in store.notesLeft() {
            var reader = WireReader(bytes)
            guard let done: ForwardedChange = try? reader.readValue() else {
                store.removeNote(slot)
                continue
            }
            notes[done.volume, default: []].append(Note(record: done.record, slot: slot))
        }
        for volume in notes.keys {
            notes[volume]!.sort { ($0.record.term, $0.record.sequence) < ($1.record.term, $1.record.sequence) }
        }
    }

    init() {}

    var volumes: [Birth] { notes.keys.sorted() }

    func has(_ volume: Birth) -> Bool { notes[volume] != nil }

    func hasDone(_ origin: ChangeOrigin, of volume: Birth) -> Bool { notes[volume]?.contains { $0.record.origin == origin } ?? false }

    func records(of volume: Birth) -> [UnsettledRecord] { notes[volume]?.map(\.record) ?? [] }

    /// The change is in its object.
    mutating func add(_ change: ReplicaChange, to store: ObjectStore<D>) {
        let volume = change.context.volume
        let record = UnsettledRecord(
            term: change.context.term, sequence: change.sequence, object: change.object, kind: change.kind, offset: change.offset,
            length: change.length, origin: change.origin)
        if change.origin == .undo { undone(record, of: volume, in: store) } else { add(record, of: volume, to: store) }
    }

    mutating func add(_ record: UnsettledRecord, of volume: Birth, to store: ObjectStore<D>) {
        var writer = WireWriter()
        writer.write(ForwardedChange(volume: volume, record: record))
        guard let slot = store.addNote(writer.bytes) else { return }
        notes[volume, default: []].append(Note(record: record, slot: slot))
        guard notes[volume]!.count > Self.limit else { return }
        store.removeNote(notes[volume]!.removeFirst().slot)
    }

    /// What is put back is the range of one change, the last one there.
    private mutating func undone(_ undo: UnsettledRecord, of volume: Birth, in store: ObjectStore<D>) {
        let at = notes[volume]?.lastIndex {
            $0.record.object == undo.object && $0.record.offset == undo.offset && $0.record.length == undo.length
        }
        guard let at else { return }
        store.removeNote(notes[volume]!.remove(at: at).slot)
        if notes[volume]!.isEmpty { notes[volume] = nil }
    }

    mutating func remove(_ volume: Birth, from store: ObjectStore<D>, where isOver: (UnsettledRecord) -> Bool = { _ in true }) {
        guard let known = notes[volume], known.contains(where: { isOver($0.record) }) else { return }
        for note in known where isOver(note.record) { store.removeNote(note.slot) }
        let left = known.filter { !isOver($0.record) }
        notes[volume] = left.isEmpty ? nil : left
    }

    /// The volume goes on under another birth.
    mutating func move(from old: Birth, to new: Birth, in store: ObjectStore<D>) {
        guard let known = notes.removeValue(forKey: old) else { return }
        for note in known {
            add(note.record, of: new, to: store)
            store.removeNote(note.slot)
        }
    }
}
