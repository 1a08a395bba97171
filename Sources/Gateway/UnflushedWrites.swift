import Cluster
import Logging
package import ObjectModel
import SheepProtocol

/// What this gateway's own clients changed in a volume and no flush has made durable yet; and how often some of it may have been lost,
/// because the machine of the only copies that had it lost its power. As an fsync does, each client's next flush then fails, once.
package struct UnflushedWrites {
    private var groups = GroupSet()
    /// Of these, what flushes under way are to make durable.
    private var covered = GroupSet()
    private var flushes = 0
    package private(set) var losses = 0
    /// The losses that some client has been told of.
    private var told = 0

    package init() {}

    /// Where a client begins that comes now: what nobody was told yet, it is told.
    package var known: Int { told }

    /// A change was acknowledged that no power cut may take once it is flushed.
    package mutating func insert(_ group: PlacementGroup) { groups.insert(group) }

    package mutating func flushBegins() {
        covered.formUnion(groups)
        groups = GroupSet()
        flushes += 1
    }

    /// `known` are the losses that the client had been told of when the flush began. True: this one has to tell it of another.
    package mutating func flushEnded(succeeded: Bool, known: Int) -> Bool {
        flushes -= 1
        if !succeeded { groups.formUnion(covered) }
        if flushes == 0 { covered = GroupSet() }
        guard known < losses else { return false }
        told = losses
        return true
    }

    /// Groups for which this holds are served by a copy that may lack what was not flushed. True: some of it is here, or `others` of it
    /// may have been acknowledged by an owner whose answer is not here yet.
    package mutating func lost(others: [PlacementGroup] = [], where isLost: (PlacementGroup) -> Bool) -> Bool {
        guard groups.contains(where: isLost) || covered.contains(where: isLost) || others.contains(where: isLost) else { return false }
        losses += 1
        return true
    }
}

extension VolumeSession {
    /// A change was acknowledged; only this gateway's own clients are told of its loss.
    func noteUnflushed(index: UInt32, durable: Bool, origin: ChangeOrigin?) {
        if durable || node.options.alwaysDurable { return }
        if let origin, origin.boot != node.boot { return }
        unflushedHere.insert(PlacementGroup(family: volume.family, index: index))
    }

    /// The groups went on with disks that may have lost what was not flushed.
    func membersLostWrites(in isLost: (PlacementGroup) -> Bool) {
        var sent: [PlacementGroup] = []
        for request in forwarder.changes where request.wasForwarded {
            let group = group(at: request.offset)
            if isLost(group) { request.isInDoubt = true }
            sent.append(group)
        }
        guard unflushedHere.lost(others: sent, where: isLost) else { return }
        node.logger.error("volume \(volume.name): what was acknowledged here since the last flush may be lost; the next flush fails")
    }

    func flushEnded(_ error: SheepError?, known: Int) -> SheepError? {
        guard unflushedHere.flushEnded(succeeded: error == nil, known: known), error == nil else { return error }
        return SheepError(
            .inputOutput,
            "volume \(volume.name): writes that were acknowledged since the last flush may be lost, for the only machine that had them lost its power: write them again")
    }
}
