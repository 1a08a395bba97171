import ObjectModel

/// The conformance suite of block devices: named scenarios, each for a device of ``deviceSize`` bytes that reads as zeros.
package enum BlockDeviceConformance {
    /// Bytes: objects of up to 4 MiB have borders inside, and the size is a multiple of nothing but 512.
    package static let deviceSize: UInt64 = 40 << 20 | 512

    package struct Scenario: Sendable, CustomStringConvertible {
        package let name: String
        private let body: @Sendable (any ConformanceTarget, UInt64) throws -> Void

        init(_ name: String, _ body: @escaping @Sendable (any ConformanceTarget, UInt64) throws -> Void) {
            (self.name, self.body) = (name, body)
        }

        /// - Parameter seed: Of all that the scenario takes at random.
        package func run(on target: any ConformanceTarget, seed: UInt64 = 1) throws {
            do {
                try body(target, seed)
            } catch {
                throw ConformanceFailure("\(name) (seed \(seed)): \(error)")
            }
        }

        package var description: String { name }
    }

    package static let scenarios: [Scenario] = [
        Scenario("a new device reads as zeros", newDevice),
        Scenario("what was written is read, its neighbours are untouched", writeAndRead),
        Scenario("requests of odd lengths at odd offsets, over object borders", oddRanges),
        Scenario("the first and the last byte", ends),
        Scenario("the longest request", longest),
        Scenario("the last of several overlapping writes counts", overlapping),
        Scenario("writes submitted together all arrive", together),
        Scenario("trimmed ranges read as zeros, their neighbours stay", trimming),
        Scenario("zeroed ranges read as zeros, with and without holes", zeroing),
        Scenario("block status covers every byte and tells the truth", status),
        Scenario("block status of one extent", statusOfOne),
        Scenario("flushes and durable requests succeed and lose nothing", durability),
        Scenario("a device opened again holds what it held", reopening),
        Scenario("a random mix agrees with a plain array", randomMix),
    ]

    private static let objectSize = 4 << 20

    private static func newDevice(_ target: any ConformanceTarget, _: UInt64) throws {
        for offset in [0, target.size / 2, target.size - 65536] {
            guard try target.read(at: offset, length: 65536).allSatisfy({ $0 == 0 }) else {
                throw ConformanceFailure("not zero at \(offset)")
            }
        }
    }

    private static func writeAndRead(_ target: any ConformanceTarget, _ seed: UInt64) throws {
        var random = ConformanceRandom(seed: seed)
        var model = try ConformanceModel(of: target, length: 1 << 20)
        for offset in [4096, 65536, 200 * 4096] {
            try model.write(random.bytes(4096), at: offset)
            try model.checkAll("after a write at \(offset)")
        }
    }

    private static func oddRanges(_ target: any ConformanceTarget, _ seed: UInt64) throws {
        var random = ConformanceRandom(seed: seed)
        var model = try ConformanceModel(of: target, length: 3 * objectSize)
        let ranges = [
            1..<2, 511..<514, 4095..<4097, 4096..<8191, 12345..<54321, objectSize - 1..<objectSize + 1,
            objectSize - 5000..<objectSize + 5000, 2 * objectSize - 300_000..<2 * objectSize + 7,
        ]
        for range in ranges {
            try model.write(random.bytes(range.count), at: range.lowerBound)
            try model.check(range, "\(range)")
            try model.check(max(0, range.lowerBound - 4100)..<range.upperBound + 4100, "around \(range)")
        }
        try model.checkAll("in the end")
    }

    private static func ends(_ target: any ConformanceTarget, _ seed: UInt64) throws {
        var random = ConformanceRandom(seed: seed)
        for base in [0, target.size - 4096] {
            var model = try ConformanceModel(of: target, at: base, length: 4096)
            try model.write(random.bytes(1), at: 0)
            try model.write(random.bytes(1), at: 4095)
            try model.checkAll("4096 bytes at \(base)")
        }
    }

    private static func longest(_ target: any ConformanceTarget, _ seed: UInt64) throws {
        var random = ConformanceRandom(seed: seed)
        let length = min(target.maximumRequest, Int(target.size) - 4096)
        var model = try ConformanceModel(of: target, at: 512, length: length)
        try model.write(random.bytes(length), at: 0)
        try model.checkAll("\(length) bytes")
    }

    private static func overlapping(_ target: any ConformanceTarget, _ seed: UInt64) throws {
        var random = ConformanceRandom(seed: seed)
        var model = try ConformanceModel(of: target, at: UInt64(objectSize) - 65536, length: 131_072)
        for _ in 0..<64 {
            let range = random.range(within: 131_072, longest: 40_000, alignment: 512)
            try model.write(random.bytes(range.count), at: range.lowerBound)
        }
        try model.checkAll("after 64 writes")
    }

    private static func together(_ target: any ConformanceTarget, _ seed: UInt64) throws {
        var random = ConformanceRandom(seed: seed)
        var model = try ConformanceModel(of: target, length: 4 << 20)
        for length in [4096, 1000, 70_001] {
            let slots = Array(0..<(4 << 20) / 70_001).shuffled(using: &random).prefix(40)
            try model.writeTogether(slots.map { ($0 * 70_001, random.bytes(length)) })
            try model.checkAll("40 writes of \(length) bytes")
        }
    }

    private static func trimming(_ target: any ConformanceTarget, _ seed: UInt64) throws {
        var random = ConformanceRandom(seed: seed)
        var model = try ConformanceModel(of: target, length: 3 * objectSize)
        try model.write(random.bytes(3 * objectSize), at: 0)
        for range in [4096..<8192, 100_001..<100_002, 200_000..<300_001, objectSize..<2 * objectSize] {
            try model.trim(range)
            try model.checkAll("trimmed \(range)")
        }
        try model.trim(objectSize - 4096..<objectSize + 4096, durable: true)
        try model.write(random.bytes(9999), at: objectSize + 77)
        try model.checkAll("written again")
    }

    private static func zeroing(_ target: any ConformanceTarget, _ seed: UInt64) throws {
        var random = ConformanceRandom(seed: seed)
        for mayDeallocate in [true, false] {
            var model = try ConformanceModel(of: target, length: 3 * objectSize)
            try model.write(random.bytes(3 * objectSize), at: 0)
            for range in [8192..<12288, 50_001..<50_003, 400_000..<1_300_001, objectSize..<2 * objectSize] {
                try model.zero(range, mayDeallocate: mayDeallocate)
                try model.zero(range.lowerBound + 1..<range.upperBound + 5000, mayDeallocate: mayDeallocate, onlyIfFast: true)
                try model.checkAll("zeroed \(range), may deallocate: \(mayDeallocate)")
            }
            try model.zero(0..<3 * objectSize, mayDeallocate: mayDeallocate, durable: true)
            try model.checkAll("zeroed all, may deallocate: \(mayDeallocate)")
        }
    }

    private static func status(_ target: any ConformanceTarget, _ seed: UInt64) throws {
        var random = ConformanceRandom(seed: seed)
        var model = try ConformanceModel(of: target, length: 6 * objectSize)
        try model.checkStatus(0..<6 * objectSize, "new")
        try model.write(random.bytes(4096), at: objectSize + 4096)
        try model.write(random.bytes(5000), at: 3 * objectSize - 2500)
        try model.checkStatus(0..<6 * objectSize, "written")
        try model.checkStatus(3 * objectSize - 2501..<3 * objectSize + 2501, "odd range")
        try model.trim(2 * objectSize..<4 * objectSize)
        try model.checkStatus(0..<6 * objectSize, "trimmed")
        try model.zero(0..<objectSize, mayDeallocate: false)
        try model.checkStatus(0..<6 * objectSize, "zeroed")
    }

    private static func statusOfOne(_ target: any ConformanceTarget, _ seed: UInt64) throws {
        var random = ConformanceRandom(seed: seed)
        try target.write(random.bytes(4096), at: UInt64(objectSize), durable: false)
        for offset in [0, UInt64(objectSize) - 1, UInt64(objectSize), target.size - 1] {
            let extents = try target.status(at: offset, length: target.size - offset, onlyOne: true)
            guard extents.count == 1, extents[0].length > 0, extents[0].length <= target.size - offset else {
                throw ConformanceFailure("\(extents) at \(offset)")
            }
        }
    }

    private static func durability(_ target: any ConformanceTarget, _ seed: UInt64) throws {
        var random = ConformanceRandom(seed: seed)
        var model = try ConformanceModel(of: target, length: 1 << 20)
        try target.flush()
        try model.write(random.bytes(300_000), at: 1000)
        try target.flush()
        try model.write(random.bytes(4096), at: 8192, durable: true)
        try model.zero(4096..<20_000, mayDeallocate: true, durable: true)
        try model.zero(40_960..<50_000, mayDeallocate: false, durable: true)
        try model.trim(100_000..<200_000, durable: true)
        try target.flush()
        try model.checkAll("after flushes")
    }

    private static func reopening(_ target: any ConformanceTarget, _ seed: UInt64) throws {
        var random = ConformanceRandom(seed: seed)
        var model = try ConformanceModel(of: target, length: 2 * objectSize)
        for _ in 0..<4 {
            try model.write(random.bytes(123_456), at: Int.random(in: 0..<2 * objectSize - 123_456, using: &random))
            try target.reopen()
            try model.checkAll("opened again")
        }
    }
}
