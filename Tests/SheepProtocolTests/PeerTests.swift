import ObjectModel
import SheepProtocol
import Testing

@Suite("Messages between sheep")
struct PeerTests {
    private let context = ReplicaContext(
        volume: Birth(rawValue: 1), term: Term(rawValue: 2), groupVersion: LogIndex(rawValue: 3),
        volumeEntry: LogIndex(rawValue: 4), senderIncarnation: Incarnation(rawValue: 5), receiverBoot: BootID(rawValue: 6))
    private let name = ObjectName(family: Family(rawValue: 7), index: 8, birth: Birth(rawValue: 9), kind: .data)
    private let origin = ChangeOrigin(boot: BootID(rawValue: 10), request: 11)
    private let slot = ObjectSlot(family: Family(rawValue: 7), index: 8)

    private func change(offset: UInt32 = 4096, length: UInt32 = 8192, shift: UInt8 = 22) -> ReplicaChange {
        ReplicaChange(
            context: context, object: name, objectShift: shift, kind: .trim, durable: true, sequence: Sequence(rawValue: 12),
            settled: Sequence(rawValue: 11), offset: offset, length: length, origin: origin)
    }

    @Test("every message survives the round trip, no truncation does")
    func messages() throws {
        try expectRoundTrip(change())
        try expectRoundTrip(
            UnsettledRecord(
                term: Term(rawValue: 1), sequence: Sequence(rawValue: 2), object: name, kind: .zero, offset: 0, length: 4096,
                origin: nil))
        let read = ReplicaRead(
            context: context, family: slot.family, birth: name.birth, index: slot.index, offset: 1, length: 2)
        try expectRoundTrip(read)
        try expectRoundTrip(StoredRange(offset: 4096, length: 8192))
        try expectRoundTrip(ReplicaFlush(context: context, family: slot.family))
        try expectRoundTrip(ReplicaGather(context: context))
        try expectRoundTrip(ReplicaRecall(context: context, origin: ChangeOrigin(boot: context.receiverBoot, request: 5), durable: true))
        for memory in [ReplicaRecall.Memory.notDone, .inPart, .done] { try expectRoundTrip(memory) }
        try expectRoundTrip(ReplicaSettled(volume: name.birth, term: context.term, settled: Sequence(rawValue: 13)))
        try expectRoundTrip(
            ReplicaSettled(
                volume: name.birth, term: context.term, settled: .zero, repliesSeen: [.init(boot: context.receiverBoot, below: 9)]))
        let record = UnsettledRecord(
            term: context.term, sequence: Sequence(rawValue: 2), object: name, kind: .write, offset: 0, length: 4096,
            origin: ChangeOrigin(boot: context.receiverBoot, request: 5))
        try expectRoundTrip(RecoveryListing.Listed(slots: [slot], noted: [ReplicaRecord(volume: name.birth, record: record)]))
        try expectRoundTrip(
            RecoverySlot.Held(
                objects: [SourceObject(name: name, version: context.volumeEntry, objectShift: 22, isHole: true, table: [])],
                unsettled: [ReplicaRecord(volume: name.birth, record: record)], noted: [ReplicaRecord(volume: name.birth, record: record)]))
        try expectRoundTrip(slot)
        try expectRoundTrip(
            RecoveryListing(
                receiverBoot: context.receiverBoot, logIndex: context.volumeEntry, since: context.groupVersion, firstGroup: 1,
                lastGroup: 2))
        try expectRoundTrip(
            RecoverySlot(receiverBoot: context.receiverBoot, logIndex: context.volumeEntry, slot: slot, verify: true))
        try expectRoundTrip(
            SourceObject(name: name, version: context.volumeEntry, objectShift: 22, isHole: false, table: [0, 1, .max]))
        try expectRoundTrip(RecoveryRead(
                receiverBoot: context.receiverBoot, object: name,
                ranges: [.init(offset: 4096, length: 4096), .init(offset: 0, length: 8192)]))
        try expectRoundTrip(RecoveryDigest(receiverBoot: context.receiverBoot, object: name, range: .init(offset: 65_536, length: 131_072)))
        try expectRoundTrip(RecoveryDigests([0, 1, .max]))
        for range in [RecoveryRead.Range(offset: 4096, length: 65_536), .init(offset: 0, length: 4096), .init(offset: 0, length: 2 << 20)] {
            let request = RecoveryDigest(receiverBoot: context.receiverBoot, object: name, range: range)
            #expect(throws: WireError.self) { try RecoveryDigest(wire: request.wire) }
        }
        try expectRoundTrip(Hello(node: NodeID(high: 1, low: 2), boot: context.receiverBoot))
        let load = ClientLoad(requests: 1, tail: 2, calmTail: 3)
        try expectRoundTrip(load)
        try expectRoundTrip(Ping(logIndex: context.volumeEntry, load: load))
        try expectRoundTrip(Ping(logIndex: context.volumeEntry, load: load, joining: ListeningPlace(host: "fe80::1", port: 7001)))
        try expectRoundTrip(PingAnswer(logIndex: context.volumeEntry, load: load, isLinkedBack: true))
        try expectRoundTrip(BirthUsage(birth: name.birth, own: 1, shared: 2))
        try expectRoundTrip(
            ForwardRequest(
                volume: name.birth, kind: .flush, durable: true, offset: 1, length: 2, origin: origin, repliesSeenBelow: 3,
                logIndex: context.volumeEntry))
        try expectRoundTrip(VolumeUse(volume: name.birth, users: 3))
        try expectRoundTrip(VolumeMapping(receiverBoot: BootID(rawValue: 1), logIndex: LogIndex(rawValue: 2), volume: name.birth, indices: 3...4))
        let run = ObjectRun(first: 3, count: 2, vid: VID(rawValue: 5))
        try expectRoundTrip(VolumeMapping.Shown(membership: LogIndex(rawValue: 6), runs: [run], next: 9))
        try expectRoundTrip(VolumeMapping.Shown(membership: LogIndex(rawValue: 6), runs: [], next: nil))
        try expectRoundTrip(NodeReport(size: 1, free: 2, waitingRequests: 3, isRecovering: true, warnings: ["full"]))
        try expectRoundTrip(
            ScrubSlot(receiverBoot: context.receiverBoot, logIndex: context.volumeEntry, slot: slot, verify: true, outvoted: [name]))
        try expectRoundTrip(
            SlotSummary(
                objects: [SourceObject(name: name, version: context.volumeEntry, objectShift: 22, isHole: true, table: [])],
                unsettled: [
                    UnsettledRecord(
                        term: context.term, sequence: Sequence(rawValue: 1), object: name, kind: .write, offset: 0, length: 4096,
                        origin: origin)
                ], repaired: 1, lost: 2, isBusy: true, bytesRead: 3))
        try expectRoundTrip(WireList([slot, ObjectSlot(family: slot.family, index: 9)]))
    }

    @Test("a change that does not lie in whole blocks within its object is refused", arguments: [
        (100, 4096, 22), (0, 100, 22), (0, 0, 22), (1 << 22, 4096, 22), ((1 << 22) - 4096, 8192, 22), (0, 4096, 31),
    ])
    func ranges(offset: Int, length: Int, shift: Int) {
        let bytes = change(offset: UInt32(offset), length: UInt32(length), shift: UInt8(shift)).wire
        #expect(throws: WireError.self) { try ReplicaChange(wire: bytes) }
    }

    @Test("a list that lies about its length takes no memory")
    func lyingList() {
        var writer = WireWriter()
        writer.write(UInt32.max)
        #expect(throws: WireError.self) { try WireList<ObjectSlot>(wire: writer.bytes) }
    }
}
