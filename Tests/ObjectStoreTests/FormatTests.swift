import ObjectModel
import ObjectStore
import Testing

@Suite struct FormatTests {
    @Test("CRC32C is the standard's (RFC 3720, B.4)")
    func checksum() {
        #expect(CRC32C.of(Array("123456789".utf8)) == 0xE306_9283)
        #expect(CRC32C.of([UInt8](repeating: 0, count: 32)) == 0x8A91_36AA)
    }

    @Test("a table made of chunks is that of the whole")
    func tables() {
        let bytes = (0..<3 * blockSize).map { UInt8(truncatingIfNeeded: $0 &* $0 >> 3) }
        var random = SeededGenerator(seed: 1)
        for _ in 0..<50 {
            let whole = ChecksumTable(blocks: 256)
            let parts = ChecksumTable(blocks: 256)
            let cuts = ([0, bytes.count] + (0..<5).map { _ in random.below(bytes.count) }).sorted()
            bytes.withUnsafeBytes { raw in
                whole.record(first: 4, raw)
                parts.record(first: 4, zip(cuts, cuts.dropFirst()).map { .init(rebasing: raw[$0..<$1]) })
            }
            #expect(whole.values == parts.values)
            #expect(whole.writtenRanges(in: 5 * blockSize + 1..<256 * blockSize) == [5 * blockSize + 1..<7 * blockSize])
            whole.clear(5..<6)
            #expect(whole.writtenRanges(in: 0..<256 * blockSize).count == 2)
        }
    }

    @Test("a trailer survives the round trip; another object's, and any changed bit, is refused")
    func trailer() {
        let bytes = UnsafeMutableRawBufferPointer.allocate(byteCount: ObjectFile.trailerSize(testShift), alignment: 4096)
        defer { bytes.deallocate() }
        let table = ChecksumTable(blocks: 256)
        let copy = ChecksumTable(blocks: 256)
        filled(7).withUnsafeBytes { table.record(first: 3, $0) }
        ObjectFile.encodeTrailer(name(9), testShift, table, into: bytes)
        let raw = UnsafeRawBufferPointer(bytes)
        func isTaken(_ name: ObjectName) -> Bool { ObjectFile.decodeTrailer(raw, name, testShift, into: copy) }
        #expect(isTaken(name(9)))
        #expect(copy.values == table.values)
        #expect(!isTaken(name(8)))
        #expect(!isTaken(name(9, birth: 2)))
        for position in Array(0..<44) + [4096, 4096 + 1023] {
            bytes[position] ^= 1
            #expect(!isTaken(name(9)), "byte \(position)")
            bytes[position] ^= 1
        }
    }

    @Test("a record is valid in its slot and life only, and with every bit as it was")
    func records() {
        let bytes = UnsafeMutableRawBufferPointer.allocate(byteCount: LogRecord.size, alignment: 8)
        defer { bytes.deallocate() }
        let record = LogRecord(kind: .create, name: name(3), shift: 22, flags: 2, version: LogIndex(rawValue: 8))
        record.encode(slot: 5, life: 2, durable: 4, into: bytes)
        let raw = UnsafeRawBufferPointer(bytes)
        #expect(LogRecord.decode(raw, slot: 5, life: 2)?.record == record)
        #expect(LogRecord.decode(raw, slot: 5, life: 2)?.durable == 4)
        #expect(LogRecord.decode(raw, slot: 6, life: 2) == nil)
        #expect(LogRecord.decode(raw, slot: 5, life: 3) == nil)
        for position in 0..<LogRecord.size {
            bytes[position] ^= 0x10
            #expect(LogRecord.decode(raw, slot: 5, life: 2) == nil)
            bytes[position] ^= 0x10
        }
    }

    @Test("identity and state survive the round trip; every truncation and changed byte is refused or unclean")
    func identityAndState() throws {
        let identity = StoreIdentity(node: .random(), disk: .random(), cluster: .random())
        #expect(try StoreIdentity(decoding: identity.encoded()) == identity)
        let state = StoreState(isClean: true, catalogueRecords: 7, intentRecords: 9)
        #expect(StoreState.decode(state.encoded()) == state)
        #expect(StoreState.decode(StoreState.unclean.encoded()) == .unclean)
        for length in 0..<identity.encoded().count {
            #expect(throws: SheepError.self) { try StoreIdentity(decoding: Array(identity.encoded().prefix(length))) }
            var changed = identity.encoded()
            changed[length] ^= 4
            #expect(throws: SheepError.self) { try StoreIdentity(decoding: changed) }
        }
        for length in 0..<state.encoded().count {
            #expect(StoreState.decode(Array(state.encoded().prefix(length))) == .unclean)
            var changed = state.encoded()
            changed[length] ^= 4
            #expect(StoreState.decode(changed) == .unclean)
        }
    }

    @Test("a file's name says the object, and nothing else does")
    func paths() {
        let object = ObjectName(family: Family(rawValue: 0xAB), index: 0xC, birth: Birth(rawValue: 0xD), kind: .vmstate)
        #expect(ObjectPath.fileName(object) == "00000000000000ab.0000000c.000000000000000d.1")
        #expect(ObjectPath.parse(ObjectPath.fileName(object)) == object)
        for text in ["", "x", "ab.c.d.1", "00000000000000ab.0000000c.000000000000000d.9", "00000000000000AB.0000000c.000000000000000d.1"] {
            #expect(ObjectPath.parse(text) == nil)
        }
    }
}

@Suite struct ObjectIndexTests {
    @Test("the index agrees with a plain dictionary through random changes")
    func model() {
        var random = SeededGenerator(seed: 4)
        var index = ObjectIndex()
        var plain: [ObjectName: UInt64] = [:]
        for step in 0..<4000 as Range<UInt64> {
            let object = name(UInt32(random.below(900)), birth: UInt64(1 + random.below(4)), family: UInt64(1 + random.below(2)))
            if random.chance(0.4) {
                index.remove(object)
                plain[object] = nil
            } else {
                let flags: ObjectIndex.Flags = step % 3 == 0 ? .hole : []
                index.set(object, .init(object, shift: testShift, version: LogIndex(rawValue: step), flags: flags))
                plain[object] = step
            }
        }
        #expect(index.count == plain.count)
        #expect(index.holes == plain.values.count { $0 % 3 == 0 })
        for (object, version) in plain { #expect(index.find(object)?.version.rawValue == version) }
        var walked: [ObjectName] = []
        while true {
            let part = index.slice(after: walked.last, limit: 50)
            if part.isEmpty { break }
            walked += part.map(\.0)
        }
        #expect(walked == plain.keys.sorted())
        var ranged: [ObjectName] = []
        index.forEach(in: Family(rawValue: 1), 200..<700) { object, _ in ranged.append(object); return true }
        #expect(ranged == plain.keys.filter { $0.family.rawValue == 1 && (200..<700).contains($0.index) }.sorted())
        for object in plain.keys { index.remove(object) }
        #expect(index.count == 0 && index.holes == 0)
    }

    @Test("resolution takes the nearest of the ancestry, by its order, not by number")
    func resolution() {
        var index = ObjectIndex()
        for birth in [3, 5] as [UInt64] {
            index.set(name(1, birth: birth), .init(name(1, birth: birth), shift: testShift, version: .zero, flags: birth == 5 ? .hole : []))
        }
        let family = Family(rawValue: 1)
        #expect(index.resolve(family, 1, births(9, 5, 3), .data) == .hole(name(1, birth: 5)))
        #expect(index.resolve(family, 1, births(9, 3, 5), .data) == .object(name(1, birth: 3)))
        #expect(index.resolve(family, 1, births(4), .data) == .absent)
        #expect(index.resolve(family, 1, births(3), .vmstate) == .absent)
    }
}

@Suite struct RecordLogTests {
    private func record(_ number: UInt32) -> LogRecord { LogRecord(kind: .create, name: name(number)) }

    private func open(_ world: SimulatedWorld) throws -> (log: RecordLog<SimulatedDisk>, numbers: [UInt32], end: RecordLog<SimulatedDisk>.End) {
        var numbers: [UInt32] = []
        let (log, end) = try RecordLog.open(on: world.disk, name: "log") { if $0.kind == .create { numbers.append($0.name.index) } }
        return (log, numbers, end)
    }

    private func wait(_ world: SimulatedWorld, _ body: (@escaping (DiskError?) -> Void) -> Void) {
        var done = false
        body { #expect($0 == nil); done = true }
        world.run { done }
    }

    @Test("after power cuts, replays give a prefix with everything synced, through replacements", arguments: 0..<60)
    func powerCuts(seed: UInt64) throws {
        let world = SimulatedWorld(seed: seed)
        var random = SeededGenerator(seed: seed)
        var log = try RecordLog.create(on: world.disk, name: "log")
        wait(world) { log.sync(completion: $0) }
        wait(world) { world.disk.sync(files: [], directories: ["."], completion: $0) }
        var (appended, synced): ([UInt32], Int) = ([], 0)
        for round in 0..<12 as Range<UInt32> {
            for number in 0..<UInt32(random.below(200)) {
                try log.append(record(round * 1000 + number))
                appended.append(round * 1000 + number)
            }
            if random.chance(0.4), !log.isBeingReplaced {
                try log.beginReplacement()
                log.appendToReplacement(appended.map(record))
                let count = appended.count
                if random.chance(0.7) {
                    wait(world) { log.finishReplacement(completion: $0) }
                    synced = count
                } else {
                    log.finishReplacement { _ in }
                    for _ in 0..<random.below(3) { _ = world.step() }
                }
            } else if random.chance(0.6) {
                let count = appended.count
                wait(world) { log.sync(completion: $0) }
                synced = count
            }
            guard random.chance(0.5) else { continue }
            world.disk.powerCut()
            let opened = try open(world)
            #expect(opened.end != .damaged(slot: 0))
            #expect(opened.numbers.count >= synced && opened.numbers == Array(appended.prefix(opened.numbers.count)))
            (log, appended) = (opened.log, opened.numbers)
            try log.beginLife(after: log.slots)
            wait(world) { log.sync(completion: $0) }
            synced = appended.count
        }
    }

    @Test("rot of a durable record is told from a torn end")
    func rot() throws {
        let world = SimulatedWorld(seed: 1)
        let log = try RecordLog.create(on: world.disk, name: "log")
        for number in 0..<5 as Range<UInt32> { try log.append(record(number)) }
        wait(world) { log.sync(completion: $0) }
        try log.append(record(5))
        try world.disk.flipBit(in: "log", at: UInt64(6 * LogRecord.size + 3))
        #expect(try open(world).end == .torn)
        try world.disk.flipBit(in: "log", at: UInt64(6 * LogRecord.size + 3))
        #expect(try open(world).end == .whole)
        try world.disk.flipBit(in: "log", at: UInt64(2 * LogRecord.size + 3))
        #expect(try open(world).end == .damaged(slot: 2))
    }
}
