import Cluster
import ObjectModel
import Testing

@Suite struct RangeMapTests {
    @Test("changes in ranges equal changes group by group, and neighbours merge", arguments: UInt64(1)...20)
    func model(seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        var map = RangeMap(LogIndex.zero)
        var model = Array(repeating: LogIndex.zero, count: PlacementGroup.count)
        for _ in 0..<30 {
            let ranges = (0..<Int.random(in: 1...4, using: &random)).map { _ in
                let (a, b) = (UInt16.random(in: 0...40, using: &random), UInt16.random(in: 0...40, using: &random))
                // Both ends of the space, where arithmetic on groups could overflow.
                return Bool.random(using: &random)
                    ? GroupRange(first: min(a, b), last: max(a, b))
                    : GroupRange(first: .max - max(a, b), last: .max - min(a, b))
            }
            let value = LogIndex(rawValue: UInt64.random(in: 0...2, using: &random))
            map.update(ranges) { LogIndex(rawValue: max($0.rawValue, value.rawValue) % 2 + value.rawValue) }
            for group in Set(ranges.flatMap { Array($0.first...$0.last) }) {
                model[Int(group)] = LogIndex(rawValue: max(model[Int(group)].rawValue, value.rawValue) % 2 + value.rawValue)
            }
            for group in Array(0...41) + Array(65_490...65_535) {
                #expect(map[PlacementGroup(rawValue: UInt16(group))] == model[group], "seed \(seed)")
            }
        }
        #expect(zip(map.values, map.values.dropFirst()).allSatisfy { $0 != $1 })
        #expect(try RangeMap<LogIndex>(wire: map.wire) == map)
    }

    @Test("ranges that overlap or touch become one")
    func merged() {
        let ranges = [GroupRange(first: 5, last: 9), GroupRange(first: 0, last: 2), GroupRange(first: 3, last: 3), GroupRange(first: 8, last: 12)]
        #expect(GroupRange.merged(ranges) == [GroupRange(first: 0, last: 3), GroupRange(first: 5, last: 12)])
        #expect(GroupRange.merged([.all, GroupRange(first: .max, last: .max)]) == [.all])
    }
}
