import ObjectModel

/// One node's view of who is in the group: those it hears, and who say that they hear it. Others may see something else.
///
/// Times are nanoseconds of the node's own clock.
struct GroupWatch {
    /// A node that is not heard for so long has left, as far as can be seen. Four presences.
    private static let patience: UInt64 = 400_000_000

    private struct Neighbour {
        var number: UInt64
        var heardAt: UInt64
        var hearsThisNode: Bool
    }

    private let node: NodeID
    private var neighbours: [NodeID: Neighbour] = [:]

    init(node: NodeID) { self.node = node }

    mutating func heard(_ presence: Presence, now: UInt64) {
        guard presence.number > neighbours[presence.sender]?.number ?? 0 else { return }
        neighbours[presence.sender] = Neighbour(
            number: presence.number, heardAt: now, hearsThisNode: presence.hears.contains(node))
    }

    func hears(now: UInt64) -> Set<NodeID> { Set(neighbours.filter { isHeard($0.value, now) }.keys) }

    /// Sorted, so that those who see the same nodes name the same first one; this node among them.
    func members(now: UInt64) -> [NodeID] {
        (neighbours.filter { $0.value.hearsThisNode && isHeard($0.value, now) }.map(\.key) + [node]).sorted()
    }

    private func isHeard(_ neighbour: Neighbour, _ now: UInt64) -> Bool { now - min(now, neighbour.heardAt) < Self.patience }
}
