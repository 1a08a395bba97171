import ObjectModel
import ObjectStore
import Testing

/// Scenarios on both disks. Those that lose power or damage files are in `DamageTests`, on the simulated disk.
@Suite struct ObjectStoreTests {
    private func on(
        _ kind: DiskKind, simulated: (StoreDriver<SimulatedWorld>) throws -> Void,
        files: (StoreDriver<FileWorld>) throws -> Void
    ) throws {
        switch kind {
        case .simulated: try simulated(try StoreDriver(SimulatedWorld(seed: 7)))
        case .files:
            let world = try FileWorld()
            defer { world.cleanUp() }
            try files(try StoreDriver(world))
        }
    }

    @Test("what is written reads back, at any offset and length; the rest is zeros", arguments: DiskKind.allCases)
    func roundTrip(kind: DiskKind) throws { try on(kind, simulated: roundTrip, files: roundTrip) }

    private func roundTrip<W>(_ driver: StoreDriver<W>) throws {
        #expect(driver.report.isNew)
        #expect(driver.write(name(5), 3, filled(1) + filled(2)) == nil)
        #expect(try driver.block(name(5), 3) == filled(1))
        #expect(try driver.block(name(5), 2) == filled(0))
        let across = try driver.read(name(5), at: 4 * blockSize - 3, 6)
        #expect(across == [1, 1, 1, 2, 2, 2])
        #expect(throws: SheepError.self) { try driver.read(name(5), at: testShift.objectSize - 1, 2) }
        #expect(throws: SheepError.self) { try driver.block(name(6), 0) }
        #expect(driver.close() == nil)
    }

    @Test("chunks with borders within blocks make the same object", arguments: DiskKind.allCases)
    func chunks(kind: DiskKind) throws { try on(kind, simulated: chunks, files: chunks) }

    private func chunks<W>(_ driver: StoreDriver<W>) throws {
        let bytes = (0..<3 * blockSize).map { UInt8(truncatingIfNeeded: $0 &* 7) }
        for _ in 0..<2 {
            let error = bytes.withUnsafeBytes { raw in
                let chunks = [raw[..<100], raw[100..<4096], raw[4096..<9000], raw[9000...]].map {
                    UnsafeRawBufferPointer(rebasing: $0)
                }
                return driver.await {
                    driver.store.write(
                        name(0), objectShift: testShift, version: LogIndex(rawValue: 1), at: blockSize, chunks: chunks,
                        completion: $0)
                }
            }
            #expect(error == nil)
            #expect(try driver.read(name(0), at: blockSize, bytes.count) == bytes)
        }
        #expect(driver.close() == nil)
    }

    @Test("a first write to a child copies the ancestor's object; the ancestor stays", arguments: DiskKind.allCases)
    func copyOnWrite(kind: DiskKind) throws { try on(kind, simulated: copyOnWrite, files: copyOnWrite) }

    private func copyOnWrite<W>(_ driver: StoreDriver<W>) throws {
        #expect(driver.write(name(0), 0, filled(1, blocks: 3)) == nil)
        #expect(driver.write(name(0, birth: 2), 1, filled(2), ancestry: births(2, 1)) == nil)
        #expect(try driver.read(name(0, birth: 2), at: 0, 3 * blockSize) == filled(1) + filled(2) + filled(1))
        #expect(try driver.read(name(0), at: 0, 3 * blockSize) == filled(1, blocks: 3))
        let family = Family(rawValue: 1)
        #expect(driver.store.resolve(family: family, index: 0, ancestry: births(3, 2, 1)) == .object(name(0, birth: 2)))
        #expect(driver.store.resolve(family: family, index: 1, ancestry: births(3, 2, 1)) == .absent)
        #expect(driver.store.statistics.copies == 1)
        #expect(driver.close() == nil)
    }

    @Test("trim: a part is punched, a whole object removed, or a hole where an ancestor's would show", arguments: DiskKind.allCases)
    func trim(kind: DiskKind) throws { try on(kind, simulated: trim, files: trim) }

    private func trim<W>(_ driver: StoreDriver<W>) throws {
        let family = Family(rawValue: 1)
        let child = name(0, birth: 2)
        #expect(driver.write(name(0), 0, filled(1, blocks: 4)) == nil)
        #expect(driver.zero(name(0), 1..<3) == nil)
        #expect(try driver.read(name(0), at: 0, 4 * blockSize) == filled(1) + filled(0, blocks: 2) + filled(1))
        let written = try driver.await { driver.store.allocation(of: name(0), in: 0..<testShift.objectSize, completion: $0) }
        #expect(written == [0..<blockSize, 3 * blockSize..<4 * blockSize])
        #expect(driver.zero(child, 0..<1, ancestry: births(2, 1)) == nil)
        #expect(try driver.read(child, at: 0, 4 * blockSize) == filled(0, blocks: 3) + filled(1))
        #expect(driver.zero(child, 0..<256, ancestry: births(2, 1), version: 4) == nil)
        #expect(driver.store.resolve(family: family, index: 0, ancestry: births(2, 1)) == .hole(child))
        #expect(try driver.block(child, 3) == filled(0))
        #expect(driver.zero(name(0), 0..<256, version: 5) == nil)
        #expect(driver.store.resolve(family: family, index: 0, ancestry: births(1)) == .absent)
        #expect(driver.store.removals(since: LogIndex(rawValue: 5)).map(\.name) == [name(0)])
        #expect(driver.write(name(0), 2, filled(9), version: 6) == nil)
        #expect(try driver.read(name(0), at: 0, 3 * blockSize) == filled(0, blocks: 2) + filled(9))
        #expect(driver.store.removals(since: LogIndex(rawValue: 0)).isEmpty)
        #expect(driver.close() == nil)
    }

    @Test("zeros that stay allocated count as written", arguments: DiskKind.allCases)
    func allocatedZeros(kind: DiskKind) throws { try on(kind, simulated: allocatedZeros, files: allocatedZeros) }

    private func allocatedZeros<W>(_ driver: StoreDriver<W>) throws {
        #expect(driver.zero(name(0), 0..<2, deallocate: false) == nil)
        let table = try driver.await { driver.store.table(of: name(0), completion: $0) }
        #expect(table[0] == table[1] && table[0] != 0 && table[2] == 0)
        #expect(driver.await {
            driver.store.preallocate(name(1), objectShift: testShift, version: LogIndex(rawValue: 1), completion: $0)
        } == nil)
        #expect(try driver.block(name(1), 17) == filled(0))
        #expect(driver.close() == nil)
    }

    @Test("a clean stop keeps everything and lists nothing", arguments: DiskKind.allCases)
    func cleanStop(kind: DiskKind) throws { try on(kind, simulated: cleanStop, files: cleanStop) }

    private func cleanStop<W>(_ driver: StoreDriver<W>) throws {
        #expect(driver.write(name(0), 0, filled(1), version: 3) == nil)
        #expect(driver.write(name(300), 0, filled(2), version: 4) == nil)
        #expect(driver.close() == nil)
        try driver.open()
        #expect(driver.report.wasClean && driver.report.listedRegions.isEmpty && !driver.report.isNew)
        #expect(try driver.block(name(0), 0) == filled(1))
        #expect(driver.store.statistics.recomputedTables == 0)
        #expect(driver.store.objects(changedSince: LogIndex(rawValue: 4)).map(\.name) == [name(300)])
        #expect(driver.store.objects(inFamily: Family(rawValue: 1), indices: 0..<300).map(\.name) == [name(0)])
        #expect(driver.store.families == [Family(rawValue: 1)])
        #expect(driver.close() == nil)
    }

    @Test("a kill loses nothing; tables are recomputed, then the regions retired", arguments: DiskKind.allCases)
    func kill(kind: DiskKind) throws { try on(kind, simulated: kill, files: kill) }

    private func kill<W>(_ driver: StoreDriver<W>) throws {
        #expect(driver.write(name(0), 0, filled(1)) == nil)
        #expect(driver.write(name(0), 9, filled(2)) == nil)
        #expect(driver.zero(name(0), 0..<1) == nil)
        #expect(driver.write(name(400), 1, filled(3)) == nil)
        try driver.killAndOpen()
        #expect(!driver.report.wasClean && driver.report.interruptedCreates.isEmpty)
        #expect(driver.report.listedRegions.map(\.number) == [0, 1])
        #expect(try driver.read(name(0), at: 0, blockSize) == filled(0))
        #expect(try driver.block(name(0), 9) == filled(2))
        driver.tick { driver.store.statistics.listedRegions == 0 }
        #expect(driver.store.statistics.recomputedTables == 2)
        try driver.killAndOpen()
        #expect(driver.report.listedRegions.isEmpty)
        #expect(try driver.block(name(400), 1) == filled(3))
        #expect(driver.store.statistics.recomputedTables == 0)
        #expect(driver.close() == nil)
    }

    @Test("before the store is used after a kill, tables are recomputed as long as there is time for it", arguments: DiskKind.allCases)
    func verifiedFirst(kind: DiskKind) throws { try on(kind, simulated: verifiedFirst, files: verifiedFirst) }

    private func verifiedFirst<W>(_ driver: StoreDriver<W>) throws {
        let names = [name(0), name(1), name(400), name(401)]
        for (number, name) in names.enumerated() { #expect(driver.write(name, 3, filled(UInt8(number + 1))) == nil) }
        try driver.killAndOpen()
        for (left, wanted) in [(0, 0 as UInt64), (2, 2), (Int.max, 4)] {
            var left = left
            let goesOn = {
                left -= 1
                return left >= 0
            }
            #expect(driver.await { done in driver.store.verifySuspects(while: goesOn) { done(nil) } } == nil)
            #expect(driver.store.statistics.recomputedTables == wanted)
        }
        for (number, name) in names.enumerated() { #expect(try driver.block(name, 3) == filled(UInt8(number + 1))) }
        #expect(driver.store.statistics.recomputedTables == 4)
        driver.tick { driver.store.statistics.listedRegions == 0 }
        #expect(driver.close() == nil)
    }

    @Test("durable writes and flushes complete; a flush of nothing at once", arguments: DiskKind.allCases)
    func durability(kind: DiskKind) throws { try on(kind, simulated: durability, files: durability) }

    private func durability<W>(_ driver: StoreDriver<W>) throws {
        #expect(driver.write(name(0), 0, filled(1), durable: true) == nil)
        var isDone = false
        driver.store.flush(Set(births(1))) { #expect($0 == nil); isDone = true }
        #expect(isDone)
        #expect(driver.write(name(0), 1, filled(2)) == nil)
        #expect(driver.flush() == nil)
        for index in 0..<40 as Range<UInt32> { #expect(driver.write(name(index), 1, filled(2)) == nil) }
        let before = driver.store.statistics.syncs
        #expect(driver.flush() == nil)
        #expect(driver.store.statistics.syncs <= before + 2)
        #expect(driver.close() == nil)
    }

    @Test("an object file that leaves the cache comes back with its checksums", arguments: DiskKind.allCases)
    func eviction(kind: DiskKind) throws { try on(kind, simulated: eviction, files: eviction) }

    private func eviction<W>(_ driver: StoreDriver<W>) throws {
        #expect(driver.close() == nil)
        driver.configuration.openFiles = 4
        try driver.open()
        for index in 0..<30 as Range<UInt32> { #expect(driver.write(name(index), Int(index), filled(UInt8(index + 1))) == nil) }
        #expect(driver.store.statistics.openFiles <= 4)
        for index in 0..<30 as Range<UInt32> { #expect(try driver.block(name(index), Int(index)) == filled(UInt8(index + 1))) }
        #expect(driver.flush() == nil)
        #expect(driver.close() == nil)
    }

    @Test("another node's or cluster's store is refused, naming both; a wiped one is taken", arguments: DiskKind.allCases)
    func identity(kind: DiskKind) throws { try on(kind, simulated: identity, files: identity) }

    private func identity<W>(_ driver: StoreDriver<W>) throws {
        let own = ClusterID.random()
        let other = ClusterID.random()
        #expect(driver.await { driver.store.setCluster(own, completion: $0) } == nil)
        #expect(driver.await { driver.store.setCluster(other, completion: $0) }?.code == .versionMismatch)
        #expect(driver.write(name(0), 0, filled(1)) == nil)
        let identity = driver.store.identity
        #expect(driver.close() == nil)
        driver.configuration.cluster = other
        let refusal = #expect(throws: SheepError.self) { try driver.open() }
        #expect(refusal?.message.contains(own.description) == true && refusal?.message.contains(other.description) == true)
        driver.configuration.cluster = nil
        driver.configuration.node = NodeID.random()
        let foreign = #expect(throws: SheepError.self) { try driver.open() }
        #expect(foreign?.message.contains(identity.node.description) == true)
        driver.configuration.node = nil
        try driver.open()
        #expect(driver.await { driver.store.wipe(completion: $0) } == nil)
        driver.configuration.cluster = other
        try driver.open()
        #expect(driver.report.isNew && driver.store.identity.cluster == other && driver.store.identity.node == identity.node)
        #expect(driver.store.statistics.objects == 0)
        #expect(driver.write(name(0), 1, filled(2)) == nil)
        #expect(try driver.block(name(0), 0) == filled(0))
        #expect(driver.close() == nil)
    }

    @Test("a touch raises a version, survives a kill of a store that was clean, and changes nothing else", arguments: DiskKind.allCases)
    func touch(kind: DiskKind) throws { try on(kind, simulated: touch, files: touch) }

    private func touch<W>(_ driver: StoreDriver<W>) throws {
        #expect(driver.write(name(0), 0, filled(1)) == nil)
        #expect(driver.close() == nil)
        try driver.open()
        driver.store.touch(name(0), version: LogIndex(rawValue: 8))
        driver.store.touch(name(1), version: LogIndex(rawValue: 9))
        try driver.killAndOpen()
        #expect(driver.store.object(name(0))?.version == LogIndex(rawValue: 8))
        #expect(driver.store.removals(since: LogIndex(rawValue: 9)).map(\.name) == [name(1)])
        #expect(try driver.block(name(0), 0) == filled(1))
        #expect(driver.write(name(0), 0, filled(2), version: 3) == nil)
        #expect(driver.store.object(name(0))?.version == LogIndex(rawValue: 8))
        #expect(driver.close() == nil)
        try driver.open()
        #expect(driver.report.wasClean)
        #expect(driver.close() == nil)
    }

    @Test("what counts as changed late, and is then removed or punched under an older version, counts as changed late", arguments: DiskKind.allCases)
    func removedLate(kind: DiskKind) throws { try on(kind, simulated: removedLate, files: removedLate) }

    private func removedLate<W>(_ driver: StoreDriver<W>) throws {
        let late = LogIndex(rawValue: 8)
        let (removed, punched) = (name(0), name(1, birth: 2))
        for name in [removed, name(1)] { #expect(driver.write(name, 0, filled(1)) == nil) }
        #expect(driver.write(punched, 0, filled(1), ancestry: births(2, 1)) == nil)
        for name in [removed, punched] { driver.store.touch(name, version: late) }
        #expect(driver.zero(removed, 0..<256, version: 3) == nil)
        #expect(driver.zero(punched, 0..<256, ancestry: births(2, 1), version: 3) == nil)
        func check() {
            #expect(driver.store.removals(since: late).map(\.name) == [removed])
            #expect(driver.store.object(punched)?.isHole == true && driver.store.object(punched)?.version == late)
        }
        check()
        try driver.killAndOpen()
        check()
        #expect(driver.close() == nil)
    }

    @Test("a region stays listed while it may not be retired", arguments: DiskKind.allCases)
    func gate(kind: DiskKind) throws { try on(kind, simulated: gate, files: gate) }

    private func gate<W>(_ driver: StoreDriver<W>) throws {
        #expect(driver.write(name(0), 0, filled(1)) == nil)
        #expect(driver.write(name(0, birth: 2), 0, filled(1)) == nil)
        driver.store.mayRetire = { $0.birth.rawValue != 1 }
        driver.tick { driver.store.statistics.listedRegions == 1 }
        #expect(driver.store.listedRegions == [ListedRegion(name(0))])
        #expect(driver.close() == nil)
        try driver.open()
        #expect(driver.report.wasClean && driver.report.listedRegions == [ListedRegion(name(0))])
        #expect(driver.write(name(0), 0, filled(3)) == nil)
        try driver.killAndOpen()
        #expect(!driver.report.wasClean && driver.report.listedRegions == [ListedRegion(name(0))])
        #expect(try driver.block(name(0), 0) == filled(3))
        driver.tick { driver.store.statistics.listedRegions == 0 }
        #expect(driver.close() == nil)
    }
}
