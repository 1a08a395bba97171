package import ObjectModel

/// What a store is opened with. Nil identities accept what is on the disk; an empty disk then gets random ones.
package struct StoreConfiguration: Sendable {
    package var node: NodeID?
    package var disk: DiskID?
    package var cluster: ClusterID?
    /// Files kept open at most, with their tables.
    package var openFiles = 8192
    /// Memory for their tables at most: 64 MiB are 16,384 tables of 4 MiB objects.
    package var tableBytes = 64 << 20
    /// A region without a write for so long (in nanoseconds) is synced and retired from the intent log.
    package var retireAfter: UInt64 = 5_000_000_000
    /// A log is compacted when it has this many records more than twice what it needs.
    package var compactionSlack = 4096

    /// A store whose identity or logs are damaged is emptied and goes on as a new disk, instead of being refused.
    package var rebuild = false
    /// Whose identity it gets then; nil: a random one.
    package var rebuiltDisk: DiskID?

    package init() {}
}

/// A region of the intent log: 256 neighbouring indices of one volume.
package struct ListedRegion: Hashable, Comparable, Sendable {
    package let family: Family
    package let birth: Birth
    /// The region's number: its indices are `number << 8` and the 255 after it.
    package let number: UInt32

    package init(family: Family, birth: Birth, number: UInt32) {
        (self.family, self.birth, self.number) = (family, birth, number)
    }

    package init(_ name: ObjectName) { self.init(family: name.family, birth: name.birth, number: name.index >> 8) }

    package static func < (a: ListedRegion, b: ListedRegion) -> Bool {
        (a.family, a.birth, a.number) < (b.family, b.birth, b.number)
    }

    package var indices: Range<UInt64> { UInt64(number) << 8..<(UInt64(number) + 1) << 8 }
}

/// What a store found when it was opened.
package struct StartReport: Sendable {
    package let identity: StoreIdentity
    /// The disk was empty, or was emptied, and has been given its identity.
    package let isNew: Bool
    /// It was damaged, and ``StoreConfiguration/rebuild`` emptied it.
    package var wasRebuilt = false
    /// The last run closed the store; everything it wrote is durable and agrees with its checksums.
    package let wasClean: Bool
    /// Regions that may hold what peers do not, or lack what they hold.
    package let listedRegions: [ListedRegion]
    /// Names in listed regions without their file: fetch them from a peer, or withdraw them.
    package let interruptedCreates: [ObjectName]
}

/// Counters since the store was opened.
package struct StoreStatistics: Hashable, Sendable {
    package var reads: UInt64 = 0
    package var readBytes: UInt64 = 0
    /// Reads that missed the page cache.
    package var backgroundReads: UInt64 = 0
    package var writes: UInt64 = 0
    package var writtenBytes: UInt64 = 0
    package var creates: UInt64 = 0
    package var copies: UInt64 = 0
    package var removes: UInt64 = 0
    package var syncs: UInt64 = 0
    package var flushes: UInt64 = 0
    /// Blocks and tables that did not match their checksums.
    package var checksumFailures: UInt64 = 0
    /// Reads that the medium refused.
    package var unreadable: UInt64 = 0
    /// Blocks that were written anew with a peer's bytes.
    package var mendedBlocks: UInt64 = 0
    /// Names outside listed regions whose files are missing.
    package var missingFiles: UInt64 = 0
    /// Requests refused because the disk is full.
    package var full: UInt64 = 0
    /// Tables recomputed after an unclean stop.
    package var recomputedTables: UInt64 = 0
    /// Files without a name removed after an unclean stop.
    package var orphans: UInt64 = 0
    /// At this moment:
    package var objects = 0
    package var holes = 0
    package var listedRegions = 0
    package var openFiles = 0
    /// Files of removed names, and folders to be searched for such, that ``ObjectStore/tick(now:)`` still goes through.
    package var unfinishedRemovals = 0
}
