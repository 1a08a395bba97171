import Glibc
import Testing

@Suite struct RandomHistoryTests {
    @Test("random history: what was acknowledged survives kills, what was flushed survives power cuts", arguments: 0..<8)
    func differential(part: UInt64) throws {
        // More of them: OBJECTSTORE_SEEDS=n a part.
        let count = getenv("OBJECTSTORE_SEEDS").flatMap { UInt64(String(cString: $0)) } ?? 50
        var seeds = part * count..<(part + 1) * count
        // One seed again: OBJECTSTORE_SEED=n.
        if let text = getenv("OBJECTSTORE_SEED"), let seed = UInt64(String(cString: text)) {
            seeds = part == 0 ? seed..<seed + 1 : 0..<0
        }
        for seed in seeds {
            let run = try RandomRun(seed: seed)
            do {
                try run.run(steps: 120)
            } catch {
                Issue.record("seed \(seed): \(error)\nlast steps: \(run.log.suffix(30).joined(separator: "; "))")
                return
            }
        }
    }
}
