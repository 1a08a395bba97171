package import ObjectModel

/// An object that the store knows by name.
package struct StoredObject: Hashable, Sendable {
    package let name: ObjectName
    package let objectShift: ObjectShift
    /// A hole hides the ancestors' objects and reads as zeros; it has no file.
    package let isHole: Bool
    /// The group version of the last write.
    package let version: LogIndex
}

/// What a birth sees at an index.
package enum Resolution: Hashable, Sendable {
    case absent
    case hole(ObjectName)
    case object(ObjectName)
}

/// All names of one store, in memory: by family, then in chunks of 256 neighbouring indices, each a sorted array.
///
/// Invariants: a family's chunks ascend by number and none is empty; a chunk's entries ascend by (low byte of the
/// index, birth, kind). An entry takes 24 bytes, with an array's growth 48 at most; memory follows what exists.
package struct ObjectIndex {
    package struct Flags: OptionSet, Sendable {
        package let rawValue: UInt8
        package init(rawValue: UInt8) { self.rawValue = rawValue }
        package static let hole = Flags(rawValue: 1)
        /// The object was created where this birth had a hole: if the create turns out interrupted, the hole is back.
        static let overHole = Flags(rawValue: 2)
        /// Found at an unclean start without its file, in a listed region: an interrupted create. Never on disk.
        static let interrupted = Flags(rawValue: 4)
    }

    package struct Entry {
        let low: UInt8
        let kind: ObjectKind
        var flags: Flags
        var shift: ObjectShift
        let birth: Birth
        package var version: LogIndex

        package init(_ name: ObjectName, shift: ObjectShift, version: LogIndex, flags: Flags = []) {
            (low, kind, birth) = (UInt8(truncatingIfNeeded: name.index), name.kind, name.birth)
            (self.shift, self.version, self.flags) = (shift, version, flags)
        }

        var isHole: Bool { flags.contains(.hole) }

        @inline(__always)
        fileprivate static func precedes(_ entry: Entry, _ low: UInt8, _ birth: Birth, _ kind: ObjectKind) -> Bool {
            if entry.low != low { return entry.low < low }
            if entry.birth != birth { return entry.birth < birth }
            return entry.kind.rawValue < kind.rawValue
        }
    }

    private struct Chunk {
        let number: UInt32
        var entries: [Entry] = []

        /// The position of the first entry that does not come before the key.
        func position(_ low: UInt8, _ birth: Birth, _ kind: ObjectKind) -> Int {
            var (lower, upper) = (0, entries.count)
            while lower < upper {
                let middle = (lower + upper) / 2
                if Entry.precedes(entries[middle], low, birth, kind) { lower = middle + 1 } else { upper = middle }
            }
            return lower
        }

        func position(of name: ObjectName) -> (position: Int, found: Bool) {
            let low = UInt8(truncatingIfNeeded: name.index)
            let position = position(low, name.birth, name.kind)
            guard position < entries.count else { return (position, false) }
            let entry = entries[position]
            return (position, entry.low == low && entry.birth == name.birth && entry.kind == name.kind)
        }
    }

    private var chunks: [Family: [Chunk]] = [:]
    package private(set) var count = 0
    package private(set) var holes = 0

    package init() {}

    var families: [Family] { chunks.keys.sorted() }

    private static func position(of number: UInt32, in chunks: [Chunk]) -> Int {
        var (lower, upper) = (0, chunks.count)
        while lower < upper {
            let middle = (lower + upper) / 2
            if chunks[middle].number < number { lower = middle + 1 } else { upper = middle }
        }
        return lower
    }

    private static func name(_ entry: Entry, _ family: Family, _ number: UInt32) -> ObjectName {
        ObjectName(family: family, index: number << 8 | UInt32(entry.low), birth: entry.birth, kind: entry.kind)
    }

    package func find(_ name: ObjectName) -> Entry? {
        guard let family = chunks[name.family] else { return nil }
        let at = Self.position(of: name.index >> 8, in: family)
        guard at < family.count, family[at].number == name.index >> 8 else { return nil }
        let (position, found) = family[at].position(of: name)
        return found ? family[at].entries[position] : nil
    }

    /// Sets or replaces an entry.
    package mutating func set(_ name: ObjectName, _ entry: Entry) {
        let number = name.index >> 8
        var family = chunks[name.family] ?? []
        // The dictionary gives its reference up while the array is changed, so that nothing is copied.
        chunks[name.family] = []
        let at = Self.position(of: number, in: family)
        if at == family.count || family[at].number != number { family.insert(Chunk(number: number), at: at) }
        let (position, found) = family[at].position(of: name)
        if found {
            holes -= family[at].entries[position].isHole ? 1 : 0
            family[at].entries[position] = entry
        } else {
            family[at].entries.insert(entry, at: position)
            count += 1
        }
        holes += entry.isHole ? 1 : 0
        chunks[name.family] = family
    }

    package mutating func remove(_ name: ObjectName) {
        guard var family = chunks[name.family] else { return }
        let at = Self.position(of: name.index >> 8, in: family)
        guard at < family.count, family[at].number == name.index >> 8 else { return }
        let (position, found) = family[at].position(of: name)
        guard found else { return }
        chunks[name.family] = []
        holes -= family[at].entries[position].isHole ? 1 : 0
        count -= 1
        family[at].entries.remove(at: position)
        if family[at].entries.isEmpty { family.remove(at: at) }
        chunks[name.family] = family.isEmpty ? nil : family
    }

    /// The nearest birth of the ancestry, in its order, that has a name at the index.
    package func resolve(_ family: Family, _ index: UInt32, _ ancestry: some Swift.Sequence<Birth>, _ kind: ObjectKind) -> Resolution {
        guard let all = chunks[family] else { return .absent }
        let at = Self.position(of: index >> 8, in: all)
        guard at < all.count, all[at].number == index >> 8 else { return .absent }
        for birth in ancestry {
            let name = ObjectName(family: family, index: index, birth: birth, kind: kind)
            let (position, found) = all[at].position(of: name)
            if found { return all[at].entries[position].isHole ? .hole(name) : .object(name) }
        }
        return .absent
    }

    /// All names of a family in a range of indices, ascending; the body says whether to go on.
    package func forEach(in family: Family, _ indices: Range<UInt64>, _ body: (ObjectName, Entry) -> Bool) {
        guard let all = chunks[family], !indices.isEmpty, indices.lowerBound <= UInt64(UInt32.max) else { return }
        var at = Self.position(of: UInt32(indices.lowerBound >> 8), in: all)
        while at < all.count, UInt64(all[at].number) << 8 < indices.upperBound {
            for entry in all[at].entries {
                let name = Self.name(entry, family, all[at].number)
                if indices.contains(UInt64(name.index)), !body(name, entry) { return }
            }
            at += 1
        }
    }

    func forEach(_ body: (ObjectName, Entry) -> Void) {
        for family in families { forEach(in: family, 0..<1 << 32) { body($0, $1); return true } }
    }

    /// The next names in the order (family, index, birth, kind) after `last`, for walks that others may interrupt:
    /// whole indices, `limit` names or a little more.
    package func slice(after last: ObjectName?, limit: Int) -> [(ObjectName, Entry)] {
        var result: [(ObjectName, Entry)] = []
        for family in families where last.map({ family >= $0.family }) ?? true {
            let start = last.map { $0.family == family ? UInt64($0.index) : 0 } ?? 0
            forEach(in: family, start..<1 << 32) { name, entry in
                if let last, name <= last { return true }
                result.append((name, entry))
                return result.count < limit
            }
            if result.count >= limit { break }
        }
        return result
    }
}
