import ObjectModel

/// An object's file while it is open, with its table.
///
/// Invariants: the table in memory is the truth; `tableIsDirty` says that the file's copy is older, and then the file stands in its
/// region's list of dirty tables at `dirtyPosition`; `isUnsynced` says that something written is not durable, and then it stands in
/// its volume's list of unsynced files at `unsyncedPosition`. A pinned file is not closed.
final class OpenFile<D: Disk> {
    let name: ObjectName
    let handle: D.File
    let shift: ObjectShift
    let table: ChecksumTable
    var region: Region<D>
    /// The group version of the last write, as in the index.
    var version: LogIndex
    var tableIsDirty = false
    var dirtyPosition = 0
    var isUnsynced = false
    var unsyncedPosition = 0
    /// The folder does not durably have the file's name yet.
    var folderIsDirty = false
    /// The catalogue's record that must be durable for this file's writes to be.
    var catalogueNumber: UInt64 = 0
    var pins = 0
    /// The store has dropped the file; the last pin closes it.
    var isDetached = false
    /// Second-chance mark of the cache.
    var wasUsed = true

    init(name: ObjectName, handle: D.File, shift: ObjectShift, region: Region<D>, version: LogIndex) {
        (self.name, self.handle, self.shift, self.region, self.version) = (name, handle, shift, region, version)
        table = ChecksumTable(blocks: shift.blocksPerObject)
    }
}

/// A region of the intent log while something in it is open, listed or to be verified.
///
/// Invariant: nothing in a region is written unless it is listed; it is retired only when it is not suspect, nobody
/// uses it, and no write came since its files and tables were made durable.
final class Region<D: Disk> {
    enum State { case clean, listing, listed }

    let key: ListedRegion
    var state = State.clean
    /// Operations between being let in and being applied.
    var users = 0
    /// Counts writes.
    var generation: UInt64 = 0
    var lastWrite: UInt64 = 0
    var isRetiring = false
    /// Files whose tables are not written back.
    private(set) var dirtyTables: [OpenFile<D>] = []
    /// A file was closed before it was synced.
    var needsFullSync = false
    /// Those who wait for the state `listed`.
    var waiters: [(SheepError?) -> Void] = []
    /// Listed by a run that stopped uncleanly: tables of objects not in `verified` may be old and are recomputed.
    var isSuspect = false
    var verified: Set<ObjectName> = []

    init(_ key: ListedRegion) { self.key = key }

    func isTrusted(_ name: ObjectName) -> Bool { !isSuspect || verified.contains(name) }

    func insertDirty(_ file: OpenFile<D>) {
        file.tableIsDirty = true
        file.dirtyPosition = dirtyTables.count
        dirtyTables.append(file)
    }

    func removeDirty(_ file: OpenFile<D>) {
        file.tableIsDirty = false
        dirtyTables.remove(file, at: file.dirtyPosition)?.dirtyPosition = file.dirtyPosition
    }

    func forgetDirty() { dirtyTables = [] }
}

/// What of one volume is not durable yet.
final class UnsyncedVolume<D: Disk> {
    var files: [OpenFile<D>] = []
    /// A file was closed before it was synced.
    var needsFullSync = false
    /// The catalogue's record that must be durable: of a hole, a removal, a file closed since.
    var catalogueNumber: UInt64 = 0
    /// The last batch that had something of this volume.
    var lastBatch: UInt64 = 0

    func insert(_ file: OpenFile<D>) {
        file.isUnsynced = true
        file.unsyncedPosition = files.count
        files.append(file)
    }

    func remove(_ file: OpenFile<D>) {
        file.isUnsynced = false
        files.remove(file, at: file.unsyncedPosition)?.unsyncedPosition = file.unsyncedPosition
    }
}

extension Array where Element: AnyObject {
    /// Takes out what stands at the position; the last one, which is returned, takes its place. Nil: it was the last one.
    fileprivate mutating func remove(_ element: Element, at position: Int) -> Element? {
        precondition(self[position] === element)
        let last = removeLast()
        guard last !== element else { return nil }
        self[position] = last
        return last
    }
}
