import Cluster
import ObjectModel
import Testing

@Suite struct VolumeTests {
    @Test("before the format no volume command is taken")
    func notFormatted() {
        var talk = Conversation()
        talk.up(1)
        let birth = Birth(rawValue: 1)
        let commands: [ControlCommand] = [
            .createVolume(.init(name: "a", size: 1)), .snapshotVolume(.init(volume: birth, tag: "", term: nil)),
            .cloneVolume(.init(source: birth, name: "b")), .rollbackVolume(.init(volume: birth, snapshot: birth, term: nil)),
            .resizeVolume(.init(volume: birth, size: 1, term: nil)), .deleteVolume(.init(volume: birth, term: nil)),
            .setAttribute(.init(volume: birth, key: "k", value: [], exclusive: false)), .forgetVolume(birth),
            .renameVolume(.init(volume: birth, name: "b")),
            .acquireLease(birth, NodeID(1), boot: BootID(1, 1)), .lockVolume(birth, owner: NodeID(1), shared: false),
            .unlockVolume(birth, owner: nil),
        ]
        for command in commands { #expect(talk.say(command).refusal == .notFormatted, "\(command)") }
    }

    @Test("create: defaults, name, size and layout")
    func create() {
        var talk = Conversation.formatted(copies: 2)
        let birth = talk.create("test", size: (4 << 20) + 1)
        let record = talk.state.volume(named: "test")!
        #expect(record.birth == birth && record.family.rawValue == birth.rawValue && record.isWorking)
        #expect(record.copies == 2 && record.objectShift == 22 && record.objectCount == 2 && record.snapshotID == 1)
        #expect(record.vid == VID(rawValue: 0x7c2b25) && talk.state.volume(record.vid)?.birth == birth)
        func refusal(_ name: String, size: UInt64 = 1, copies: UInt8 = 0, shift: UInt8 = 0) -> SheepError.Code? {
            talk.say(.createVolume(.init(name: name, size: size, copies: copies, objectShift: shift))).refusal
        }
        #expect(refusal("test") == .volumeExists)
        #expect(refusal("") == .invalidArgument)
        #expect(refusal("a\0b") == .invalidArgument)
        #expect(refusal(String(repeating: "ä", count: 128)) == .invalidArgument)
        #expect(refusal(String(repeating: "a", count: 255)) == nil)
        #expect(refusal("big", size: 1 << 54) == nil)
        #expect(refusal("bigger", size: 1 << 54 + 1) == .invalidArgument)
        #expect(refusal("copies", copies: 32) == .invalidArgument)
        #expect(refusal("shift", shift: 28) == .invalidArgument)
        #expect(talk.state.volumes.count == 3)
    }

    @Test("snapshot: the present birth freezes, a new one goes on with name, attributes, owner and term")
    func snapshot() {
        var talk = Conversation.formatted()
        let first = talk.create("a")
        talk.say(.setAttribute(.init(volume: first, key: "k", value: [1], exclusive: true)))
        talk.acquire(first, 2)
        talk.say(.lockVolume(first, owner: NodeID(2), shared: false))
        let second = talk.snapshot(first, "monday", term: Term(rawValue: 1))
        let (frozen, working) = (talk.state.volume(first)!, talk.state.volume(named: "a")!)
        #expect(frozen.isSnapshot && frozen.isFrozen && frozen.tag == "monday" && frozen.snapshotAt != nil)
        #expect(frozen.lastEntry == talk.now && working.lastEntry == talk.now)
        #expect(working.birth == second && working.parent == first && working.family == frozen.family)
        #expect(working.vid != frozen.vid && working.snapshotID == 2 && frozen.snapshotID == 1)
        #expect(working.attributes == ["k": [1]] && frozen.attributes.isEmpty)
        #expect(talk.state.owner(of: second)?.owner == NodeID(2) && talk.state.owner(of: second)?.term == Term(rawValue: 1))
        #expect(talk.state.owner(of: first) == nil && talk.state.locks[second]?.owners == [NodeID(2)])
        #expect(talk.state.snapshot(ofVolumeNamed: "a", tag: "monday")?.birth == first)
        #expect(talk.state.snapshot(ofVolumeNamed: "a", id: 1)?.birth == first)
        #expect(talk.state.ancestry(of: second) == [second, first] && talk.state.children(of: first) == [second])
        #expect(talk.acquire(first, 1).refusal == .readOnly)

        let term = Term(rawValue: 1)
        func refusal(_ tag: String) -> SheepError.Code? {
            talk.say(.snapshotVolume(.init(volume: talk.state.volume(named: "a")!.birth, tag: tag, term: term))).refusal
        }
        #expect(refusal("monday") == .snapshotExists)
        #expect(refusal("12") == .invalidArgument)
        #expect(refusal("-12") == .invalidArgument)
        #expect(refusal(String(repeating: "9", count: 30)) == .invalidArgument)
        #expect(refusal("") == nil)
        #expect(refusal("") == nil, "untagged snapshots may be many")
        #expect(talk.say(.snapshotVolume(.init(volume: first, tag: "x", term: nil))).refusal == .readOnly)
        #expect(talk.state.volumes.map(\.snapshotID) == [1, 2, 3, 4])
    }

    @Test("clone: only from a snapshot, into a free name, with as many copies: other members have none of the snapshot's objects")
    func clone() {
        var talk = Conversation.formatted()
        let first = talk.create("a")
        #expect(talk.say(.cloneVolume(.init(source: first, name: "b"))).refusal == .invalidArgument)
        let second = talk.snapshot(first)
        let copies = talk.state.volume(first)!.copies
        #expect(talk.say(.cloneVolume(.init(source: first, name: "b", copies: copies - 1))).refusal == .invalidArgument)
        let clone = talk.clone(first, "b", copies: copies)
        #expect(talk.state.volume(clone)?.copies == copies && talk.state.volume(clone)?.parent == first)
        #expect(talk.state.ancestry(of: clone) == [clone, first])
        #expect(talk.state.volumesInFamily(Family(rawValue: first.rawValue)) == [first, second, clone])
        #expect(talk.say(.cloneVolume(.init(source: first, name: "a"))).refusal == .volumeExists)
        #expect(talk.say(.cloneVolume(.init(source: Birth(rawValue: 999), name: "c"))).refusal == .noSuchSnapshot)
    }

    @Test("rename: the volume with its snapshots, open or locked; not into a name in use")
    func rename() {
        var talk = Conversation.formatted()
        let first = talk.create("a")
        let second = talk.snapshot(first, "s")
        talk.acquire(second, 2)
        talk.say(.lockVolume(second, owner: NodeID(2), shared: false))
        let other = talk.create("c")
        func rename(_ birth: Birth, _ name: String) -> ControlResult { talk.say(.renameVolume(.init(volume: birth, name: name))) }
        #expect(rename(second, "c").refusal == .volumeExists)
        #expect(rename(second, "a").refusal == .volumeExists)
        #expect(rename(second, "").refusal == .invalidArgument)
        #expect(rename(first, "b").refusal == .readOnly)
        #expect(rename(Birth(rawValue: 999), "b").refusal == .noSuchVolume)
        let before = talk.state.volume(second)!
        #expect(rename(second, "b") == .done)
        #expect(talk.state.volume(named: "a") == nil && talk.state.snapshots(ofVolumeNamed: "a").isEmpty)
        var renamed = before
        renamed.name = "b"
        #expect(talk.state.volume(named: "b") == renamed, "nothing but the name changes")
        #expect(talk.state.snapshot(ofVolumeNamed: "b", tag: "s")?.birth == first)
        #expect(talk.state.owner(of: second)?.owner == NodeID(2) && talk.state.locks[second]?.owners == [NodeID(2)])
        let term = Term(rawValue: 1)
        let third = talk.snapshot(second, "t", term: term)
        #expect(talk.say(.rollbackVolume(.init(volume: third, snapshot: first, term: term))).refusal == nil)
        // The old name is free, also for a volume with snapshots of the same tags.
        let newer = talk.create("a")
        #expect(talk.state.volume(newer)?.snapshotID == 1)
        // Snapshots that a deleted volume left keep its name.
        _ = talk.snapshot(other, "s")
        talk.say(.deleteVolume(.init(volume: talk.state.volume(named: "c")!.birth, term: nil)))
        #expect(rename(newer, "c").refusal == .volumeExists)
        #expect(rename(other, "d").refusal == .readOnly)
    }

    @Test("who had a volume open finds it again: after snapshots, rollbacks and renames, and never another of its name")
    func successor() {
        var talk = Conversation.formatted()
        let first = talk.create("a")
        let family = talk.state.volume(first)!.family
        func successor(_ birth: Birth) -> Birth? { talk.state.successor(of: birth, named: "a", in: family)?.birth }
        #expect(successor(first) == first)
        let second = talk.snapshot(first, "s")
        #expect(successor(first) == second)
        talk.say(.renameVolume(.init(volume: second, name: "b")))
        let stranger = talk.create("a")
        #expect(successor(first) == second && successor(second) == second)
        guard case .volume(let third) = talk.say(.rollbackVolume(.init(volume: second, snapshot: first, term: nil))) else {
            Issue.record("not rolled back")
            return
        }
        #expect(successor(second) == third && successor(first) == third)
        talk.say(.forgetVolume(second))
        #expect(successor(second) == nil, "forgotten, and the name is another's")
        talk.say(.deleteVolume(.init(volume: third, term: nil)))
        #expect(successor(third) == nil && successor(first) == nil)
        #expect(talk.state.volume(named: "a")?.birth == stranger)
    }

    @Test("a deleted snapshot goes on as the next birth of its volume that lives, under whatever name; never as a clone")
    func heirOfSnapshot() {
        var talk = Conversation.formatted()
        let first = talk.create("a")
        let family = talk.state.volume(first)!.family
        let second = talk.snapshot(first, "s")
        let clone = talk.clone(first, "clone")
        let third = talk.snapshot(second, "t")
        func delete(_ birth: Birth) { talk.say(.deleteVolume(.init(volume: birth, term: nil))) }
        func heir(_ birth: Birth) -> Birth? { talk.state.livingHeir(of: birth)?.record.birth }
        delete(first)
        #expect(heir(first) == second && talk.state.livingHeir(of: first)?.wasRolledBack == false)
        talk.say(.renameVolume(.init(volume: third, name: "b")))
        delete(second)
        #expect(heir(first) == third && heir(second) == third && heir(clone) == clone)
        #expect(talk.state.successor(of: first, named: "a", in: family)?.birth == third, "it was renamed")
        let fourth = talk.snapshot(third, "u")
        delete(third)
        #expect(heir(first) == fourth)
        delete(fourth)
        #expect(heir(first) == nil && heir(third) == nil && heir(fourth) == nil)
        #expect(talk.state.successor(of: first, named: "a", in: family) == nil)
    }

    @Test("a snapshot that is deleted after a rollback: what goes on is not what it showed")
    func heirAfterRollback() {
        var talk = Conversation.formatted()
        let first = talk.create("a")
        let second = talk.snapshot(first, "s")
        let third = talk.snapshot(second, "t")
        talk.say(.rollbackVolume(.init(volume: third, snapshot: first, term: nil)))
        let fourth = talk.state.volume(named: "a")!.birth
        #expect(talk.state.livingHeir(of: third)?.record.birth == fourth && talk.state.livingHeir(of: third)?.wasRolledBack == true)
        talk.say(.deleteVolume(.init(volume: second, term: nil)))
        #expect(talk.state.livingHeir(of: second)?.record.birth == fourth && talk.state.livingHeir(of: second)?.wasRolledBack == true)
        talk.say(.forgetVolume(third))
        #expect(talk.state.livingHeir(of: second) == nil, "the record in between is gone")
    }

    @Test("rollback: a new child of the snapshot goes on, the old working birth is deleted")
    func rollback() {
        var talk = Conversation.formatted()
        let first = talk.create("a", size: 10)
        let second = talk.snapshot(first, "s")
        talk.say(.resizeVolume(.init(volume: second, size: 20, term: nil)))
        let other = talk.clone(first, "b")
        talk.acquire(second, 1)
        #expect(talk.say(.rollbackVolume(.init(volume: other, snapshot: first, term: nil))).refusal == .invalidArgument)
        #expect(talk.say(.rollbackVolume(.init(volume: second, snapshot: first, term: nil))).refusal == .busy)
        #expect(talk.say(.rollbackVolume(.init(volume: second, snapshot: first, term: Term(rawValue: 1)))) == .volume(Birth(rawValue: talk.now.rawValue)))
        let working = talk.state.volume(named: "a")!
        #expect(working.parent == first && working.snapshotID == 2)
        #expect(working.size == 20, "who has it open goes on writing up to the size he knows")
        #expect(talk.state.volume(second)?.isDeleted == true && talk.state.volume(second)?.name == "")
        #expect(talk.state.owner(of: working.birth)?.term == Term(rawValue: 1))
    }

    @Test("delete: snapshots outlive their volume, ids of the name go on, a deleted birth stays for its children")
    func delete() {
        var talk = Conversation.formatted()
        let first = talk.create("a")
        let second = talk.snapshot(first, "s")
        #expect(talk.say(.deleteVolume(.init(volume: second, term: nil))) == .done)
        #expect(talk.state.volume(named: "a") == nil && talk.state.snapshots(ofVolumeNamed: "a").map(\.birth) == [first])
        #expect(talk.say(.deleteVolume(.init(volume: second, term: nil))).refusal == .noSuchVolume)
        let again = talk.create("a")
        #expect(talk.state.volume(again)?.snapshotID == 2 && talk.state.volume(again)?.parent == nil)

        let clone = talk.clone(first, "b")
        talk.say(.deleteVolume(.init(volume: first, term: nil)))
        #expect(talk.say(.forgetVolume(again)).refusal == .busy, "it lives")
        talk.say(.forgetVolume(first))
        #expect(talk.state.volume(first)?.isDeleted == true && talk.state.needsRecord(first), "its children need it")
        let vid = talk.state.volume(first)!.vid
        talk.say(.forgetVolume(second))
        #expect(talk.state.volume(second) == nil && talk.state.volume(first) != nil)
        talk.say(.deleteVolume(.init(volume: clone, term: nil)))
        talk.say(.forgetVolume(clone))
        #expect(talk.state.volume(clone) == nil && talk.state.volume(first) == nil, "it went with its last child")
        #expect(talk.state.volume(vid) == nil && talk.state.deletedVolumes.isEmpty)
        #expect(talk.say(.forgetVolume(clone)) == .done)
    }

    @Test("resize grows, never shrinks, and needs the owner's term while the volume is open")
    func resize() {
        var talk = Conversation.formatted()
        let volume = talk.create("a", size: 100)
        #expect(talk.say(.resizeVolume(.init(volume: volume, size: 99, term: nil))).refusal == .invalidArgument)
        #expect(talk.say(.resizeVolume(.init(volume: volume, size: 1 << 55, term: nil))).refusal == .invalidArgument)
        #expect(talk.say(.resizeVolume(.init(volume: volume, size: 200, term: Term(rawValue: 1)))).refusal == .stale)
        talk.acquire(volume, 1)
        #expect(talk.say(.resizeVolume(.init(volume: volume, size: 200, term: nil))).refusal == .busy)
        #expect(talk.say(.resizeVolume(.init(volume: volume, size: 200, term: Term(rawValue: 1)))) == .done)
        #expect(talk.state.volume(volume)?.size == 200 && talk.state.volume(volume)?.lastEntry == talk.now)
        #expect(talk.say(.deleteVolume(.init(volume: volume, term: nil))).refusal == .busy)
        #expect(talk.say(.deleteVolume(.init(volume: volume, term: Term(rawValue: 1)))) == .done)
        #expect(talk.state.leases.isEmpty)
    }

    @Test("VIDs: names with the same hash probe onwards and wrap past the end to 1")
    func vids() {
        var talk = Conversation.formatted()
        let first = talk.create("test")
        var present = first
        for step: UInt32 in 1...3 {
            present = talk.snapshot(present)
            #expect(talk.state.volume(present)?.vid == VID(rawValue: 0x7c2b25 + step))
        }
        // FNV-1a of this name has 0xffffff as its lower 24 bits.
        let name = "n12175628"
        let last = talk.create(name)
        #expect(talk.state.volume(last)?.vid == VID(rawValue: 0xFF_FFFF))
        let next = talk.snapshot(last)
        #expect(talk.state.volume(next)?.vid == VID(rawValue: 1))
    }

    @Test("attributes: set, exclusive, delete")
    func attributes() {
        var talk = Conversation.formatted()
        let volume = talk.create("a")
        func set(_ value: [UInt8]?, exclusive: Bool = false, key: String = "k") -> ControlResult {
            talk.say(.setAttribute(.init(volume: volume, key: key, value: value, exclusive: exclusive)))
        }
        #expect(set(nil).refusal == .noSuchAttribute)
        #expect(set([1], exclusive: true) == .done)
        #expect(set([2], exclusive: true).refusal == .attributeExists)
        #expect(set([2]) == .done)
        #expect(talk.state.volume(volume)?.attributes == ["k": [2]])
        #expect(set(nil) == .done)
        #expect(set([], key: "").refusal == .invalidArgument)
        #expect(set(Array(repeating: 0, count: 65_537)).refusal == .invalidArgument)
        #expect(talk.state.volume(volume)?.attributes.isEmpty == true)
    }
}
