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
