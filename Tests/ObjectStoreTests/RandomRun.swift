import Glibc
import ObjectModel
import ObjectStore

struct Violation: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}

/// One seeded run: writes, zeroes, copies on write, removals, flushes, kills and power cuts against a model.
final class RandomRun {
    static let blocks = [0, 1, 2, 100, 255]
    static let indices: [UInt32] = [0, 1, 300]

    private var random: SeededGenerator
    private let driver: StoreDriver<SimulatedWorld>
    private var volumes: [ModelVolume]
    private var lastBirth: UInt64 = 1
    private var tag: UInt64 = 0
    private var version: UInt64 = 1
    private var pending = 0
    /// Counts stores; completions of an earlier one do not come any more.
    private var life = 0
    private var violation: Violation?
    /// The disk is full now and then: refused changes may be there or not.
    private let fills: Bool
    private var refused = 0
    private(set) var log: [String] = []

    init(seed: UInt64) throws {
        fills = seed % 4 == 3
        random = SeededGenerator(seed: seed)
        driver = try StoreDriver(SimulatedWorld(seed: seed ^ 0xD15C)) {
            $0.openFiles = 3
            $0.retireAfter = 1_000
            $0.compactionSlack = 24
        }
        volumes = [ModelVolume(birth: Birth(rawValue: 1), ancestry: [])]
    }

    private var store: ObjectStore<SimulatedDisk> { driver.store }

    func run(steps: Int) throws {
        for _ in 0..<steps {
            try step()
            if let violation { throw violation }
        }
        try quiesce()
        try checkAll(after: "the run") { $0.values[$0.acknowledged...].contains($1) }
        try finish()
    }

    private func step() throws {
        switch random.below(100) {
        case 0..<45: write()
        case 45..<58: zero()
        case 58..<66: flush()
        case 66..<76: tick()
        case 76..<84: for _ in 0..<random.below(6) { _ = driver.world.step() }
        case 84..<87: try snapshot()
        case 87..<88: try deleteVolume()
        case 88..<91: preallocate()
        case 91..<94: try quiesceAndCheck()
        case 94..<96: try restart(powerCut: false)
        case 96..<98: try restart(powerCut: true)
        case 98..<99: try reopenCleanly()
        default:
            version += 1
            if fills { resize() }
        }
    }

    /// Leaves little space, or enough again.
    private func resize() {
        let disk = driver.world.disk
        guard let space = try? store.space() else { return }
        let used = Int(space.total - space.free) / blockSize
        disk.capacity = disk.capacity > 1 << 30 ? used + random.below(40) : Int.max / blockSize
        log.append("capacity \(disk.capacity - used)")
    }

    private func giveSpace() { driver.world.disk.capacity = Int.max / blockSize }

    // MARK: - Operations

    private func working() -> ModelVolume {
        let candidates = volumes.filter { !$0.isFrozen }
        return candidates[random.below(candidates.count)]
    }

    private func target(_ volume: ModelVolume) -> ObjectName {
        name(Self.indices[random.below(Self.indices.count)], birth: volume.birth.rawValue)
    }

    /// Notes values as issued; the closure notes them as acknowledged.
    private func issue(
        _ volume: ModelVolume, _ index: UInt32, _ values: [Int: BlockValue], durable: Bool, _ what: String
    ) -> (SheepError?) -> Void {
        log.append("\(what) \(index)@\(volume.birth) \(values.keys.sorted())\(durable ? " durable" : "")")
        var positions: [(BlockKey, Int)] = []
        for (block, value) in values {
            let key = BlockKey(index: index, block: block)
            positions.append((key, volume.history[key, default: BlockHistory()].issue(value)))
        }
        pending += 1
        let born = life
        return { [self] error in
            guard born == life else { return violation = Violation("a completion after the end") }
            pending -= 1
            if let error {
                if fills, error.code == .noSpace { refused += 1 } else { violation = Violation("\(what): \(error)") }
                return
            }
            for (key, position) in positions {
                volume.history[key]!.acknowledged = max(volume.history[key]!.acknowledged, position)
                if durable { volume.history[key]!.durable = max(volume.history[key]!.durable, position) }
            }
        }
    }

    private func write() {
        let volume = working()
        let target = target(volume)
        let durable = random.chance(0.2)
        if random.chance(0.03) { return writeAll(volume, target, durable) }
        let first = Self.blocks[random.below(Self.blocks.count)]
        let count = first == 0 ? 1 + random.below(3) : 1
        var values: [Int: BlockValue] = [:]
        var bytes: [UInt8] = []
        for block in first..<first + count {
            tag += 1
            values[block] = BlockValue(repeating: tag)
            bytes += Self.bytes(of: tag)
        }
        let done = issue(volume, target.index, values, durable: durable, "write")
        send(volume, target, first, bytes, durable, done)
    }

    private func writeAll(_ volume: ModelVolume, _ target: ObjectName, _ durable: Bool) {
        tag += 1
        let bytes = Self.bytes(of: tag, blocks: testShift.blocksPerObject)
        let values = Dictionary(uniqueKeysWithValues: Self.blocks.map { ($0, BlockValue(repeating: tag)) })
        send(volume, target, 0, bytes, durable, issue(volume, target.index, values, durable: durable, "write all"))
    }

    private func send(
        _ volume: ModelVolume, _ target: ObjectName, _ first: Int, _ bytes: [UInt8], _ durable: Bool,
        _ done: @escaping (SheepError?) -> Void
    ) {
        bytes.withUnsafeBytes { raw in
            if random.chance(0.3), raw.count > 8 {
                // Chunks with a border within a block.
                let cut = 1 + random.below(raw.count - 1)
                store.write(
                    target, objectShift: testShift, ancestry: volume.ancestry, version: LogIndex(rawValue: version),
                    at: first * blockSize, chunks: [.init(rebasing: raw[..<cut]), .init(rebasing: raw[cut...])],
                    copyOnWrite: true, durable: durable, completion: done)
            } else {
                store.write(
                    target, objectShift: testShift, ancestry: volume.ancestry, version: LogIndex(rawValue: version),
                    at: first * blockSize, from: raw, copyOnWrite: true, durable: durable, completion: done)
            }
        }
    }

    private func zero() {
        let volume = working()
        let target = target(volume)
        let durable = random.chance(0.2)
        let range = random.chance(0.4) ? 0..<256 : random.chance(0.5) ? 0..<2 : 99..<256
        let touched = Self.blocks.filter { range.contains($0) }
        let deallocate = random.chance(0.8)
        let done = issue(
            volume, target.index, Dictionary(uniqueKeysWithValues: touched.map { ($0, .zero) }), durable: durable,
            "zero \(deallocate)")
        store.zero(
            target, objectShift: testShift, ancestry: volume.ancestry, version: LogIndex(rawValue: version),
            at: range.lowerBound * blockSize, length: range.count * blockSize, deallocate: deallocate, durable: durable,
            completion: done)
    }

    private func preallocate() {
        let volume = working()
        let target = target(volume)
        store.preallocate(
            target, objectShift: testShift, ancestry: volume.ancestry, version: LogIndex(rawValue: version),
            completion: issue(volume, target.index, [:], durable: false, "preallocate"))
    }

    private func flush() {
        let chosen = random.chance(0.5) ? volumes : [working()]
        let promised = chosen.map { volume in (volume, volume.history.mapValues { ($0.acknowledged) }) }
        pending += 1
        log.append("flush \(chosen.map(\.birth))")
        let births = chosen.count == volumes.count ? nil : Set(chosen.map(\.birth))
        store.flush(births) { [self] error in
            pending -= 1
            if let error { return violation = Violation("flush: \(error)") }
            for (volume, floors) in promised {
                for (key, floor) in floors { volume.history[key]!.durable = max(volume.history[key]!.durable, floor) }
            }
        }
    }

    private func tick() {
        driver.now += UInt64(random.below(3_000))
        log.append("tick")
        store.tick(now: driver.now)
    }

    // MARK: - The tree

    private func quiesce() throws {
        driver.world.run { pending == 0 || violation != nil }
        if let violation { throw violation }
    }

    private func snapshot() throws {
        guard volumes.count < 6 else { return }
        try quiesce()
        let parent = volumes[random.below(volumes.count)]
        if let error = driver.flush() { throw error }
        for volume in volumes {
            for key in volume.history.keys { volume.history[key]!.durable = volume.history[key]!.acknowledged }
        }
        lastBirth += 1
        log.append("child \(lastBirth) of \(parent.birth)")
        let wasWorking = !parent.isFrozen
        parent.isFrozen = true
        volumes.append(parent.child(Birth(rawValue: lastBirth)))
        if wasWorking, random.chance(0.3) {
            lastBirth += 1
            volumes.append(parent.child(Birth(rawValue: lastBirth)))
        }
    }

    private func deleteVolume() throws {
        try quiesce()
        let leaves = volumes.indices.filter { !volumes[$0].isFrozen }
        guard leaves.count > 1 else { return }
        let volume = volumes.remove(at: leaves[random.below(leaves.count)])
        log.append("delete \(volume.birth)")
        for index in Self.indices {
            let done = issue(volume, index, [:], durable: false, "remove")
            store.remove(name(index, birth: volume.birth.rawValue), version: LogIndex(rawValue: version), completion: done)
        }
    }

    // MARK: - Ends

    private func restart(powerCut: Bool) throws {
        log.append(powerCut ? "power cut" : "kill")
        giveSpace()
        life += 1
        pending = 0
        if powerCut { driver.world.disk.powerCut() } else { driver.world.disk.killProcess() }
        try driver.open()
        if !powerCut, !driver.report.interruptedCreates.isEmpty { throw Violation("a kill interrupted a create for good") }
        for name in driver.report.interruptedCreates {
            if let error = driver.await({ store.withdraw(name, version: LogIndex(rawValue: version), completion: $0) }) { throw error }
        }
        try checkAll(after: powerCut ? "the power cut" : "the kill") {
            powerCut ? $0.allowsAfterPowerCut($1) : $0.allowsAfterKill($1)
        }
        for volume in volumes {
            for index in Self.indices {
                for block in Self.blocks {
                    let value = try visible(volume, index, block)
                    let key = BlockKey(index: index, block: block)
                    if powerCut {
                        volume.history[key, default: BlockHistory()].survivedPowerCut(value)
                    } else {
                        volume.history[key, default: BlockHistory()].survivedKill(value)
                    }
                }
            }
        }
    }

    private func reopenCleanly() throws {
        try quiesce()
        log.append("close and open")
        giveSpace()
        let hadSuspects = !driver.report.wasClean
        if hadSuspects { log.append("after an unclean start") }
        if let error = driver.close() { throw error }
        life += 1
        guard driver.world.disk.openFiles.isEmpty else { throw Violation("left open: \(driver.world.disk.openFiles)") }
        try driver.open()
        if !hadSuspects, !driver.report.wasClean { throw Violation("closed and not clean") }
        if driver.report.wasClean, !driver.report.listedRegions.isEmpty { throw Violation("clean with listed regions") }
        for volume in volumes {
            for key in volume.history.keys { volume.history[key]!.durable = volume.history[key]!.acknowledged }
        }
    }

    /// Everything is settled: no file without a name, no listed region, nothing damaged, clean.
    private func finish() throws {
        giveSpace()
        driver.tick { store.statistics.listedRegions == 0 }
        driver.tick { store.statistics.unfinishedRemovals == 0 }
        var files = 0
        for folder in 0..<256 {
            files += try driver.world.disk.list("objects/" + (folder < 16 ? "0" : "") + String(folder, radix: 16)).count
        }
        guard files == store.statistics.objects else {
            throw Violation("\(files) files for \(store.statistics.objects) objects")
        }
        for object in store.objects(after: nil, limit: .max) where !object.isHole {
            let bad = try driver.await { store.verify(object.name, completion: $0) }
            guard bad.isEmpty else { throw Violation("\(object.name): blocks \(bad) do not verify") }
        }
        guard store.statistics.checksumFailures == 0, store.statistics.missingFiles == 0 else {
            throw Violation("damage was counted")
        }
        if let error = driver.close() { throw error }
        try driver.open()
        guard driver.report.wasClean, driver.report.listedRegions.isEmpty else { throw Violation("not clean at the end") }
        try checkAll(after: "the end") { refused > 0 ? $0.values[$0.acknowledged...].contains($1) : $0.values[$0.acknowledged] == $1 }
    }

    // MARK: - Checks

    private func quiesceAndCheck() throws {
        try quiesce()
        try checkAll(after: "quiet") { $0.values[$0.acknowledged...].contains($1) }
    }

    private func checkAll(after what: String, _ allows: (BlockHistory, BlockValue) -> Bool) throws {
        for volume in volumes {
            for index in Self.indices {
                for block in Self.blocks {
                    let history = volume.history[BlockKey(index: index, block: block)] ?? BlockHistory()
                    let value = try visible(volume, index, block)
                    guard allows(history, value) else {
                        throw Violation(
                            "after \(what): block \(block) of \(index)@\(volume.birth) is \(value); \(history); there: \(store.births(family: Family(rawValue: 1), index: index))")
                    }
                }
            }
        }
        if store.statistics.checksumFailures > 0 { throw Violation("a checksum failure after \(what)") }
    }

    private func visible(_ volume: ModelVolume, _ index: UInt32, _ block: Int) throws -> BlockValue {
        switch store.resolve(family: Family(rawValue: 1), index: index, ancestry: volume.ancestry) {
        case .absent, .hole: return .zero
        case .object(let name): return try Self.value(of: driver.block(name, block))
        }
    }

    private static func bytes(of tag: UInt64, blocks: Int = 1) -> [UInt8] {
        let count = blocks * blockSize / 8
        return [UInt8](unsafeUninitializedCapacity: count * 8) { buffer, used in
            UnsafeMutableRawBufferPointer(buffer).initializeMemory(as: UInt64.self, repeating: tag)
            used = count * 8
        }
    }

    private static func value(of bytes: [UInt8]) throws -> BlockValue {
        try bytes.withUnsafeBytes { raw in
            let words = raw.assumingMemoryBound(to: UInt64.self)
            var value = BlockValue.zero
            for sector in 0..<8 {
                value[sector] = words[sector * 64]
                // Equal to itself shifted by a word: one number all over.
                let start = raw.baseAddress! + sector * 512
                guard memcmp(start, start + 8, 504) == 0 else { throw Violation("a sector is torn") }
            }
            return value
        }
    }
}
