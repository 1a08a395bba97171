import ObjectModel
import ObjectStore
import Testing

/// Broken disks, simulated.
@Suite struct DamageTests {
    private func settled() throws -> StoreDriver<SimulatedWorld> {
        let driver = try StoreDriver(SimulatedWorld(seed: 3))
        #expect(driver.write(name(0), 0, filled(1, blocks: 2)) == nil)
        #expect(driver.close() == nil)
        try driver.open()
        return driver
    }

    @Test("rot: a flipped bit is damage of its block only, and a whole write heals it")
    func flippedBit() throws {
        let driver = try settled()
        try driver.world.disk.flipBit(in: ObjectPath.path(name(0)), at: 5000)
        #expect(try driver.block(name(0), 0) == filled(1))
        let error = #expect(throws: SheepError.self) { try driver.block(name(0), 1) }
        #expect(error?.code == .damaged)
        #expect(try driver.await { driver.store.verify(name(0), completion: $0) } == [1])
        #expect(driver.write(name(0), 1, filled(4)) == nil)
        #expect(try driver.block(name(0), 1) == filled(4))
        #expect(driver.store.statistics.checksumFailures == 2)
    }

    @Test("digests of a part: equal for equal bytes, 0 for what was never written or cannot be vouched for, and no others")
    func digests() throws {
        let driver = try settled()
        let together = digestSize / blockSize
        #expect(driver.write(name(0), together, filled(1, blocks: 2)) == nil)
        #expect(driver.write(name(1), 2 * together, filled(1, blocks: 2)) == nil)
        func digests(_ name: ObjectName, _ bytes: Range<Int>) throws -> [UInt64] {
            try driver.await { driver.store.digests(of: name, in: bytes, completion: $0) }
        }
        let all = try digests(name(0), 0..<testShift.objectSize)
        #expect(all.count == testShift.objectSize / digestSize && all[0] != 0 && all[0] == all[1] && all[2...].allSatisfy { $0 == 0 })
        #expect(try digests(name(0), digestSize..<3 * digestSize) == [all[0], 0])
        #expect(try digests(name(1), 2 * digestSize..<3 * digestSize) == [all[0]])
        try driver.world.disk.flipBit(in: ObjectPath.path(name(0)), at: 5000)
        #expect(try digests(name(0), 0..<2 * digestSize) == [0, all[1]])
        for bytes in [0..<blockSize, blockSize..<digestSize, 0..<testShift.objectSize + digestSize] {
            let error = #expect(throws: SheepError.self) { try digests(name(0), bytes) }
            #expect(error?.code == .invalidArgument)
        }
    }

    @Test("rot: a damaged table makes the object damaged until it is reset and written anew")
    func damagedTable() throws {
        let driver = try settled()
        try driver.world.disk.flipBit(in: ObjectPath.path(name(0)), at: UInt64(testShift.objectSize + blockSize + 1))
        #expect(throws: SheepError.self) { try driver.block(name(0), 0) }
        #expect(driver.write(name(0), 0, filled(2))?.code == .damaged)
        let version = LogIndex(rawValue: 9)
        #expect(driver.await { driver.store.reset(name(0), objectShift: testShift, version: version, completion: $0) } == nil)
        #expect(driver.write(name(0), 0, filled(2), version: 9) == nil)
        #expect(try driver.read(name(0), at: 0, 2 * blockSize) == filled(2) + filled(0))
        #expect(driver.store.removals(since: LogIndex(rawValue: 0)).isEmpty)
        #expect(driver.close() == nil)
    }

    @Test("a name without its file is damage, never a hole or the ancestor's data")
    func lostFile() throws {
        let driver = try settled()
        try driver.world.disk.lose(ObjectPath.path(name(0)))
        let error = #expect(throws: SheepError.self) { try driver.block(name(0), 0) }
        #expect(error?.code == .damaged)
        #expect(driver.store.statistics.missingFiles == 1)
        #expect(driver.store.resolve(family: Family(rawValue: 1), index: 0, ancestry: births(1)) == .object(name(0)))
    }

    @Test("a file that lost its path while it is open is found by a check, and can be made anew")
    func unlinkedFile() throws {
        let driver = try settled()
        _ = try driver.block(name(0), 0)
        try driver.world.disk.lose(ObjectPath.path(name(0)))
        #expect(try driver.block(name(0), 0) == filled(1))
        let error = #expect(throws: SheepError.self) { try driver.await { driver.store.verify(name(0), completion: $0) } }
        #expect(error?.code == .damaged)
        #expect(driver.store.isUnlinked(name(0)))
        let version = LogIndex(rawValue: 9)
        #expect(driver.await { driver.store.reset(name(0), objectShift: testShift, version: version, completion: $0) } == nil)
        #expect(!driver.store.isUnlinked(name(0)))
        #expect(driver.write(name(0), 0, filled(3), version: 9) == nil)
        #expect(driver.close() == nil)
        try driver.open()
        #expect(try driver.block(name(0), 0) == filled(3))
    }

    @Test("rot in the catalogue is refused, not cut off")
    func damagedCatalogue() throws {
        let driver = try settled()
        #expect(driver.write(name(1), 0, filled(1), durable: true) == nil)
        #expect(driver.write(name(2), 0, filled(1), durable: true) == nil)
        try driver.world.disk.flipBit(in: "catalogue", at: 50)
        driver.world.kill()
        let error = #expect(throws: SheepError.self) { try driver.open() }
        #expect(error?.code == .damaged)
    }

    @Test("a damaged block is mended only with the bytes that its checksum says")
    func mend() throws {
        let driver = try settled()
        try driver.world.disk.flipBit(in: ObjectPath.path(name(0)), at: 5000)
        func mend(_ bytes: [UInt8]) throws -> Int {
            try bytes.withUnsafeBytes { raw in
                try driver.await { driver.store.mend(name(0), at: 0, from: raw, completion: $0) }
            }
        }
        #expect(try mend(filled(7, blocks: 2)) == 0)
        #expect(throws: SheepError.self) { try driver.block(name(0), 1) }
        #expect(try mend(filled(1, blocks: 2)) == 2)
        #expect(try driver.block(name(0), 1) == filled(1))
        #expect(driver.write(name(0), 1, filled(4)) == nil)
        #expect(try mend(filled(1, blocks: 2)) == 1, "the second block is newer here")
        #expect(try driver.block(name(0), 1) == filled(4))
        #expect(driver.close() == nil)
    }

    @Test("what cannot be read is damage, told once by name, and not the end of the disk")
    func unreadable() throws {
        let driver = try settled()
        var told: [ObjectName] = []
        driver.store.onDamage = { told.append($0) }
        driver.world.disk.faults.readFails = 1
        let error = #expect(throws: SheepError.self) { try driver.block(name(0), 0) }
        #expect(error?.code == .damaged && told == [name(0)] && !driver.store.hasFailed)
        driver.world.disk.faults = .none
        #expect(try driver.await { driver.store.verify(name(0), completion: $0) } == [])
        #expect(driver.write(name(0), 0, filled(2)) == nil)
    }

    @Test("a lost write is found by reading through, also when its block was not written back to the table's place")
    func lostWrite() throws {
        let driver = try settled()
        driver.world.disk.faults.writeLost = 1
        driver.world.disk.faults.prefix = "objects/"
        #expect(driver.write(name(0), 1, filled(3)) == nil)
        driver.world.disk.faults = .none
        #expect(try driver.await { driver.store.verify(name(0), completion: $0) } == [1])
        let bytes = filled(3)
        let mended = try bytes.withUnsafeBytes { raw in
            try driver.await { driver.store.mend(name(0), at: blockSize, from: raw, completion: $0) }
        }
        #expect(mended == 1)
        #expect(try driver.await { driver.store.verify(name(0), completion: $0) } == [])
    }

    @Test("a full disk takes back what it wrote of a refused write, over blocks old and new")
    func fullTakesBack() throws {
        let driver = try settled()
        let space = try driver.store.space()
        driver.world.disk.capacity = Int((space.total - space.free) / UInt64(blockSize)) + 1
        #expect(driver.write(name(0), 0, filled(9, blocks: 8))?.code == .noSpace)
        #expect(try driver.read(name(0), at: 0, 8 * blockSize) == filled(1, blocks: 2) + filled(0, blocks: 6))
        #expect(driver.write(name(0), 4, filled(9)) == nil, "the block that was taken back is free")
        driver.world.disk.capacity += 1000
        #expect(driver.close() == nil)
        try driver.open()
        #expect(try driver.read(name(0), at: 0, 5 * blockSize) == filled(1, blocks: 2) + filled(0, blocks: 2) + filled(9))
    }

    @Test("damaged metadata are refused; with the order to rebuild the store is empty and another disk", arguments: 0..<24 as Range<UInt64>)
    func rebuild(seed: UInt64) throws {
        let driver = try StoreDriver(SimulatedWorld(seed: 3))
        #expect(driver.write(name(0), 0, filled(1), durable: true) == nil)
        let former = driver.report.identity
        driver.world.kill()
        driver.world.disk.garble(seed)
        #expect(throws: SheepError.self) { try driver.open() }
        driver.configuration.rebuild = true
        try driver.open()
        #expect(driver.report.isNew && driver.report.wasRebuilt && driver.report.identity.disk != former.disk)
        #expect(driver.store.object(name(0)) == nil)
        #expect(driver.write(name(0), 0, filled(2)) == nil)
        #expect(driver.close() == nil)
        let present = driver.report.identity
        try driver.open()
        #expect(!driver.report.isNew && driver.report.identity.disk == present.disk, "a sound store stays as it is")
        #expect(try driver.block(name(0), 0) == filled(2))
    }

    @Test("the scrub's place survives a restart; a damaged one is none")
    func scrubRecord() throws {
        let driver = try settled()
        #expect(driver.store.scrubRecord() == nil)
        var record = ScrubRecord()
        (record.family, record.index, record.verified, record.lastEndedAt) = (Family(rawValue: 7), 8, 9, 10)
        driver.store.write(record)
        #expect(driver.close() == nil)
        try driver.open()
        #expect(driver.store.scrubRecord() == record)
        try driver.world.disk.flipBit(in: "scrub", at: 20)
        #expect(driver.store.scrubRecord() == nil)
    }

    @Test("a create that power cut short is reported; withdrawn, the name is absent again")
    func interruptedCreate() throws {
        var seen = 0
        for seed in 0..<40 as Range<UInt64> {
            let driver = try StoreDriver(SimulatedWorld(seed: seed))
            #expect(driver.write(name(0), 0, filled(1), durable: true) == nil)
            #expect(driver.write(name(1), 0, filled(2)) == nil)
            driver.world.disk.powerCut()
            try driver.open()
            #expect(try driver.block(name(0), 0) == filled(1))
            guard driver.report.interruptedCreates == [name(1)] else { continue }
            seen += 1
            let error = #expect(throws: SheepError.self) { try driver.block(name(1), 0) }
            #expect(error?.code == .damaged)
            #expect(driver.await { driver.store.withdraw(name(1), version: LogIndex(rawValue: 2), completion: $0) } == nil)
            #expect(driver.store.object(name(1)) == nil)
            #expect(driver.write(name(1), 0, filled(3)) == nil)
            #expect(try driver.block(name(1), 0) == filled(3))
            #expect(driver.close() == nil)
        }
        #expect(seen > 0)
    }

    @Test("a full disk refuses the write, keeps the rest, and takes writes again when there is space")
    func full() throws {
        let driver = try settled()
        let space = try driver.store.space()
        driver.world.disk.capacity = Int((space.total - space.free) / UInt64(blockSize)) + 2
        var refused: UInt32?
        for index in 1..<20 as Range<UInt32> where driver.write(name(index), 0, filled(1, blocks: 2)) != nil {
            refused = index
            break
        }
        let name2 = name(try #require(refused))
        #expect(driver.store.object(name2) == nil)
        #expect(!driver.store.hasFailed && driver.store.statistics.full > 0)
        #expect(try driver.block(name(0), 1) == filled(1))
        #expect(driver.write(name(0), 0, filled(7)) == nil)
        #expect(driver.write(name(0), 5, filled(7, blocks: 8))?.code == .noSpace)
        #expect(try driver.block(name(0), 0) == filled(7))
        _ = try driver.read(name(0), at: 5 * blockSize, 8 * blockSize)
        #expect(driver.zero(name(0), 0..<2) == nil)
        driver.world.disk.capacity += 10_000
        #expect(driver.write(name2, 0, filled(8)) == nil)
        #expect(try driver.block(name2, 0) == filled(8))
        #expect(driver.close() == nil)
    }

    @Test("the first failure of the disk refuses all later changes, once, and reads go on", arguments: ["write", "sync"])
    func failure(what: String) throws {
        let driver = try settled()
        var failures = 0
        driver.store.onFailure = { _ in failures += 1 }
        #expect(driver.write(name(0), 1, filled(3)) == nil)
        if what == "write" { driver.world.disk.faults.writeFails = 1 } else { driver.world.disk.faults.syncFails = 1 }
        #expect(driver.write(name(0), 0, filled(2), durable: true)?.code == .inputOutput)
        driver.world.disk.faults = .none
        #expect(driver.write(name(0), 0, filled(2))?.code == .inputOutput)
        #expect(driver.write(name(7), 0, filled(2))?.code == .inputOutput)
        #expect(driver.flush()?.code == .inputOutput)
        #expect(failures == 1 && driver.store.hasFailed)
        #expect(try driver.block(name(0), 1) == filled(3))
        #expect(driver.close()?.code == .inputOutput)
        #expect(driver.world.disk.openFiles.isEmpty)
    }
}
