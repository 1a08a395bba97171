package import ObjectModel

/// One disk's objects: names, data, checksums, and what is durable of them.
///
/// Everything runs on one thread. A request that needs no waiting completes before its call returns, otherwise its
/// completion comes later on the same thread. Requests that change the same (family, index) take effect in the order
/// of their calls; a read sees every write whose completion was called.
///
/// Invariants:
/// - **Listed first**: nothing of a region is changed before its record in the intent log, and the state `unclean`,
///   are durable. So outside listed regions, data, tables and names on the disk agree, and a mismatch there is rot.
/// - **Named last**: a file exists and has its first contents before its name is in the catalogue; what shall hide an
///   ancestor's object is durable before. So a catalogue cut off anywhere by a power cut is a state that was.
/// - **Unlinked last**: a removed object's file goes when the removal's record is durable, and the name is not used
///   again before its file is durably gone. So a name without a file is an interrupted create (listed region) or damage (elsewhere).
/// - The first write or sync that fails refuses all later changes; reads are still served, each checked. A read that fails is
///   damage of its object, as a checksum that does not match.
/// - A write refused for want of space has changed nothing (``SheepError/Code/noSpace``).
package final class ObjectStore<D: Disk> {
    enum Phase {
        case open
        case failed(SheepError)
        case closing
        case closed
    }

    let disk: D
    package let configuration: StoreConfiguration
    package internal(set) var identity: StoreIdentity
    /// Called once, at the first failure of the disk.
    package var onFailure: ((SheepError) -> Void)?
    /// Called whenever an object turns out damaged here: it must come from a peer. It must not call the store.
    package var onDamage: ((ObjectName) -> Void)?
    /// Asked before a region is retired; false keeps it listed (its writes are not settled, or not compared yet).
    package var mayRetire: (ListedRegion) -> Bool = { _ in true }

    var phase = Phase.open
    var index: ObjectIndex
    /// Removed names that are not back, with the group version of the removal.
    var removed: [ObjectName: LogIndex]
    let catalogue: RecordLog<D>
    let intents: RecordLog<D>
    let stateFile: D.File
    var notes = NoteFile<D>()
    /// The durable state says unclean.
    var isMarkedUnclean: Bool

    var cache: FileCache<D>
    /// Those who wait for a file that is being opened.
    var loading: [ObjectName: [(Result<OpenFile<D>, SheepError>) -> Void]] = [:]
    /// Changes under way, by (family, index), with those that wait behind them.
    var gates: [GateKey: Gate] = [:]
    /// Files that exist before their names do.
    var unnamed: Set<ObjectName> = []
    /// Files of removed names, with the record that must be durable before they go.
    var doomed: [ObjectName: UInt64] = [:]
    var isSettling = false
    var removalWaiters: [(SheepError?) -> Void] = []

    var regions: [ListedRegion: Region<D>]
    var suspects: [Region<D>]
    var newlyListed: [Region<D>] = []
    var intentSyncIsRunning = false

    var volumes: [Birth: UnsyncedVolume<D>] = [:]
    /// What an earlier run wrote and may not have synced; part of every flush until one has succeeded.
    let inherited = UnsyncedVolume<D>()
    var nextBatch = FlushBatch<D>()
    var runningBatch: FlushBatch<D>?
    var batchCount: UInt64 = 0

    var time: UInt64 = 0
    var isVerifying = false
    /// Background reads, syncs and compactions that a close waits for.
    var inFlight = 0
    /// Ends a close that is through but for reads under way.
    var endWhenUnused: (() -> Void)?
    var catalogueCompaction = CatalogueCompaction.idle
    /// Folders still to be searched for files without a name, after an unclean stop.
    var foldersToSweep: Range<Int>
    var closeCompletion: ((SheepError?) -> Void)?
    var shallWipe = false
    var counters = StoreStatistics()
    let trailer = AlignedBytes(count: ObjectFile.trailerSize(ObjectShift(rawValue: ObjectShift.allowed.upperBound)!))
    /// For what is read to be looked at only: tables that are made anew, digests.
    let scratch = AlignedBytes(count: digestSize)
    /// Nobody uses the store yet: to make tables anew takes no processor from others.
    var givesWay = false

    init(disk: D, configuration: StoreConfiguration, opened: OpenedStore<D>) {
        self.disk = disk
        self.configuration = configuration
        identity = opened.identity
        (index, removed) = (opened.contents.index, opened.contents.removed)
        (catalogue, intents, stateFile) = (opened.catalogue, opened.intents, opened.stateFile)
        isMarkedUnclean = opened.isMarkedUnclean
        regions = opened.regions
        suspects = opened.wasClean ? [] : opened.regions.values.sorted { $0.key < $1.key }
        foldersToSweep = opened.wasClean ? 0..<0 : 0..<256
        inherited.needsFullSync = !opened.wasClean
        cache = FileCache(countLimit: configuration.openFiles, byteLimit: configuration.tableBytes)
    }

    // MARK: - What it knows

    package var statistics: StoreStatistics {
        var result = counters
        (result.objects, result.holes) = (index.count - index.holes, index.holes)
        result.listedRegions = regions.values.count { $0.state == .listed }
        result.openFiles = cache.count
        result.unfinishedRemovals = doomed.count + foldersToSweep.count
        return result
    }

    package var hasFailed: Bool { if case .failed = phase { true } else { false } }

    /// The sizes of all objects together: what they would take without holes.
    package var objectBytes: UInt64 { index.bytes }

    /// Bytes in all, and free, of the file system.
    package func space() throws(SheepError) -> (total: UInt64, free: UInt64) {
        do { return try disk.space() } catch { throw refusal(error) }
    }

    /// So little is left that it is kept for what clients write: a fiftieth, 4 GiB at most.
    package var isNearlyFull: Bool {
        guard let space = try? disk.space() else { return false }
        return space.free < min(space.total / 50, 4 << 30)
    }

    // MARK: - Refusals and failures

    /// Why changes are refused, nil while they are not.
    var refusesChanges: SheepError? {
        switch phase {
        case .open: nil
        case .failed(let error): error
        case .closing, .closed: SheepError(.shuttingDown, "the store of disk \(identity.disk) is closing")
        }
    }

    /// What a disk's answer means to a request; any but "full" fails the store.
    func refusal(_ error: DiskError) -> SheepError {
        if case .full = error {
            counters.full += 1
            return SheepError(.noSpace, "no space left on disk \(identity.disk)")
        }
        return fail(error)
    }

    @discardableResult
    func fail(_ error: DiskError) -> SheepError {
        let failure = SheepError(.inputOutput, "disk \(identity.disk): \(error.text); its objects must be rebuilt elsewhere")
        if case .open = phase {
            phase = .failed(failure)
            onFailure?(failure)
        } else if case .closing = phase {
            phase = .failed(failure)
        }
        return failure
    }

    /// What a failed read means: bytes that the medium does not give back are damage of their object and not the disk's end.
    func refusal(_ error: DiskError, reading name: ObjectName) -> SheepError {
        guard error.isUnreadable else { return refusal(error) }
        counters.unreadable += 1
        return damage(name, "it cannot be read (\(error.text))")
    }

    func damage(_ name: ObjectName, _ what: String) -> SheepError {
        onDamage?(name)
        return SheepError(.damaged, "object \(name) on disk \(identity.disk): \(what); it must come from a peer")
    }
}
