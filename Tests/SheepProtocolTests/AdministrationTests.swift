import ObjectModel
import SheepProtocol
import Testing

private let working = VolumeReference(name: "alice")
private let byTag = VolumeReference(name: "alice", selector: .tag("monday"))
private let node = NodeID(high: 1, low: 2)
private let record = NodeRecord(
    node: node, host: "::1", port: 7001, virtualNodes: 128, zone: 7001, state: .syncing, isGateway: false)
private let totals = RecoveryTotals(
    objectsDone: 1, objectsTotal: 2, bytesDone: 3, bytesTotal: 4, objectsExamined: 5, objectsFetched: 6)

@Suite struct AdministrationTests {
    static let requests: [AdministrationRequest] = [
        .clusterInformation, .clusterFormat(ClusterFormat(copies: 3, objectShift: 22, flags: 4, force: true)),
        .clusterShutdown, .clusterCheck, .clusterRecover(goingOnWith: nil), .clusterRecover(goingOnWith: []), .clusterRecover(goingOnWith: [DiskID(high: 1, low: 2), DiskID(high: 3, low: 4)]), .nodeList, .nodeSpace, .nodeStatistics, .nodeRecovery, .recoveryThrottle,
        .recoveryThrottleSet(RecoveryThrottle(objects: 1, intervalMilliseconds: 2)), .nodeKill(node), .nodeEnd,
        .nodeRemove(node), .nodeRemove(node, givesUp: true), .volumeCreate(VolumeCreate(name: "wörk", size: 1 << 40, copies: 2, objectShift: 27)),
        .volumeDelete(VolumeDelete(volume: byTag)),
        .volumeDelete(VolumeDelete(volume: working, onlyBirth: Birth(rawValue: 9), lockHolder: node)), .volumeList(name: nil),
        .volumeList(name: "alice"), .volumeFind(VolumeReference(name: "bob", selector: .id(7))),
        .volumeSnapshot(VolumeSnapshot(name: "alice", tag: "")),
        .volumeClone(VolumeClone(source: byTag, name: "bob")), .volumeRollback(byTag),
        .volumeResize(VolumeResize(name: "alice", size: 5)), .volumeCheck(working), .volumeCheck(working, existenceOnly: true),
        .volumeRename(VolumeRename(name: "alice", newName: "bøb")),
        .volumeRename(VolumeRename(name: "alice", newName: "b", onlyBirth: Birth(rawValue: 3))),
        .volumeHandOver(VolumeHandOver(name: "alice", owner: node)),
        .attributeSet(AttributeSet(volume: working, key: "k", value: [1, 2, 3], exclusive: true)),
        .attributeSet(AttributeSet(volume: working, key: "k", value: nil, exclusive: false)),
        .attributeGet(AttributeGet(volume: byTag, key: "k")), .attributeList(working),
        .objectLocation(ObjectLocationRequest(volume: working, index: .max)),
        .objectMap(ObjectMapRequest(volume: byTag, from: 3, limit: 9)), .lockList, .lockUnlock(working),
        .checkProgress(77),
    ]

    @Test("every request survives the round trip, no truncation does", arguments: requests)
    func request(_ request: AdministrationRequest) throws { try expectRoundTrip(request) }

    static let replies: [AdministrationReply] = [
        .done, .cluster(ClusterInformation(status: .waitingForFormat)),
        .cluster(ClusterInformation(
            status: .waitingForNodes,
            format: FormatRecord(
                cluster: ClusterID(high: 3, low: 4), createdAt: 5, copies: 3, objectShift: 22, flags: 4),
            epochs: [
                EpochRecord(
                    epoch: Epoch(rawValue: 2), time: 8, members: [EpochMember(host: "h", port: 1, virtualNodes: 2)]),
                EpochRecord(epoch: Epoch(rawValue: 1), time: 7, members: []),
            ],
            waitingFor: ["127.0.0.1:7001"], waitingRequests: 6,
            redundancy: RedundancyState(zones: 1, largestCopies: 3, degradedGroups: 4, unavailableGroups: 5),
            scrub: ScrubState(
                objectsVerified: 1, objectsTotal: 5, damagedBlocks: 2, repairedBlocks: 3, lastPassAt: 4, lastPassObjects: 6),
            recovery: totals, warnings: ["w"])),
        .nodes([record]), .nodes([]),
        .space(SpaceReport(nodes: [NodeSpace(number: 0, size: 3, used: 1, available: 2)], virtualSize: 9)),
        .statistics(NodeStatistics(client: counters(1), peer: counters(100))),
        .recovery([NodeRecovery(number: 4, record: record, totals: totals)]),
        .created(VolumeCreated(birth: Birth(rawValue: 5), vid: VID(rawValue: 6))),
        .created(VolumeCreated(
            birth: Birth(rawValue: 5), vid: VID(rawValue: 6), snapshot: SnapshotCreated(vid: VID(rawValue: 7), id: 1))),
        .volumes([volume(parent: nil), volume(parent: Birth(rawValue: 1))]), .volume(volume(parent: nil)),
        .attribute([0, 255]), .attributeKeys([AttributeKey(key: "k", valueLength: 3)]),
        .objectLocation(ObjectLocation(
            vid: VID(rawValue: 1), copies: 3, nodes: [NodePresence(address: "a:1", hasObject: true)], placed: ["a:1"])),
        .objectLocation(ObjectLocation(vid: nil, copies: 1, nodes: [], placed: [])),
        .objectMap(ObjectMap(runs: [ObjectRun(first: 1, count: 2, vid: VID(rawValue: 3))], next: 4)),
        .objectMap(ObjectMap(runs: [], next: nil)),
        .locks([
            LockRecord(name: "n", snapshotID: 1, tag: "t", vid: VID(rawValue: 2), isShared: true, owners: ["a:1", "b:2"])
        ]),
        .check(CheckProgress(
            identity: 1, objectsDone: 2, objectsTotal: 3, repaired: 4, lost: 5, isFinished: true, endedAt: 6, findings: ["bad"])),
        .risk(RecoveryRisk()),
        .risk(RecoveryRisk(
            olderGroups: 1, lostGroups: 2, closedGroups: 3, openingGroups: 65_536,
            absent: [
                AbsentNode(host: "h", port: 1, downSince: LogIndex(rawValue: 2)), AbsentNode(host: "::1", port: 3, downSince: nil),
            ],
            volumes: [
                VolumeRisk(
                    name: "alice", isSnapshot: true, snapshotID: 2, tag: "monday", vid: VID(rawValue: 8), objects: 9, older: 1, lost: 2,
                    closed: 3)
            ], present: [DiskID(high: 1, low: 2), DiskID(high: 3, low: 4)])),
    ]

    @Test("every reply survives the round trip, no truncation does", arguments: replies)
    func reply(_ reply: AdministrationReply) throws { try expectRoundTrip(reply) }

    @Test("values out of their range are refused")
    func ranges() {
        let refused: [AdministrationRequest] = [
            .clusterFormat(ClusterFormat(copies: 0, objectShift: 22, flags: 0, force: false)),
            .clusterFormat(ClusterFormat(copies: 32, objectShift: 22, flags: 0, force: false)),
            .clusterFormat(ClusterFormat(copies: 3, objectShift: 28, flags: 0, force: false)),
            .volumeCreate(VolumeCreate(name: "v", size: 1, copies: 3, objectShift: 19)),
            .volumeCreate(VolumeCreate(name: String(repeating: "x", count: 256), size: 1)),
            .attributeGet(AttributeGet(volume: working, key: String(repeating: "x", count: 256))),
            .attributeSet(AttributeSet(
                volume: working, key: "k", value: [UInt8](repeating: 0, count: 65_537), exclusive: false)),
        ]
        for request in refused {
            #expect(throws: WireError.self, "\(request)") { try AdministrationRequest(wire: request.wire) }
        }
        for bytes: [UInt8] in [[0], [255], [34, 2]] {
            #expect(throws: WireError.self) { try AdministrationRequest(wire: bytes) }
        }
        let groups = AdministrationReply.risk(RecoveryRisk(olderGroups: 65_537))
        #expect(throws: WireError.self) { try AdministrationReply(wire: groups.wire) }
    }

    @Test("a lying count of texts or of runs is refused before memory is taken")
    func lyingCounts() {
        let locks: [UInt8] = [14, 255, 255, 255, 255]
        #expect(throws: WireError.self) { try AdministrationReply(wire: locks) }
        #expect(throws: WireError.self) { try AdministrationReply(wire: [13, 255, 255, 255, 127, 0]) }
        let overflowing = AdministrationReply.objectMap(
            ObjectMap(runs: [ObjectRun(first: .max, count: 2, vid: VID(rawValue: 1))], next: nil))
        #expect(throws: WireError.self) { try AdministrationReply(wire: overflowing.wire) }
    }
}

private func counters(_ first: UInt64) -> RequestCounters {
    var counters = RequestCounters()
    (counters.active, counters.total, counters.writes, counters.reads) = (first, first + 1, first + 2, first + 3)
    (counters.removes, counters.flushes) = (first + 4, first + 5)
    (counters.bytesWritten, counters.bytesRead) = (first + 6, first + 7)
    return counters
}

private func volume(parent: Birth?) -> VolumeRecord {
    VolumeRecord(
        name: "alice", isSnapshot: true, snapshotID: 2, tag: "monday", size: 3,
        usage: parent == nil ? nil : VolumeUsage(own: 4, shared: 5), createdAt: 6, snapshotAt: 7,
        vid: VID(rawValue: 8), birth: Birth(rawValue: 9), parent: parent, isClone: true, copies: 10, objectShift: 22,
        attributeCount: 11, owner: parent == nil ? node : nil)
}
