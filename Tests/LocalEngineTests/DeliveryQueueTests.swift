import LocalEngine
import ObjectModel
import Testing

@Suite struct DeliveryQueueTests {
    private func entry(_ index: UInt64) -> DeliveryQueue.Item { .entry(LogIndex(rawValue: index), [1]) }

    @Test("a look that sees nothing new extends the lease at once")
    func emptyLook() {
        var queue = DeliveryQueue()
        #expect(queue.lastLookStarted == nil)
        queue.looked(startedAt: 10)
        #expect(queue.lastLookStarted == 10)
        #expect(queue.beginSync() == nil)
    }

    @Test("a look that sees an entry extends the lease only when the entry has been delivered")
    func lookWithEntry() {
        var queue = DeliveryQueue()
        queue.looked(startedAt: 10)
        queue.saw([entry(1)])
        queue.looked(startedAt: 20)
        #expect(queue.lastLookStarted == 10)
        let covered = queue.beginSync()
        #expect(covered == 1)
        queue.looked(startedAt: 30)
        #expect(queue.lastLookStarted == 10)
        #expect(queue.synced(1) == [entry(1)])
        #expect(queue.lastLookStarted == 10, "seen and durable, but the delegate does not know yet")
        #expect(!queue.isIdle)
        queue.delivered()
        #expect(queue.lastLookStarted == 30)
        #expect(queue.isIdle)
    }

    @Test("one sync at a time, and it covers only what was seen before it began")
    func coalescedSyncs() {
        var queue = DeliveryQueue()
        queue.saw([entry(1), entry(2)])
        queue.looked(startedAt: 10)
        let first = queue.beginSync()
        queue.saw([entry(3)])
        queue.looked(startedAt: 20)
        #expect(queue.beginSync() == nil)
        #expect(queue.synced(first!) == [entry(1), entry(2)])
        queue.delivered()
        #expect(queue.lastLookStarted == nil)
        queue.delivered()
        #expect(queue.lastLookStarted == 10, "entries that keep coming do not keep the lease from what is settled")
        let second = queue.beginSync()
        #expect(queue.synced(second!) == [entry(3)])
        queue.delivered()
        #expect(queue.lastLookStarted == 20)
    }

    @Test("a snapshot of a later state drops what waits, and a sync that began before does not cover it")
    func restart() {
        var queue = DeliveryQueue()
        queue.saw([entry(1), entry(2)])
        queue.looked(startedAt: 10)
        let old = queue.beginSync()!
        queue.dropWaiting()
        let restored = DeliveryQueue.Item.restored(LogIndex(rawValue: 9), [])
        queue.saw([restored])
        queue.looked(startedAt: 20)
        #expect(queue.synced(old).isEmpty)
        #expect(queue.lastLookStarted == nil)
        #expect(queue.synced(queue.beginSync()!) == [restored])
        queue.delivered()
        #expect(queue.lastLookStarted == 20)
        #expect(queue.isIdle)
    }
}
