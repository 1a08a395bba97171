package import ObjectModel

/// What opening found, to make a store of.
struct OpenedStore<D: Disk> {
    var identity: StoreIdentity
    var isNew = false
    var wasClean = true
    /// The state that will be durable when the store is handed out says unclean.
    var isMarkedUnclean = false
    var contents = CatalogueContents()
    let catalogue: RecordLog<D>
    let intents: RecordLog<D>
    let stateFile: D.File
    var regions: [ListedRegion: Region<D>] = [:]
    var interrupted: [ObjectName] = []
}

let intentLogName = "intents"

extension ObjectStore {
    /// Opens the store on a disk, or makes one on an empty disk.
    ///
    /// Refused: another node's, disk's or cluster's store (`versionMismatch`, naming both), an unknown format, a
    /// damaged identity or log (`damaged`: the disk's share must be rebuilt), a disk that fails. With
    /// ``StoreConfiguration/rebuild`` a damaged store is emptied and becomes a new disk of its node.
    package static func open(
        disk: D, configuration: StoreConfiguration,
        completion: @escaping (Result<(ObjectStore, StartReport), SheepError>) -> Void
    ) {
        do {
            try openAny(disk, configuration, completion)
        } catch let error as DiskError {
            completion(.failure(openingFailed(error)))
        } catch let error as SheepError where error.code == .damaged && configuration.rebuild {
            rebuild(disk, configuration, completion)
        } catch let error as SheepError {
            completion(.failure(error))
        } catch {
            completion(.failure(SheepError(.unknown, "opening the store failed")))
        }
    }

    private static func openAny(
        _ disk: D, _ configuration: StoreConfiguration,
        _ completion: @escaping (Result<(ObjectStore, StartReport), SheepError>) -> Void
    ) throws {
        guard try disk.exists(StoreIdentity.fileName) else {
            guard try !hasNames(disk) else {
                throw SheepError(.damaged, "the store has objects but no identity; start this sheep with --rebuild to have its share copied from others")
            }
            let identity = StoreIdentity(
                node: configuration.node ?? .random(), disk: configuration.disk ?? .random(),
                cluster: configuration.cluster)
            return format(disk, identity, configuration, completion)
        }
        let identity = try readIdentity(disk)
        if identity.isBeingWiped {
            try removeObjects(disk)
            var clean = identity
            (clean.isBeingWiped, clean.cluster) = (false, configuration.cluster)
            try clean.check(against: configuration)
            return format(disk, clean, configuration, completion)
        }
        try identity.check(against: configuration)
        try openExisting(disk, identity, configuration, completion)
    }

    /// Empties a store that cannot say any more what it has. First its identity becomes that of a new disk that is being
    /// wiped: a stop in the middle must not leave an empty store that passes for the former disk. What the former one had is
    /// copied from its peers as to any new disk.
    private static func rebuild(
        _ disk: D, _ configuration: StoreConfiguration,
        _ completion: @escaping (Result<(ObjectStore, StartReport), SheepError>) -> Void
    ) {
        let node = configuration.node ?? (try? readIdentity(disk))?.node ?? .random()
        var identity = StoreIdentity(node: node, disk: configuration.rebuiltDisk ?? .random(), cluster: nil)
        identity.isBeingWiped = true
        var again = configuration
        (again.rebuild, again.disk) = (false, identity.disk)
        replaceIdentity(disk, identity) { [again] error in
            if let error { return completion(.failure(openingFailed(error))) }
            open(disk: disk, configuration: again) { result in
                completion(result.map { store, report in
                    var report = report
                    report.wasRebuilt = true
                    return (store, report)
                })
            }
        }
    }

    private static func openingFailed(_ error: DiskError) -> SheepError {
        if case .full = error { return SheepError(.noSpace, "no space left to open the store") }
        return SheepError(.inputOutput, "opening the store: \(error.text)")
    }

    private static func hasNames(_ disk: D) throws(DiskError) -> Bool {
        guard try disk.exists(CatalogueContents.fileName) else { return false }
        var records = 0
        let (log, _) = try RecordLog.open(on: disk, name: CatalogueContents.fileName) { _ in records += 1 }
        log.close()
        return records > 1
    }

    private static func readIdentity(_ disk: D) throws -> StoreIdentity {
        let file = try disk.open(StoreIdentity.fileName, create: false)
        defer { disk.close(file) }
        guard try disk.size(of: file) >= StoreIdentity.size else { throw StoreIdentity.damaged("is truncated") }
        let bytes = AlignedBytes(count: StoreIdentity.size)
        try disk.read(file, at: 0, into: bytes.buffer)
        return try StoreIdentity(decoding: Array(bytes.bytes))
    }

    /// Puts an identity in place and makes it durable.
    static func replaceIdentity(
        _ disk: D, _ identity: StoreIdentity, _ completion: @escaping (DiskError?) -> Void
    ) {
        do {
            if try disk.exists(StoreIdentity.temporaryName) { try disk.remove(StoreIdentity.temporaryName) }
            let file = try disk.open(StoreIdentity.temporaryName, create: true)
            let bytes = AlignedBytes(count: StoreIdentity.size)
            bytes.buffer.copyBytes(from: identity.encoded())
            try disk.write(file, at: 0, from: bytes.bytes)
            disk.sync(files: [file], directories: []) { error in
                disk.close(file)
                if let error { return completion(error) }
                do throws(DiskError) {
                    try disk.rename(StoreIdentity.temporaryName, to: StoreIdentity.fileName)
                } catch {
                    return completion(error)
                }
                disk.sync(files: [], directories: ["."], completion: completion)
            }
        } catch {
            completion(error)
        }
    }

    // MARK: - A new store

    private static func removeObjects(_ disk: D) throws(DiskError) {
        for number in 0..<256 {
            let folder = ObjectPath.folder(UInt8(number))
            let names: [String]
            do { names = try disk.list(folder) } catch .missing { continue }
            for name in names where ObjectPath.parse(name) != nil { try disk.remove(folder + "/" + name) }
        }
    }

    /// Folders, logs and state first, the identity last: without one there is no store.
    private static func format(
        _ disk: D, _ identity: StoreIdentity, _ configuration: StoreConfiguration,
        _ completion: @escaping (Result<(ObjectStore, StartReport), SheepError>) -> Void
    ) {
        do {
            let folders = [ObjectPath.root] + (0..<256).map { ObjectPath.folder(UInt8($0)) }
            for folder in folders {
                do { try disk.makeDirectory(folder) } catch .exists { continue }
            }
            for name in [ScrubRecord.fileName, NoteFile<D>.name] where try disk.exists(name) { try disk.remove(name) }
            let catalogue = try RecordLog.create(on: disk, name: CatalogueContents.fileName)
            let intents = try RecordLog.create(on: disk, name: intentLogName)
            let stateFile = try openState(disk)
            let state = StoreState(isClean: true, catalogueRecords: 1, intentRecords: 1)
            try write(state, to: stateFile, on: disk)
            var opened = OpenedStore(
                identity: identity, catalogue: catalogue, intents: intents, stateFile: stateFile)
            opened.isNew = true
            let finish: (DiskError?) -> Void = { [opened] error in
                if let error { return completion(.failure(openingFailed(error))) }
                completion(.success(make(disk, configuration, opened)))
            }
            intents.sync(with: [stateFile]) { error in
                if error != nil { return finish(error) }
                catalogue.sync { error in
                    if error != nil { return finish(error) }
                    // Empty object folders may be left from a wipe: their names are made durable as gone.
                    disk.sync(files: [], directories: [".", ObjectPath.root] + folders.dropFirst()) { error in
                        if error != nil { return finish(error) }
                        replaceIdentity(disk, identity, finish)
                    }
                }
            }
        } catch {
            completion(.failure(openingFailed(error)))
        }
    }

    private static func openState(_ disk: D) throws(DiskError) -> D.File {
        do { return try disk.open(StoreState.fileName, create: false) } catch .missing {
            return try disk.open(StoreState.fileName, create: true)
        }
    }

    private static func write(_ state: StoreState, to file: D.File, on disk: D) throws(DiskError) {
        let bytes = AlignedBytes(count: StoreState.size)
        bytes.buffer.copyBytes(from: state.encoded())
        try disk.write(file, at: 0, from: bytes.bytes)
    }

    private static func make(
        _ disk: D, _ configuration: StoreConfiguration, _ opened: OpenedStore<D>
    ) -> (ObjectStore, StartReport) {
        let store = ObjectStore(disk: disk, configuration: configuration, opened: opened)
        let report = StartReport(
            identity: opened.identity, isNew: opened.isNew, wasClean: opened.wasClean,
            listedRegions: store.listedRegions, interruptedCreates: opened.interrupted.sorted())
        return (store, report)
    }

    // MARK: - An existing store

    private static func openExisting(
        _ disk: D, _ identity: StoreIdentity, _ configuration: StoreConfiguration,
        _ completion: @escaping (Result<(ObjectStore, StartReport), SheepError>) -> Void
    ) throws {
        let stateFile = try openState(disk)
        let stateBytes = AlignedBytes(count: StoreState.size)
        try disk.read(stateFile, at: 0, into: stateBytes.buffer)
        let state = StoreState.decode(Array(stateBytes.bytes))

        var contents = CatalogueContents()
        let catalogue = try openLog(disk, CatalogueContents.fileName, state.isClean ? state.catalogueRecords : nil) {
            contents.apply($0)
        }
        guard !contents.isInconsistent else { throw SheepError(.damaged, "the store's catalogue contradicts itself") }
        var listed: Set<ListedRegion> = []
        let intents = try openLog(disk, intentLogName, state.isClean ? state.intentRecords : nil) { record in
            let key = ListedRegion(family: record.name.family, birth: record.name.birth, number: record.name.index)
            if record.kind == .listed { listed.insert(key) } else if record.kind == .retired { listed.remove(key) }
        }
        var opened = OpenedStore(
            identity: identity, contents: contents, catalogue: catalogue, intents: intents, stateFile: stateFile)
        opened.wasClean = state.isClean
        for key in listed {
            let region = Region<D>(key)
            (region.state, region.isSuspect) = (.listed, !state.isClean)
            opened.regions[key] = region
        }
        opened.isMarkedUnclean = !state.isClean || !listed.isEmpty
        if state.isClean, !listed.isEmpty {
            // Regions that were kept listed are written to without asking, so that the store is unclean from now on.
            try write(.unclean, to: stateFile, on: disk)
        }
        if !state.isClean { try findInterrupted(disk, &opened) }
        // What was replayed must not be lost by a later power cut: files may be unlinked because of it. And a new
        // life must be durable before a record is written in it.
        catalogue.sync { [opened] error in
            if let error { return completion(.failure(openingFailed(error))) }
            // So must the state be: unclean may have been written by a run that was killed before it synced.
            intents.sync(with: [stateFile]) { error in
                if let error { return completion(.failure(openingFailed(error))) }
                completion(.success(make(disk, configuration, opened)))
            }
        }
    }

    /// Opens a log; `records` is how many it has if the store was closed. More than that were appended for a first
    /// change that never came, because the state that says unclean did not become durable: they are cut off.
    private static func openLog(
        _ disk: D, _ name: String, _ records: UInt32?, _ body: (LogRecord) -> Void
    ) throws -> RecordLog<D> {
        guard try disk.exists(name) else {
            throw SheepError(.damaged, "the store's file \(name) is missing; start this sheep with --rebuild to have its share copied from others")
        }
        var replayed: UInt32 = 0
        let opened = try RecordLog.open(on: disk, name: name) { record in
            replayed += 1
            if records.map({ replayed <= $0 }) ?? true { body(record) }
        }
        if case .damaged(let slot) = opened.end {
            throw SheepError(.damaged, "record \(slot) of the store's file \(name) is damaged; start this sheep with --rebuild to have its share copied from others")
        }
        if let records, replayed < records {
            throw SheepError(
                .damaged, "the store's file \(name) has \(replayed) records of \(records); start this sheep with --rebuild to have its share copied from others")
        }
        // After a clean stop with nothing behind its end the log goes on as it was.
        if records != replayed || opened.end == .torn { try opened.log.beginLife(after: records ?? replayed) }
        return opened.log
    }

    /// Names in suspect regions whose files never came to be.
    private static func findInterrupted(_ disk: D, _ opened: inout OpenedStore<D>) throws(DiskError) {
        var candidates: [ObjectName] = []
        for key in opened.regions.keys.sorted() {
            opened.contents.index.forEach(in: key.family, key.indices) { name, entry in
                if name.birth == key.birth, !entry.isHole { candidates.append(name) }
                return true
            }
        }
        for name in candidates where try !disk.exists(ObjectPath.path(name)) {
            guard var entry = opened.contents.index.find(name) else { continue }
            entry.flags.insert(.interrupted)
            opened.contents.index.set(name, entry)
            opened.interrupted.append(name)
        }
    }
}
