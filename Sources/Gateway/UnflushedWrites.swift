import Cluster
import Logging
package import ObjectModel

/// What this gateway's own clients changed in a volume and no flush has made durable yet; and how often some of it may have been lost,
/// because the machine of the only copies that had it lost its power. As an fsync does, each client's next flush then fails, once.
package struct UnflushedWrites {
    private var groups = GroupSet()
    /// Of these, what flushes under way are to make durable.
    private var covered = GroupSet()
    private var flushes = 0
    private var losses = 0
    /// The losses that some client has been told of.
    private var told = 0

    package init() {}

    /// Where a client begins that comes now: what nobody was told yet, it is told.
    package var known: Int { told }

    /// `offsets` are bytes of the volume, not empty.
    package mutating func insert(_ offsets: Range<UInt64>, of family: Family, objectSize: UInt64) {
        let indices = offsets.lowerBound / objectSize...(offsets.upperBound - 1) / objectSize
        // More than there are groups: every one of them, nearly.
        if indices.count >= PlacementGroup.count { return groups.insertAll() }
        for index in indices { groups.insert(PlacementGroup(family: family, index: UInt32(index))) }
    }

    package mutating func flushBegins() {
        covered.formUnion(groups)
        groups = GroupSet()
        flushes += 1
    }

    /// `known` are the losses that the client was told of. True: this flush has to tell it of another one.
    package mutating func flushEnded(succeeded: Bool, known: inout Int) -> Bool {
        flushes -= 1
        if !succeeded { groups.formUnion(covered) }
        if flushes == 0 { covered = GroupSet() }
        guard known < losses else { return false }
        (known, told) = (losses, losses)
        return true
    }

    /// Groups for which this holds are served by a copy that may lack what was not flushed. True: some of it is here.
    package mutating func lost(where isLost: (PlacementGroup) -> Bool) -> Bool {
        guard !groups.allSatisfy({ !isLost($0) }) || !covered.allSatisfy({ !isLost($0) }) else { return false }
        losses += 1
        return true
    }
}

extension VolumeSession {
    /// Changes that a client of this gateway asked for are about to be made.
    func noteUnflushed(_ offsets: Range<UInt64>, durable: Bool) {
        if durable || node.options.alwaysDurable { return }
        unflushedHere.insert(offsets, of: volume.family, objectSize: UInt64(objectSize))
    }

    /// The groups went on with disks that may have lost what was not flushed.
    func membersLostWrites(in isLost: (PlacementGroup) -> Bool) {
        guard unflushedHere.lost(where: isLost) else { return }
        node.logger.error("volume \(volume.name): what was acknowledged here since the last flush may be lost; the next flush fails")
    }

    func flushEnded(_ error: SheepError?, known: inout Int) -> SheepError? {
        guard unflushedHere.flushEnded(succeeded: error == nil, known: &known), error == nil else { return error }
        return SheepError(
            .inputOutput,
            "volume \(volume.name): writes that were acknowledged since the last flush may be lost, for the only machine that had them lost its power: write them again")
    }
}
