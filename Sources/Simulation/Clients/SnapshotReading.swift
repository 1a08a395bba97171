import Gateway
import ObjectModel

/// Reads every known sector of a snapshot, until some gateway has given each; notes them, or compares with what it noted.
final class SnapshotReading {
    private let snapshot: SnapshotModel
    private let volume: VolumeModel
    private let cluster: SimulatedCluster
    private let isFirst: Bool
    private let completion: () -> Void
    private var remaining: [Range<UInt64>] = []
    private var use: GatewayUse?
    private var device: VolumeDevice<SimulatedEnvironment>?

    init(_ snapshot: SnapshotModel, of volume: VolumeModel, cluster: SimulatedCluster, completion: @escaping () -> Void) {
        (self.snapshot, self.volume, self.cluster, self.completion) = (snapshot, volume, cluster, completion)
        isFirst = snapshot.contents.isEmpty
    }

    private var world: World { cluster.world }

    func begin() {
        let sectors = isFirst ? volume.knownSectors : snapshot.contents.keys.sorted()
        remaining = Ranges.joined(sectors.filter { ($0 + 1) * UInt64(sectorSize) <= snapshot.size })
        next()
    }

    private func again() {
        use?.close()
        (use, device) = (nil, nil)
        if snapshot.isGone { return completion() }
        world.schedule(after: 100_000_000) { [self] in next() }
    }

    private func next() {
        guard let range = remaining.last else {
            if let use, let device { world.schedule(after: 0, in: use.process) { device.close() } }
            use?.close()
            return completion()
        }
        guard let use, let device else { return open() }
        let offset = range.lowerBound * UInt64(sectorSize)
        world.log("reader at \(use.sheep.name)", "\(volume.name)@\(snapshot.tag) reads \(range)")
        use.read(device, at: offset, length: range.count * sectorSize) { [self] result in
            guard case .success(let bytes) = result else { return again() }
            remaining.removeLast()
            note(volume.parse(bytes, at: offset, what: "snapshot \(snapshot.tag) of \(volume.name)"))
            next()
        }
    }

    private func open() {
        guard let sheep = world.pick(cluster.sheep.filter(\.isRunning)), let use = GatewayUse(sheep, world: world) else {
            return again()
        }
        self.use = use
        use.open("\(volume.name)@\(snapshot.tag)") { [self] result in
            if case .success(let device) = result { self.device = device } else { return again() }
            next()
        }
    }

    private func note(_ contents: [(UInt64, Stamp)]) {
        for (sector, stamp) in contents {
            if let known = snapshot.contents[sector], known != stamp {
                world.fail(
                    "snapshot \(snapshot.tag) of \(volume.name) changed in sector \(sector): \(known) became \(stamp)",
                    about: .init(volume: volume.name, sector: sector))
            }
            snapshot.contents[sector] = stamp
        }
    }
}

enum Ranges {
    /// Ascending numbers as ranges of at most 256.
    static func joined(_ numbers: [UInt64]) -> [Range<UInt64>] {
        var ranges: [Range<UInt64>] = []
        for number in numbers {
            if let last = ranges.last, last.upperBound == number, last.count < 256 {
                ranges[ranges.count - 1] = last.lowerBound..<number + 1
            } else {
                ranges.append(number..<number + 1)
            }
        }
        return ranges
    }
}
