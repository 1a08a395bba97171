import ObjectModel

/// A volume as its clients know it: what may be read from it.
final class VolumeModel {
    let name: String
    let copies: UInt8
    let objectSize: UInt64
    /// Bytes that are there for certain.
    var size: UInt64
    /// Deleted, or perhaps: nobody uses it any more.
    var isGone = false
    var snapshots: [SnapshotModel] = []
    private let initial: [UInt64: Stamp]
    private var sectors: [UInt64: SectorHistory] = [:]
    private var writes = 0
    /// Changes of long ranges that may still take effect: sectors that nothing was known of are under them too.
    private var wideZeros: [(number: Int, sectors: Range<UInt64>, called: UInt64, ended: UInt64)] = []
    private let world: World

    init(world: World, name: String, size: UInt64, copies: UInt8, objectSize: UInt64, initial: [UInt64: Stamp] = [:]) {
        (self.world, self.name, self.size, self.copies) = (world, name, size, copies)
        (self.objectSize, self.initial) = (objectSize, initial)
        for (sector, stamp) in initial { sectors[sector] = SectorHistory(initial: stamp) }
    }

    /// Every sector that anything is known of, ascending.
    var knownSectors: [UInt64] { sectors.keys.sorted() }

    // MARK: Writes

    /// Returns the number to end it with.
    func called(_ sectors: Range<UInt64>, stamp: Stamp) -> Int {
        writes += 1
        // Zeros over a long range are noted where something was; elsewhere there are zeros already.
        if sectors.count > 256 {
            wideZeros.append((writes, sectors, world.now, .max))
            for sector in sectors { self.sectors[sector]?.called(stamp, number: writes, at: world.now) }
        } else {
            for sector in sectors {
                if self.sectors[sector] == nil { self.sectors[sector] = newHistory(sector) }
                self.sectors[sector]!.called(stamp, number: writes, at: world.now)
            }
        }
        return writes
    }

    /// Zeros, and whatever is under way that would make them again.
    private func newHistory(_ sector: UInt64) -> SectorHistory {
        wideZeros.removeAll { $0.ended < world.now }
        var history = SectorHistory(initial: 0)
        for zeros in wideZeros where zeros.sectors.contains(sector) {
            history.called(0, number: zeros.number, at: zeros.called)
            if zeros.ended < .max { history.failed(number: zeros.number, at: zeros.ended) }
        }
        return history
    }

    func ended(_ number: Int, _ sectors: Range<UInt64>, acknowledged: Bool, durable: Bool, by connection: Int? = nil) {
        if let index = wideZeros.firstIndex(where: { $0.number == number }) {
            if acknowledged { wideZeros.remove(at: index) } else { wideZeros[index].ended = world.now + Self.grace }
        }
        for sector in sectors {
            if acknowledged {
                self.sectors[sector]?.acknowledged(number: number, at: world.now, isDurable: durable, by: connection)
            } else {
                self.sectors[sector]?.failed(number: number, at: world.now + Self.grace)
            }
        }
    }

    /// How long what a dead gateway or an error left on the wires may still arrive, in nanoseconds.
    private static let grace: UInt64 = 100_000_000

    func rollbackCalled(to snapshot: SnapshotModel) -> Int {
        writes += 1
        for sector in sectors.keys {
            sectors[sector]!.called(snapshot.contents[sector] ?? 0, number: writes, at: world.now)
        }
        wideZeros.append((writes, 0..<(size / UInt64(sectorSize)), world.now, .max))
        return writes
    }

    func rollbackEnded(_ number: Int, acknowledged: Bool, durable: Bool) {
        ended(number, 0..<(size / UInt64(sectorSize)), acknowledged: acknowledged, durable: durable)
    }

    func flushed(calledAt call: UInt64, by connection: Int) {
        for sector in sectors.keys { sectors[sector]!.flushed(calledAt: call, by: connection) }
    }

    func flushFailed(by connection: Int) {
        for sector in sectors.keys { sectors[sector]!.flushFailed(by: connection) }
    }

    /// Nobody asks any more.
    func forget() { sectors = [:] }

    func lostPower() {
        for sector in sectors.keys { sectors[sector]!.lostPower(at: world.now) }
    }

    // MARK: Reads

    func read(_ bytes: [UInt8], at offset: UInt64, calledAt call: UInt64, by reader: String) {
        var isWrong = false
        for (sector, stamp) in parse(bytes, at: offset, what: "\(reader) read \(name)") {
            guard var history = sectors[sector] ?? (stamp == 0 ? nil : SectorHistory(initial: 0)) else { continue }
            if !history.observed(stamp, from: call, to: world.now), !isWrong {
                isWrong = true
                world.fail(
                    "\(reader) read \(name) sector \(sector): \(stamp), called at \(World.seconds(call)); \(history.text)",
                    about: .init(volume: name, sector: sector))
            }
            sectors[sector] = history
        }
    }

    func parse(_ bytes: [UInt8], at offset: UInt64, what: String) -> [(UInt64, Stamp)] {
        let first = offset / UInt64(sectorSize)
        return (0..<bytes.count / sectorSize).compactMap { number in
            let sector = first + UInt64(number)
            if let stamp = SectorContents.stamp(of: bytes[number * sectorSize..<(number + 1) * sectorSize], sector: sector) {
                return (sector, stamp)
            }
            world.fail(
                "\(what): sector \(sector) is torn or misplaced: \(bytes[number * sectorSize..<number * sectorSize + 16])",
                about: .init(volume: name, sector: sector))
            return nil
        }
    }

    // MARK: Snapshots

    /// A snapshot shows the volume at one moment of its making: every sector's value must have been there at once.
    func check(_ snapshot: SnapshotModel) {
        // The moment at which it was taken lies between these; and the sectors that say so.
        var (earliest, latest) = (snapshot.called, snapshot.ended)
        var (newest, oldest) = (UInt64(0), UInt64(0))
        for sector in snapshot.contents.keys.sorted() {
            let stamp = snapshot.contents[sector]!
            guard let history = sectors[sector] else { continue }
            let candidates = history.candidates(stamp, from: snapshot.called, to: snapshot.ended)
            guard let first = candidates.map(\.called).min(), let last = candidates.map(history.lastMoment).max() else {
                world.fail(
                    "snapshot \(snapshot.tag) of \(name) shows \(stamp) in sector \(sector); \(history.text)",
                    about: .init(volume: name, sector: sector))
                continue
            }
            if first > earliest { (earliest, newest) = (first, sector) }
            if last < latest { (latest, oldest) = (last, sector) }
        }
        if earliest > latest {
            world.fail(
                "snapshot \(snapshot.tag) of \(name) shows sectors of different moments: \(oldest) as before \(World.seconds(latest)) and "
                    + "\(newest) as after \(World.seconds(earliest)); \(sectors[oldest]!.text); \(sectors[newest]!.text)",
                about: .init(volume: name, sector: oldest))
        }
    }
}

/// A snapshot: once read, it never changes.
final class SnapshotModel {
    let tag: String
    let called: UInt64
    let ended: UInt64
    let size: UInt64
    var contents: [UInt64: Stamp] = [:]
    var isGone = false

    init(tag: String, called: UInt64, ended: UInt64, size: UInt64) {
        (self.tag, self.called, self.ended, self.size) = (tag, called, ended, size)
    }
}
