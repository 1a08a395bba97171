// Invariants
// 1. A change that another gateway passed on is noted when it is in the object here, before anybody is told so.
// 2. A note goes when its gateway has the reply or is gone, when the change was undone, and when this disk begins to copy the object's
//    group from another one: what it had done there counts no more.
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

    /// As many as changes of one volume can be under way.
    private static var limit: Int { 1024 }

    /// In the order in which they were done, by volume.
    private var notes: [Birth: [Note]] = [:]

    /// With what the former run left.
    init(in store: ObjectStore<D>) {
        for (slot, bytes) in store.notesLeft() {
            var reader = WireReader(bytes)
            guard let volume: Birth = try? reader.readValue(), let record: UnsettledRecord = try? reader.readValue() else {
                store.removeNote(slot)
                continue
            }
            notes[volume, default: []].append(Note(record: record, slot: slot))
        }
        for volume in notes.keys {
            notes[volume]!.sort { ($0.record.term, $0.record.sequence) < ($1.record.term, $1.record.sequence) }
        }
    }

    init() {}

    var volumes: [Birth] { notes.keys.sorted() }

    func has(_ volume: Birth) -> Bool { notes[volume] != nil }

    func hasDone(_ origin: ChangeOrigin, of volume: Birth) -> Bool { notes[volume]?.contains { $0.record.origin == origin } ?? false }

    /// The change is in its object.
    mutating func add(_ change: ReplicaChange, to store: ObjectStore<D>) {
        let volume = change.context.volume
        let record = UnsettledRecord(
            term: change.context.term, sequence: change.sequence, object: change.object, kind: change.kind, offset: change.offset,
            length: change.length, origin: change.origin)
        if change.origin == .undo {
            return remove(volume, from: store) { $0.object == record.object && $0.range.overlaps(record.range) }
        }
        add(record, of: volume, to: store)
    }

    private mutating func add(_ record: UnsettledRecord, of volume: Birth, to store: ObjectStore<D>) {
        var writer = WireWriter()
        writer.write(volume)
        writer.write(record)
        guard let slot = store.addNote(writer.bytes) else { return }
        notes[volume, default: []].append(Note(record: record, slot: slot))
        guard notes[volume]!.count > Self.limit else { return }
        store.removeNote(notes[volume]!.removeFirst().slot)
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
