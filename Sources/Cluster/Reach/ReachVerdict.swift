package import ObjectModel

/// Who stays when links are cut: the heaviest set of nodes that all reach each other both ways; of two equally heavy ones,
/// that with the lowest node id of those that are not in both.
///
/// Every node that sees the same cuts comes to the same verdict.
package struct ReachVerdict: Hashable, Sendable {
    package struct Candidate: Hashable, Sendable {
        package var node: NodeID
        /// A set weighs as much as its nodes together; above 0.
        package var weight: UInt64

        /// The design counts nodes. Where sets differ in the data that they have, that decides first: a set of gateways, or of
        /// disks that miss writes, could not serve what one sheep with the data can.
        package init(node: NodeID, stores: Bool, isCurrent: Bool) {
            self.node = node
            weight = 1 + (stores ? 1 << 20 : 0) + (stores && isCurrent ? 1 << 40 : 0)
        }
    }

    /// Two nodes of which one at least does not reach the other; the lower id first.
    package struct Cut: Hashable, Sendable {
        package let low, high: NodeID
        package init(_ a: NodeID, _ b: NodeID) { (low, high) = a < b ? (a, b) : (b, a) }
    }

    /// Sorted.
    package let staying: [NodeID]
    /// Sorted.
    package let leaving: [NodeID]

    /// Steps of the search in one component of the cuts; beyond, the best set found so far is taken. Some ten milliseconds.
    static let searchLimit = 100_000

    package init(of candidates: [Candidate], cuts: Set<Cut>) {
        let sorted = candidates.sorted { $0.node < $1.node }
        let places = Dictionary(uniqueKeysWithValues: sorted.enumerated().map { ($1.node, $0) })
        var neighbours = Array(repeating: [Int](), count: sorted.count)
        for cut in cuts {
            guard cut.low != cut.high, let low = places[cut.low], let high = places[cut.high] else { continue }
            neighbours[low].append(high)
            neighbours[high].append(low)
        }
        // Nodes that no chain of cuts joins do not compete: each such component is decided by itself.
        var chosen = Array(repeating: false, count: sorted.count)
        for component in Self.components(neighbours) {
            var search = ConflictSearch(component, weights: sorted.map(\.weight), neighbours: neighbours)
            for place in search.best(limit: Self.searchLimit) { chosen[place] = true }
        }
        staying = sorted.indices.filter { chosen[$0] }.map { sorted[$0].node }
        leaving = sorted.indices.filter { !chosen[$0] }.map { sorted[$0].node }
    }

    /// Places that cuts join, each component ascending.
    private static func components(_ neighbours: [[Int]]) -> [[Int]] {
        var seen = Array(repeating: false, count: neighbours.count)
        return neighbours.indices.compactMap { start in
            guard !seen[start] else { return nil }
            seen[start] = true
            var (component, next) = ([start], 0)
            while next < component.count {
                for place in neighbours[component[next]] where !seen[place] {
                    seen[place] = true
                    component.append(place)
                }
                next += 1
            }
            return component.sorted()
        }
    }
}

/// The search for the heaviest set of a component without two neighbours in it: branch and bound over the first 64 places of it;
/// the others (a cluster of more than 64 nodes that are all entangled) are taken by the way of the first guess.
private struct ConflictSearch {
    private let places: [Int]
    private let weights: [UInt64]
    /// Bits of `places`.
    private let conflicts: [UInt64]
    private let component: [Int]
    private let neighbours: [[Int]]
    private let allWeights: [UInt64]
    private var bestSet: UInt64 = 0
    private var bestWeight: UInt64 = 0
    private var steps = 0

    init(_ component: [Int], weights: [UInt64], neighbours: [[Int]]) {
        (self.component, self.neighbours, allWeights) = (component, neighbours, weights)
        places = Array(component.prefix(64))
        self.weights = places.map { weights[$0] }
        let bits = Dictionary(uniqueKeysWithValues: places.enumerated().map { ($1, $0) })
        conflicts = places.map { place in neighbours[place].reduce(0) { set, other in bits[other].map { set | 1 << UInt64($0) } ?? set } }
    }

    mutating func best(limit: Int) -> [Int] {
        if component.count == 1 { return component }
        let guess = firstGuess()
        guard component.count <= 64 else { return guess }
        for place in guess { bestSet |= 1 << UInt64(places.firstIndex(of: place)!) }
        bestWeight = weight(of: bestSet)
        steps = limit
        search(places.count == 64 ? .max : 1 << UInt64(places.count) - 1, chosen: 0, weight: 0)
        return places.indices.filter { bestSet >> UInt64($0) & 1 == 1 }.map { places[$0] }
    }

    /// One after another, those with more weight first, then those with fewer cuts, unless a former one excludes it.
    private func firstGuess() -> [Int] {
        var taken: Set<Int> = []
        let order = component.sorted {
            (allWeights[$1], neighbours[$0].count, $0) < (allWeights[$0], neighbours[$1].count, $1)
        }
        for place in order where !neighbours[place].contains(where: taken.contains) { taken.insert(place) }
        return taken.sorted()
    }

    private func weight(of set: UInt64) -> UInt64 {
        var (sum, rest): (UInt64, UInt64) = (0, set)
        while rest != 0 {
            sum += weights[rest.trailingZeroBitCount]
            rest &= rest - 1
        }
        return sum
    }

    private mutating func search(_ open: UInt64, chosen: UInt64, weight: UInt64) {
        guard steps > 0 else { return }
        steps -= 1
        let most = weight + self.weight(of: open)
        if most < bestWeight { return }
        var (hub, degree, rest) = (0, 0, open)
        while rest != 0 {
            let place = rest.trailingZeroBitCount
            rest &= rest - 1
            let count = (conflicts[place] & open).nonzeroBitCount
            if count > degree { (hub, degree) = (place, count) }
        }
        if degree == 0 { return consider(chosen | open, most) }
        let bit: UInt64 = 1 << UInt64(hub)
        search(open & ~(conflicts[hub] | bit), chosen: chosen | bit, weight: weight + weights[hub])
        search(open & ~bit, chosen: chosen, weight: weight)
    }

    private mutating func consider(_ set: UInt64, _ weight: UInt64) {
        let difference = set ^ bestSet
        let hasLowest = difference != 0 && set >> UInt64(difference.trailingZeroBitCount) & 1 == 1
        guard weight > bestWeight || weight == bestWeight && hasLowest else { return }
        (bestSet, bestWeight) = (set, weight)
    }
}
