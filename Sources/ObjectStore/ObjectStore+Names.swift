package import ObjectModel

/// Questions about names; all answered from memory.
extension ObjectStore {
    /// What the first birth of an ancestry sees at an index: the nearest name in the order given.
    package func resolve(
        family: Family, index: UInt32, ancestry: [Birth], kind: ObjectKind = .data
    ) -> Resolution {
        self.index.resolve(family, index, ancestry, kind)
    }

    package func object(_ name: ObjectName) -> StoredObject? { index.find(name).map { Self.stored(name, $0) } }

    package var families: [Family] { index.families }

    /// The names at one index, ascending by birth and kind.
    package func births(family: Family, index: UInt32) -> [StoredObject] {
        objects(inFamily: family, indices: UInt64(index)..<UInt64(index) + 1)
    }

    package func objects(inFamily family: Family, indices: Range<UInt64>) -> [StoredObject] {
        var result: [StoredObject] = []
        forEachObject(inFamily: family, indices: indices) {
            result.append($0)
            return true
        }
        return result
    }

    /// Ascending by (index, birth, kind); the body says whether to go on and must not change the store.
    package func forEachObject(inFamily family: Family, indices: Range<UInt64>, _ body: (StoredObject) -> Bool) {
        index.forEach(in: family, indices) { body(Self.stored($0, $1)) }
    }

    /// The next names after `last` in the order (family, index, birth, kind), whole indices: for walks in steps.
    package func objects(after last: ObjectName?, limit: Int) -> [StoredObject] {
        index.slice(after: last, limit: limit).map { Self.stored($0, $1) }
    }

    /// Objects and holes last written under this group version or a later one, in the groups asked for; unordered.
    package func objects(
        changedSince version: LogIndex, in groups: (PlacementGroup) -> Bool = { _ in true }
    ) -> [StoredObject] {
        var result: [StoredObject] = []
        index.forEach { name, entry in
            if entry.version >= version, groups(name.group) { result.append(Self.stored(name, entry)) }
        }
        return result
    }

    /// Names removed under this group version or a later one and not back since; unordered.
    package func removals(since version: LogIndex) -> [(name: ObjectName, version: LogIndex)] {
        removed.compactMap { $0.value >= version ? (name: $0.key, version: $0.value) : nil }
    }

    /// Drops what is remembered of removals under earlier group versions; the catalogue follows when it is compacted.
    package func forgetRemovals(before version: LogIndex) {
        removed = removed.filter { $0.value >= version }
    }

    private static func stored(_ name: ObjectName, _ entry: ObjectIndex.Entry) -> StoredObject {
        StoredObject(name: name, objectShift: entry.shift, isHole: entry.isHole, version: entry.version)
    }
}
