import ObjectModel

/// What the catalogue says: the names that exist and those that were removed.
///
/// The file `catalogue` is a ``RecordLog``; its records in order, each applied, give this value. Every prefix of them
/// is a state that the store was in.
struct CatalogueContents {
    var index = ObjectIndex()
    var removed: [ObjectName: LogIndex] = [:]
    /// A record that cannot follow the ones before it.
    private(set) var isInconsistent = false

    static let fileName = "catalogue"

    mutating func apply(_ record: LogRecord) {
        switch record.kind {
        case .header:
            if record.version.rawValue != LogRecord.formatVersion { isInconsistent = true }
        case .create, .hole:
            guard let shift = ObjectShift(rawValue: record.shift) else { return isInconsistent = true }
            let flags = ObjectIndex.Flags(rawValue: record.flags)
                .intersection(record.kind == .create ? [.overHole] : [.hole])
            index.set(record.name, ObjectIndex.Entry(record.name, shift: shift, version: record.version, flags: flags))
            removed[record.name] = nil
        case .touch:
            guard var entry = index.find(record.name) else { return isInconsistent = true }
            entry.version = record.version
            index.set(record.name, entry)
        case .remove:
            index.remove(record.name)
            removed[record.name] = record.version
        case .life:
            break
        case .listed, .retired:
            isInconsistent = true
        }
    }

    /// The one record that says what an entry says.
    static func record(_ name: ObjectName, _ entry: ObjectIndex.Entry) -> LogRecord {
        LogRecord(
            kind: entry.isHole ? .hole : .create, name: name, shift: entry.shift.rawValue,
            flags: entry.flags.subtracting(.interrupted).rawValue, version: entry.version)
    }

    static func removal(_ name: ObjectName, _ version: LogIndex) -> LogRecord {
        LogRecord(kind: .remove, name: name, version: version)
    }
}

/// The names that a store keeps are changed only here, in ``ObjectStore/appendCreate`` and in ``ObjectStore/touch``.
extension ObjectStore {
    /// Takes an object or hole out of the names, remembers the removal, and lets the file go when that is durable.
    func appendRemoval(_ name: ObjectName, _ version: LogIndex) -> SheepError? {
        guard let entry = index.find(name) else { return nil }
        // Touched while the removal waited for its turn: a member that left meanwhile has to find it. At zero nobody will ask.
        let version = version == .zero ? version : max(version, entry.version)
        return append(CatalogueContents.removal(name, version), for: name, freesFile: !entry.isHole) {
            index.remove(name)
            removed[name] = version
        }
    }

    /// Puts a hole in the place of whatever has the name.
    func appendHole(_ name: ObjectName, _ shift: ObjectShift, _ version: LogIndex) -> SheepError? {
        let former = index.find(name)
        let hadFile = former.map { !$0.isHole } ?? false
        let version = max(version, former?.version ?? removed[name] ?? .zero)
        let entry = ObjectIndex.Entry(name, shift: shift, version: version, flags: .hole)
        return append(CatalogueContents.record(name, entry), for: name, freesFile: hadFile) {
            index.set(name, entry)
            removed[name] = nil
        }
    }

    private func append(
        _ record: LogRecord, for name: ObjectName, freesFile: Bool, _ change: () -> Void
    ) -> SheepError? {
        if case .failed(let error) = phase { return error }
        let number: UInt64
        do {
            number = try catalogue.append(record)
        } catch {
            return refusal(error)
        }
        change()
        forget(name)
        if freesFile { doom(name, after: number) }
        let volume = volume(of: name)
        volume.catalogueNumber = max(volume.catalogueNumber, number)
        let region = region(of: name)
        region.generation &+= 1
        region.lastWrite = time
        return nil
    }

    func syncCatalogue(_ completion: @escaping (SheepError?) -> Void) {
        counters.syncs += 1
        inFlight += 1
        // A record outside listed regions counts only once the store is durably unclean.
        catalogue.sync(with: isMarkedUnclean ? [] : [stateFile]) { [self] error in
            inFlight -= 1
            completion(error.map { fail($0) })
        }
    }
}
