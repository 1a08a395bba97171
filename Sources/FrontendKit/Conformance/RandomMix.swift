import ObjectModel

extension BlockDeviceConformance {
    /// Some hundred operations at random on a part of the device that has object borders, each compared with the model.
    static func randomMix(_ target: any ConformanceTarget, _ seed: UInt64) throws {
        var random = ConformanceRandom(seed: seed)
        let length = 9 << 20
        var model = try ConformanceModel(of: target, at: 1 << 20, length: length)
        for step in 0..<400 {
            let range = random.range(within: length, longest: random.next() % 8 == 0 ? 5 << 20 : 100_000, alignment: 4096)
            try act(on: &model, target, range, &random)
            guard step % 16 == 15 else { continue }
            try model.check(random.range(within: length, longest: 1 << 20, alignment: 4096), "step \(step)")
        }
        try model.checkAll("in the end")
        try model.checkStatus(0..<length, "in the end")
    }

    private static func act(
        on model: inout ConformanceModel, _ target: any ConformanceTarget, _ range: Range<Int>,
        _ random: inout ConformanceRandom
    ) throws {
        let durable = random.next() % 8 == 0
        switch random.next() % 20 {
        case 0..<8: try model.write(random.bytes(range.count), at: range.lowerBound, durable: durable)
        case 8..<13: try model.check(range, "read of \(range)")
        case 13, 14: try model.trim(range, durable: durable)
        case 15: try model.zero(range, mayDeallocate: true, onlyIfFast: durable, durable: durable)
        case 16: try model.zero(range, mayDeallocate: false, durable: durable)
        case 17: try model.checkStatus(range, "status of \(range)")
        case 18: try target.flush()
        default: try together(&model, range, &random)
        }
    }

    /// The range as several writes side by side, in any order.
    private static func together(
        _ model: inout ConformanceModel, _ range: Range<Int>, _ random: inout ConformanceRandom
    ) throws {
        let step = max(1, range.count / 7)
        let starts = stride(from: range.lowerBound, to: range.upperBound, by: step).shuffled(using: &random)
        try model.writeTogether(starts.map { ($0, random.bytes(min(step, range.upperBound - $0))) })
    }
}
