package import ObjectModel

/// How complete the copies are, over all placement groups.
package struct RedundancyState: Hashable, Sendable, WireCodable {
    /// Zones that hold data; fewer than ``largestCopies`` is said aloud.
    package var zones: UInt32
    /// The largest number of copies that a volume or the default asks for.
    package var largestCopies: UInt8
    /// Groups in use whose members are not all in sync.
    package var degradedGroups: UInt32
    /// Groups in use without enough in-sync members to serve writes.
    package var unavailableGroups: UInt32

    package init(zones: UInt32 = 0, largestCopies: UInt8 = 0, degradedGroups: UInt32 = 0, unavailableGroups: UInt32 = 0) {
        (self.zones, self.largestCopies) = (zones, largestCopies)
        (self.degradedGroups, self.unavailableGroups) = (degradedGroups, unavailableGroups)
    }

    package init(from reader: inout WireReader) throws(WireError) {
        zones = try reader.read()
        largestCopies = try reader.read()
        degradedGroups = try reader.read()
        unavailableGroups = try reader.read()
    }

    package func encode(to writer: inout WireWriter) {
        writer.write(zones)
        writer.write(largestCopies)
        writer.write(degradedGroups)
        writer.write(unavailableGroups)
    }
}

/// How far the background verification is, and what was found damaged.
package struct ScrubState: Hashable, Sendable, WireCodable {
    /// Of the present pass.
    package var objectsVerified: UInt64
    package var objectsTotal: UInt64
    package var damagedBlocks: UInt64
    package var repairedBlocks: UInt64
    /// When the last full pass ended, nanoseconds since 1970; 0: none yet.
    package var lastPassAt: UInt64
    package var lastPassObjects: UInt64
    /// What no copy could make good, and what could not be looked at on every sheep that should have it; of this pass.
    package var flaws: ScrubFlaws
    package var lastPassFlaws: ScrubFlaws

    package init(
        objectsVerified: UInt64 = 0, objectsTotal: UInt64 = 0, damagedBlocks: UInt64 = 0, repairedBlocks: UInt64 = 0,
        lastPassAt: UInt64 = 0, lastPassObjects: UInt64 = 0, flaws: ScrubFlaws = ScrubFlaws(), lastPassFlaws: ScrubFlaws = ScrubFlaws()
    ) {
        (self.flaws, self.lastPassFlaws) = (flaws, lastPassFlaws)
        (self.objectsVerified, self.objectsTotal, self.damagedBlocks) = (objectsVerified, objectsTotal, damagedBlocks)
        (self.repairedBlocks, self.lastPassAt, self.lastPassObjects) = (repairedBlocks, lastPassAt, lastPassObjects)
    }

    package init(from reader: inout WireReader) throws(WireError) {
        objectsVerified = try reader.read()
        objectsTotal = try reader.read()
        damagedBlocks = try reader.read()
        repairedBlocks = try reader.read()
        lastPassAt = try reader.read()
        lastPassObjects = try reader.read()
        flaws = try reader.readValue()
        lastPassFlaws = try reader.readValue()
    }

    package func encode(to writer: inout WireWriter) {
        writer.write(objectsVerified)
        writer.write(objectsTotal)
        writer.write(damagedBlocks)
        writer.write(repairedBlocks)
        writer.write(lastPassAt)
        writer.write(lastPassObjects)
        writer.write(flaws)
        writer.write(lastPassFlaws)
    }
}

/// What an operator allows a recovery: to begin with so many objects in each interval. Without a limit it follows the clients alone.
package struct RecoveryThrottle: Hashable, Sendable, WireCodable {
    package var objects: UInt32
    package var intervalMilliseconds: UInt32

    package static let none = RecoveryThrottle(objects: 0, intervalMilliseconds: 0)
    package var isLimited: Bool { objects > 0 && intervalMilliseconds > 0 }

    package init(objects: UInt32, intervalMilliseconds: UInt32) {
        (self.objects, self.intervalMilliseconds) = (objects, intervalMilliseconds)
    }

    package init(from reader: inout WireReader) throws(WireError) {
        objects = try reader.read()
        intervalMilliseconds = try reader.read()
    }

    package func encode(to writer: inout WireWriter) {
        writer.write(objects)
        writer.write(intervalMilliseconds)
    }
}

/// Recovery's work: objects and bytes, done of total, and how much of it needed the network.
package struct RecoveryTotals: Hashable, Sendable, WireCodable {
    package var objectsDone: UInt64
    package var objectsTotal: UInt64
    package var bytesDone: UInt64
    package var bytesTotal: UInt64
    /// Objects compared with a peer's.
    package var objectsExamined: UInt64
    /// Objects whose data came from a peer.
    package var objectsFetched: UInt64

    package init(
        objectsDone: UInt64 = 0, objectsTotal: UInt64 = 0, bytesDone: UInt64 = 0, bytesTotal: UInt64 = 0,
        objectsExamined: UInt64 = 0, objectsFetched: UInt64 = 0
    ) {
        (self.objectsDone, self.objectsTotal) = (objectsDone, objectsTotal)
        (self.bytesDone, self.bytesTotal) = (bytesDone, bytesTotal)
        (self.objectsExamined, self.objectsFetched) = (objectsExamined, objectsFetched)
    }

    package init(from reader: inout WireReader) throws(WireError) {
        objectsDone = try reader.read()
        objectsTotal = try reader.read()
        bytesDone = try reader.read()
        bytesTotal = try reader.read()
        objectsExamined = try reader.read()
        objectsFetched = try reader.read()
    }

    package func encode(to writer: inout WireWriter) {
        writer.write(objectsDone)
        writer.write(objectsTotal)
        writer.write(bytesDone)
        writer.write(bytesTotal)
        writer.write(objectsExamined)
        writer.write(objectsFetched)
    }
}

/// How far a check has come that `cluster check` or `vdi check` started.
package struct CheckProgress: Hashable, Sendable, WireCodable {
    /// Names the check in a poll; a check nobody polls for a minute may be forgotten.
    package var identity: UInt64
    package var objectsDone: UInt64
    package var objectsTotal: UInt64
    /// Copies that were damaged, missing or differed and were made good, and read again since.
    package var repaired: UInt64
    /// Objects that could not be made good.
    package var lost: UInt64
    /// Of the others, those of which not all copies are there: a sheep is down, or does not have everything yet.
    package var incomplete: UInt64
    package var isFinished: Bool
    /// When it ended, nanoseconds since 1970; 0: it goes on.
    package var endedAt: UInt64
    /// What was found since the last reply, a line each.
    package var findings: [String]

    package init(
        identity: UInt64, objectsDone: UInt64 = 0, objectsTotal: UInt64 = 0, repaired: UInt64 = 0, lost: UInt64 = 0, incomplete: UInt64 = 0,
        isFinished: Bool = false, endedAt: UInt64 = 0, findings: [String] = []
    ) {
        (self.endedAt, self.incomplete) = (endedAt, incomplete)
        (self.identity, self.objectsDone, self.objectsTotal) = (identity, objectsDone, objectsTotal)
        (self.repaired, self.lost, self.isFinished, self.findings) = (repaired, lost, isFinished, findings)
    }

    package init(from reader: inout WireReader) throws(WireError) {
        identity = try reader.read()
        objectsDone = try reader.read()
        objectsTotal = try reader.read()
        repaired = try reader.read()
        lost = try reader.read()
        incomplete = try reader.read()
        isFinished = try reader.readBool()
        endedAt = try reader.read()
        findings = try reader.readStrings()
    }

    package func encode(to writer: inout WireWriter) {
        writer.write(identity)
        writer.write(objectsDone)
        writer.write(objectsTotal)
        writer.write(repaired)
        writer.write(lost)
        writer.write(incomplete)
        writer.write(isFinished)
        writer.write(endedAt)
        writer.write(strings: findings)
    }
}
