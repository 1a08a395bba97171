package import ObjectModel

/// A value for each of the 65,536 placement groups, kept as runs.
///
/// Invariants: the runs cover all groups, in order; neighbouring runs have different values.
package struct RangeMap<Value: Hashable & Sendable>: Hashable, Sendable {
    /// The first group of each run, ascending from 0.
    package private(set) var starts: [UInt16]
    package private(set) var values: [Value]

    package init(_ value: Value) { (starts, values) = ([0], [value]) }

    /// Takes runs in ascending order, the first from group 0; equal neighbours are merged.
    package init(runs: [(start: UInt16, value: Value)]) {
        (starts, values) = ([], [])
        for run in runs { append(start: run.start, value: run.value) }
        precondition(starts.first == 0, "the runs must cover all groups")
    }

    package subscript(group: PlacementGroup) -> Value { values[run(of: group.rawValue)] }

    package var runCount: Int { starts.count }

    /// Values of groups that are asked for in ascending order, each found from the one before.
    package struct Cursor {
        fileprivate let map: RangeMap
        private var run = 0

        fileprivate init(map: RangeMap) { self.map = map }

        package mutating func value(of group: UInt16) -> Value {
            precondition(map.starts[run] <= group, "groups must ascend")
            while run + 1 < map.starts.count, map.starts[run + 1] <= group { run += 1 }
            return map.values[run]
        }
    }

    package var cursor: Cursor { Cursor(map: self) }

    /// The runs within `range`, clipped to it, in ascending order.
    package func forEach(in range: GroupRange = .all, _ body: (GroupRange, Value) -> Void) {
        var run = run(of: range.first)
        while run < starts.count, starts[run] <= range.last {
            let last = run + 1 < starts.count ? starts[run + 1] - 1 : UInt16.max
            body(GroupRange(first: max(starts[run], range.first), last: min(last, range.last)), values[run])
            run += 1
        }
    }

    /// Sets new values; the ranges must be ascending and disjoint.
    package mutating func assign(_ changes: [(range: GroupRange, value: Value)]) {
        let old = self
        starts.removeAll(keepingCapacity: true)
        values.removeAll(keepingCapacity: true)
        var next = 0
        for change in changes {
            precondition(next <= Int(change.range.first), "changes must ascend")
            append(from: old, next..<Int(change.range.first))
            append(start: change.range.first, value: change.value)
            next = Int(change.range.last) + 1
        }
        append(from: old, next..<PlacementGroup.count)
    }

    /// Replaces the values within `ranges` (in any order, overlapping or not) by what `transform` makes of them.
    package mutating func update(_ ranges: [GroupRange], _ transform: (Value) -> Value) {
        var changes: [(range: GroupRange, value: Value)] = []
        for range in GroupRange.merged(ranges) {
            forEach(in: range) { changes.append(($0, transform($1))) }
        }
        assign(changes)
    }

    private func run(of group: UInt16) -> Int {
        var (low, high) = (0, starts.count)
        while high - low > 1 {
            let middle = (low + high) / 2
            if starts[middle] <= group { low = middle } else { high = middle }
        }
        return low
    }

    private mutating func append(from old: RangeMap, _ groups: Range<Int>) {
        guard !groups.isEmpty else { return }
        old.forEach(in: GroupRange(first: UInt16(groups.lowerBound), last: UInt16(groups.upperBound - 1))) {
            append(start: $0.first, value: $1)
        }
    }

    private mutating func append(start: UInt16, value: Value) {
        guard values.last != value else { return }
        starts.append(start)
        values.append(value)
    }
}

extension RangeMap: WireCodable where Value: WireCodable {
    package init(from reader: inout WireReader) throws(WireError) {
        let count = Int(try reader.read(UInt32.self))
        guard 1...PlacementGroup.count ~= count else { throw .invalid("range map") }
        (starts, values) = ([], [])
        for _ in 0..<count {
            let start: UInt16 = try reader.read()
            guard starts.last.map({ $0 < start }) ?? (start == 0) else { throw .invalid("range map order") }
            append(start: start, value: try reader.readValue())
        }
    }

    package func encode(to writer: inout WireWriter) {
        writer.write(UInt32(starts.count))
        for (start, value) in zip(starts, values) {
            writer.write(start)
            writer.write(value)
        }
    }
}

extension GroupRange {
    /// The same groups as few ascending, disjoint ranges.
    package static func merged(_ ranges: [GroupRange]) -> [GroupRange] {
        var merged: [GroupRange] = []
        for range in ranges.sorted(by: { $0.first < $1.first }) {
            if let last = merged.last, Int(range.first) <= Int(last.last) + 1 {
                merged[merged.count - 1].last = max(last.last, range.last)
            } else {
                merged.append(range)
            }
        }
        return merged
    }
}

