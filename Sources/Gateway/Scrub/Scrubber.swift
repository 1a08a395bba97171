import Cluster
import Logging
import ObjectModel
package import ObjectStore
import SheepProtocol

/// Reads everything through in the background: for each slot the first in-sync member has all of them read and compare their
/// copies, as a check does. So every copy is read once a pass, whoever of its members leads.
package final class Scrubber<Env: NodeEnvironment> {
    /// Slots looked through for one that this sheep leads, at a time.
    private static var slotsPerStep: Int { 256 }
    /// The place is written down after so much time, in nanoseconds.
    private static var noteInterval: UInt64 { 10_000_000_000 }

    private unowned(unsafe) let node: SheepNode<Env>
    private var schedule: ScrubSchedule
    private var audit: SlotAudit<Env>?
    private var lastRequests: UInt64 = 0
    private var lastNoted: UInt64 = 0
    private let earlier: (damaged: UInt64, mended: UInt64)

    init(node: SheepNode<Env>) {
        self.node = node
        let record = node.store?.scrubRecord() ?? ScrubRecord()
        schedule = ScrubSchedule(period: node.options.scrubPeriod, rate: node.options.scrubRate, record: record)
        earlier = (record.damaged, record.mended)
    }

    package var record: ScrubRecord { schedule.record }

    /// For `dog`: this disk's part.
    var state: ScrubState {
        let record = schedule.record
        return ScrubState(
            objectsVerified: record.verified, objectsTotal: record.total, damagedBlocks: earlier.damaged + node.repairs.found,
            repairedBlocks: earlier.mended + node.repairs.done, lastPassAt: record.lastEndedAt,
            lastPassObjects: record.lastVerified, flaws: record.flaws, lastPassFlaws: record.lastFlaws)
    }

    func tick(now: UInt64) {
        guard let store = node.store, node.isServing, !store.hasFailed, node.control.state.cluster != nil else { return }
        let requests = node.replica.counters.changes + node.replica.counters.reads
        let isBusy = requests != lastRequests
        lastRequests = requests
        step(now: now, isBusy: isBusy, in: store)
    }

    private func step(now: UInt64, isBusy: Bool, in store: ObjectStore<Env.StoreDisk>) {
        switch schedule.step(
            now: now, isBusy: isBusy, objects: UInt64(store.statistics.objects), wall: node.clock.wallClock())
        {
        case .wait: return
        case .audit(let after): next(after: after.map { ObjectSlot(family: $0.family, index: $0.index) }, in: store)
        }
    }

    /// The first slot behind the last one that this sheep leads.
    private func next(after last: ObjectSlot?, in store: ObjectStore<Env.StoreDisk>) {
        // Recovery reads the same disks, and is more urgent.
        guard node.recovery.isIdle, node.repairer.isIdle else { return schedule.postponed(now: node.clock.now()) }
        let start = last.map {
            ObjectName(family: $0.family, index: $0.index, birth: Birth(rawValue: .max), kind: .data)
        }
        let objects = store.objects(after: start, limit: Self.slotsPerStep)
        guard !objects.isEmpty else { return ended() }
        var (objectsPassed, bytesPassed, slot) = (UInt64(0), UInt64(0), last)
        for object in objects {
            let next = ObjectSlot(family: object.name.family, index: object.name.index)
            // All objects of a slot stand together; the last slot may not be whole, but it is looked at whole.
            if next != slot, let led = slot, led != last, leads(led) { break }
            slot = next
            objectsPassed += object.isHole ? 0 : 1
            bytesPassed += object.isHole ? 0 : UInt64(object.objectShift.objectSize)
        }
        guard let slot, slot != last else { return ended() }
        guard leads(slot) else { return passed(slot, objects: objectsPassed, bytes: bytesPassed, in: store) }
        audit = SlotAudit(node: node, slot: slot, reads: true) { [weak self] result in
            guard let self else { return }
            audit = nil
            for finding in result.findings { node.logger.error("scrub: \(finding)") }
            let isSound = result.findings.isEmpty
            let flaws = ScrubFlaws(unsound: isSound ? 0 : 1, incomplete: isSound && result.lacksCopies ? 1 : 0)
            passed(slot, objects: objectsPassed, bytes: bytesPassed, flaws: flaws, in: store)
        }
        audit!.start()
    }

    private func passed(
        _ slot: ObjectSlot, objects: UInt64, bytes: UInt64, flaws: ScrubFlaws = ScrubFlaws(), in store: ObjectStore<Env.StoreDisk>
    ) {
        schedule.audited(
            family: slot.family, index: slot.index, objects: objects, bytes: bytes, diskBytes: store.objectBytes, flaws: flaws,
            now: node.clock.now())
        note(in: store, always: false)
    }

    /// The first in-sync member, for the fewest copies that this disk has objects of.
    private func leads(_ slot: ObjectSlot) -> Bool {
        let state = node.control.state
        for copies in state.copiesInUse(in: slot.family).counts {
            let set = node.replicaSet(of: slot.group, copies: copies)
            if set.inSync.contains(where: { $0.node == node.identity }) { return set.inSync.first?.node == node.identity }
        }
        return false
    }

    private func ended() {
        schedule.ended(now: node.clock.now(), wall: node.clock.wallClock())
        let record = schedule.record
        node.logger.info("scrub: this disk was read through: \(record.lastVerified) objects; of those that it leads \(record.lastFlaws.text)")
        if let store = node.store { note(in: store, always: true) }
    }

    private func note(in store: ObjectStore<Env.StoreDisk>, always: Bool) {
        let now = node.clock.now()
        guard always || now >= lastNoted + Self.noteInterval else { return }
        lastNoted = now
        schedule.note(damaged: earlier.damaged + node.repairs.found, mended: earlier.mended + node.repairs.done)
        store.write(schedule.record)
    }

    /// Before an orderly end of the sheep.
    package func stop() {
        if let store = node.store { note(in: store, always: true) }
    }
}
