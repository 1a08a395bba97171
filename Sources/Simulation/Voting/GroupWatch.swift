import Cluster
import Gateway
import ObjectModel

/// One node's view of who is in the group: those it hears, and who say that they hear it. Others may see something else.
///
/// Times are nanoseconds of the node's own clock.
struct GroupWatch {
    /// A node that is not heard for so long has left, as far as can be seen. Four presences.
    private static let patience: UInt64 = 400_000_000

    private struct Neighbour {
        var number: UInt64
        var boot: BootID
        var heardAt: UInt64
        /// The newest presence of this node that it had heard; nil: it hears none.
        var answers: UInt64?
    }

    private let node: NodeID
    private let startedAt: UInt64
    private var neighbours: [NodeID: Neighbour] = [:]

    init(node: NodeID, now: UInt64) { (self.node, startedAt) = (node, now) }

    mutating func heard(_ presence: Presence, now: UInt64) {
        guard presence.number > neighbours[presence.sender]?.number ?? 0 else { return }
        neighbours[presence.sender] = Neighbour(
            number: presence.number, boot: presence.boot, heardAt: now, answers: presence.hears[node])
    }

    /// By the numbers of their newest presences.
    func hears(now: UInt64) -> [NodeID: UInt64] { neighbours.filter { isHeard($0.value, now) }.mapValues(\.number) }

    /// Sorted, so that those who see the same nodes name the same first one; this node among them.
    func members(now: UInt64) -> [NodeID] {
        (neighbours.filter { $0.value.answers != nil && isHeard($0.value, now) }.map(\.key) + [node]).sorted()
    }

    private func isHeard(_ neighbour: Neighbour, _ now: UInt64) -> Bool { now - min(now, neighbour.heardAt) < Self.patience }

    /// Whoever answers the presence of this number, or a later one, ran when that was sent.
    func sight(of run: BootID, of other: NodeID, answering number: UInt64, now: UInt64) -> RunSight {
        if let neighbour = neighbours[other], let answers = neighbour.answers, answers >= number {
            return neighbour.boot == run ? .running : .ended
        }
        let heardAt = neighbours[other]?.heardAt ?? startedAt
        return now - min(now, heardAt) >= NodeTiming.givenUp ? .silent : .unknown
    }
}
