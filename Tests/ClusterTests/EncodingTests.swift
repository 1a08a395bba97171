import Cluster
import ObjectModel
import Testing

@Suite struct EncodingTests {
    static let (node, disk, boot) = (NodeID(3), DiskID(4), BootID(5, 1))
    static let birth = Birth(rawValue: 7)
    static let ranges = [GroupRange(first: 1, last: 9), GroupRange(first: 100, last: .max)]

    static let commands: [ControlCommand] = [
        .format(.init(cluster: ClusterID(high: 1, low: 2), copies: 3, objectShift: 22, flags: 0x11, force: true)),
        .nodesDown(.init(victims: [.init(node: node, boot: boot), .init(node: NodeID(8), boot: boot)], proven: true)),
        .nodeUp(.init(
            node: node, boot: boot, address: NodeAddress(host: "::1", port: 7000), zone: 5, virtualNodes: 64,
            disks: [DiskAnnouncement(id: disk, capacity: 1 << 40)], lostPower: true, reached: LogIndex(rawValue: 77),
            dataAddress: NodeAddress(host: "10.0.0.1", port: 7100))),
        .nodeUp(.init(node: node, boot: boot, address: NodeAddress(host: "h", port: 1), zone: nil, virtualNodes: nil, disks: [])),
        .nodeOut(node, byOperator: true), .giveUpNode(node), .planPlacement, .diskOut(disk, boot: boot),
        .groupsOut(disk, boot: boot, [GroupRange(first: 3, last: 3)]),
        .syncing(disk, boot: boot, ranges), .syncStopped(disk, boot: boot, ranges), .inSync(disk, boot: boot, ranges),
        .openGroups(present: [disk, DiskID(9)], preferred: [disk]), .forceOpen(present: [disk, DiskID(9)], preferred: [disk]), .shutdown, .cleanStop(node, boot: boot),
        .createVolume(.init(name: "volume ä", size: 1 << 40, copies: 2, objectShift: 24)),
        .snapshotVolume(.init(volume: birth, tag: "tag", term: Term(rawValue: 3))),
        .snapshotVolume(.init(volume: birth, tag: "", term: nil)),
        .cloneVolume(.init(source: birth, name: "clone", copies: 4)),
        .rollbackVolume(.init(volume: birth, snapshot: Birth(rawValue: 6), term: Term(rawValue: 3))),
        .resizeVolume(.init(volume: birth, size: 9, term: nil)), .deleteVolume(.init(volume: birth, term: Term(rawValue: 1))),
        .setAttribute(.init(volume: birth, key: "key", value: [1, 2, 3], exclusive: true)),
        .setAttribute(.init(volume: birth, key: "key", value: nil, exclusive: false)),
        .renameVolume(.init(volume: birth, name: "näme")),
        .forgetVolume(birth), .acquireLease(birth, node, boot: boot), .releaseLease(birth, node, Term(rawValue: 2)),
        .handOverLease(birth, node, Term(rawValue: 2), to: NodeID(4)),
        .lockVolume(birth, owner: node, shared: true), .unlockVolume(birth, owner: node), .unlockVolume(birth, owner: nil),
    ]

    @Test("a command survives the round trip in its entry, and every truncation is refused", arguments: commands)
    func command(_ command: ControlCommand) throws {
        let entry = ControlEntry(
            request: RequestID(high: 1, low: 2), proposer: Self.node, time: 99, stateDigest: 0xDEAD, command: command)
        try expectRoundTrip(command)
        try expectRoundTrip(entry)
    }

    @Test(
        "a result survives the round trip, and every truncation is refused",
        arguments: [ControlResult.done, .volume(birth), .lease(Term(rawValue: 9)), .refused(SheepError(.busy, "wait"))])
    func result(_ result: ControlResult) throws {
        try expectRoundTrip(result)
    }

    @Test("codes are for ever")
    func codes() {
        #expect(ControlCommand.openGroups(present: [], preferred: []).wire[0] == 9)
        #expect(ControlCommand.groupsOut(Self.disk, boot: Self.boot, []).wire[0] == 24)
        #expect(ControlCommand.forceOpen(present: [], preferred: []).wire[0] == 25)
    }

    @Test("unknown commands and results are refused")
    func unknown() {
        #expect(throws: WireError.self) { try ControlCommand(wire: [0]) }
        #expect(throws: WireError.self) { try ControlCommand(wire: [255]) }
        #expect(throws: WireError.self) { try ControlResult(wire: [4]) }
    }

    @Test("a state with everything in it survives the round trip, and truncations are refused")
    func state() throws {
        var talk = Conversation.formatted(nodes: 4)
        let volume = talk.create("a")
        talk.acquire(volume, 1)
        let working = talk.snapshot(volume, "tag", term: Term(rawValue: 1))
        _ = talk.clone(volume, "b")
        talk.say(.setAttribute(.init(volume: working, key: "k", value: [9], exclusive: false)))
        talk.say(.lockVolume(working, owner: NodeID(2), shared: true))
        talk.say(.deleteVolume(.init(volume: volume, term: nil)))
        talk.down((3, 1))
        talk.up(5, virtualNodes: 8)
        talk.say(.planPlacement)
        talk.say(.shutdown)
        talk.say(.cleanStop(NodeID(4), boot: BootID(4, 1)))

        let end = talk.state.appliedIndex
        talk.state.restoreLog(skipping: LogRestorationMark.gaps.lowerBound)
        #expect(talk.state.appliedIndex.rawValue == end.rawValue + LogRestorationMark.gaps.lowerBound)
        #expect(talk.state.restorations == [LogRestorationMark(from: end, to: talk.state.appliedIndex)])
        let bytes = talk.state.wire
        let restored = try ControlState(wire: bytes)
        #expect(restored.wire == bytes)
        #expect(restored.digest == talk.state.digest)
        #expect(restored.volumes == talk.state.volumes && restored.restorations == talk.state.restorations)
        for length in stride(from: 0, to: bytes.count, by: max(1, bytes.count / 500)) {
            #expect(throws: WireError.self) { try ControlState(wire: Array(bytes.prefix(length))) }
        }
    }

    private func expectRoundTrip<Value: WireCodable & Equatable>(_ value: Value) throws {
        let bytes = value.wire
        #expect(try Value(wire: bytes) == value)
        for length in 0..<bytes.count {
            #expect(throws: WireError.self) { try Value(wire: Array(bytes.prefix(length))) }
        }
    }
}
