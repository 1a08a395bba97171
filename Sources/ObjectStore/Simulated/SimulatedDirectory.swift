/// A folder's names in two layers, with the changes between them in order.
///
/// A power cut keeps each unsynced change or loses it on its own: file systems keep their order, so this is harder
/// than any of them.
final class SimulatedDirectory {
    enum Change {
        case set(String, SimulatedFile)
        case remove(String)
        case rename(String, String, SimulatedFile)
    }

    private(set) var seen: [String: SimulatedFile] = [:]
    private var durable: [String: SimulatedFile] = [:]
    private var unsynced: [Change] = []
    /// Changes ever made durable or lost.
    private var settled = 0

    /// Changes ever made; a sync that begins now makes so many durable.
    var changes: Int { settled + unsynced.count }

    func apply(_ change: Change) {
        Self.apply(change, to: &seen)
        unsynced.append(change)
    }

    private static func apply(_ change: Change, to names: inout [String: SimulatedFile]) {
        switch change {
        case .set(let name, let file): names[name] = file
        case .remove(let name): names[name] = nil
        case .rename(let old, let new, let file):
            names[old] = nil
            names[new] = file
        }
    }

    /// Makes the first `changes` of all changes durable.
    func makeDurable(_ changes: Int) {
        let count = min(max(0, changes - settled), unsynced.count)
        for change in unsynced.prefix(count) { Self.apply(change, to: &durable) }
        unsynced.removeFirst(count)
        settled += count
    }

    func loseUnsynced(_ generator: inout SeededGenerator) {
        for change in unsynced where generator.chance(0.5) { Self.apply(change, to: &durable) }
        settled += unsynced.count
        unsynced = []
        seen = durable
    }
}
