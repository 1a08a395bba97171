import CLinux
package import ObjectModel

/// What vouched for an object's bytes when they were given to be read without asking; see ``ReadBoard``.
package struct ReadStamp: Hashable, Sendable {
    /// Where the changes of the object are counted, among others'.
    package var place: UInt32
    package var changes: UInt64
    package var generation: UInt64

    package init(place: UInt32, changes: UInt64, generation: UInt64) {
        (self.place, self.changes, self.generation) = (place, changes, generation)
    }
}

/// Tells other processes of this machine whether what they read from a sheep's files by themselves counts: short-circuit reads.
///
/// The sheep gives a reader the table of checksums of an object that it would read for it, and a stamp. The reader reads the file, and
/// **after that** looks here: when the stamp still holds, nothing that the sheep does could have made its own answer at that moment another one. So
/// nobody asks a reader before a change, and no reader keeps anybody waiting.
///
/// A stamp holds as long as
/// - no change of the object has begun since, which is noted before the change is sent to anybody;
/// - the generation is the same: the sheep owns the volume under the same term, its copy is in sync, nothing was committed;
/// - the sheep's node lease lasts (``leaseUntil``, CLOCK_BOOTTIME in nanoseconds).
///
/// That the sheep's process lives is another matter, see ``SharedReadBoard``: its death ends its leases at once.
/// The words are the machine's own, since nobody else reads them: magic, boot id, lease, generation, the clock's namespace; from byte 64 on the process's
/// life; from byte 4096 on the counters of changes.
package struct ReadBoard {
    /// Bytes, whole pages.
    package static var size: Int { 4096 + places * 8 }
    static var places: Int { 8192 }
    static var magic: UInt64 { 0x7368_6565_7052_4431 }
    static var lifeOffset: Int { 64 }

    private enum Word: Int {
        case magic, boot, leaseUntil, generation, clock
    }

    /// Of ``size`` bytes; whoever made the board frees it.
    let memory: UnsafeMutableRawPointer

    init(memory: UnsafeMutableRawPointer) { self.memory = memory }

    /// A board of a sheep that begins, in memory that is all zeros. `clock` names what its CLOCK_BOOTTIME counts from.
    package init(memory: UnsafeMutableRawPointer, boot: BootID, clock: UInt64 = 0) {
        self.memory = memory
        store(.clock, clock)
        store(.boot, boot.rawValue)
        store(.magic, Self.magic)
    }

    private func word(_ word: Word) -> UnsafeMutablePointer<UInt64> {
        memory.assumingMemoryBound(to: UInt64.self) + word.rawValue
    }
    private func load(_ word: Word) -> UInt64 { clinux_shared_load(self.word(word)) }
    private func store(_ word: Word, _ value: UInt64) { clinux_shared_store(self.word(word), value) }

    private func counter(_ place: Int) -> UnsafeMutablePointer<UInt64> {
        (memory + 4096).assumingMemoryBound(to: UInt64.self) + place
    }

    private static func place(_ family: Family, _ index: UInt32) -> Int {
        Int(truncatingIfNeeded: family.rawValue &* 0x9E37_79B9 &+ UInt64(index)) & (places - 1)
    }

    // MARK: The sheep's

    /// A change of the object begins: all stamps of it end. Called before anybody hears of the change.
    package func changing(family: Family, index: UInt32) {
        let counter = counter(Self.place(family, index))
        clinux_shared_store(counter, counter.pointee &+ 1)
    }

    /// All stamps end.
    package func invalidate() { store(.generation, word(.generation).pointee &+ 1) }

    /// The node lease as of now; 0: there is none.
    package func setLease(until end: UInt64) { store(.leaseUntil, end) }

    package func stamp(family: Family, index: UInt32) -> ReadStamp {
        let place = Self.place(family, index)
        return ReadStamp(place: UInt32(place), changes: counter(place).pointee, generation: word(.generation).pointee)
    }

    // MARK: The reader's

    func isOf(_ boot: BootID, clock: UInt64) -> Bool {
        load(.magic) == Self.magic && load(.boot) == boot.rawValue && load(.clock) == clock
    }

    /// What was read before this call, and vouched for by the stamp, is what the sheep would have answered at `now`.
    package func vouches(for stamp: ReadStamp, at now: UInt64) -> Bool {
        Int(stamp.place) < Self.places && clinux_shared_load(counter(Int(stamp.place))) == stamp.changes
            && load(.generation) == stamp.generation && now < load(.leaseUntil)
    }
}
