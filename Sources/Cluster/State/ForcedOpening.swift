package import ObjectModel

/// What becomes of a group that no in-sync member serves when an operator orders the cluster to go on without those who are absent, or
/// without one of them; the worst last.
package enum GroupFate: UInt8, Hashable, Comparable, Sendable {
    /// One of those that left last is present: the group opens by itself, and nothing is lost.
    case opensItself = 1
    /// None of its members is present.
    case staysClosed
    /// Its authority missed writes: the group goes back to what that one has.
    case goesBack
    /// Its authority never had everything: what that one does not have reads as zeros.
    case isLost

    package static func < (a: GroupFate, b: GroupFate) -> Bool { a.rawValue < b.rawValue }
}

/// What `forceOpen`, or `giveUpNode`, would do now.
package struct ForcedOpening: Sendable {
    /// How many groups come to what, each by the worst of the numbers of copies in use.
    package private(set) var groups: [GroupFate: Int] = [:]
    /// Nodes whose disks are not present and left after those that would be gone on with, sorted.
    package private(set) var absentNodes: [NodeID] = []
    /// For each number of copies with closed groups the fate of every group; 0: it is served.
    private var fates: [UInt8: [UInt8]] = [:]

    /// What is asked object by object, over all volumes: about a tenth of a second. Of the rest the groups' shares are taken.
    private static let mostObjectsAsked: UInt64 = 1 << 24

    /// - Parameter abandoned: Only this node's disks are given up, and only what they alone have counts.
    init(of membership: Membership, counts: CopyCounts, abandoning abandoned: NodeID? = nil) {
        var absent: Set<NodeID> = []
        // Where every member is in sync nothing is closed.
        for (piece, members) in membership.runs(in: membership.disks.values.flatMap { $0.exceptions(for: counts) }) {
            var worst: GroupFate?
            for copies in counts.subtracting(Membership.served(by: members)).counts {
                let (fate, since): (GroupFate, LogIndex?)
                if let abandoned {
                    guard let rest = Self.fate(of: members, copies: copies, without: abandoned, in: membership) else { continue }
                    (fate, since) = rest
                } else {
                    (fate, since) = Self.fate(of: members, copies: copies, in: membership)
                }
                worst = max(worst ?? fate, fate)
                fates[copies, default: Array(repeating: 0, count: PlacementGroup.count)]
                    .replaceSubrange(Int(piece.first)...Int(piece.last), with: repeatElement(fate.rawValue, count: piece.size))
                for member in members where !membership.isPresent(member.disk) {
                    if let abandoned, membership.disks[member.disk]!.node != abandoned { continue }
                    guard let left = member.standing.layer(for: copies)?.since, member.copies.contains(copies: copies) else { continue }
                    if since.map({ left > $0 }) ?? true { absent.insert(membership.disks[member.disk]!.node) }
                }
            }
            if let worst { groups[worst, default: 0] += piece.size }
        }
        absentNodes = absent.sorted()
    }

    /// And when its authority left; nil: it has none.
    private static func fate(
        of members: [GroupMember], copies: UInt8, in membership: Membership
    ) -> (fate: GroupFate, since: LogIndex?) {
        guard let since = membership.authority(of: members, copies: copies)?.standing.layer(for: copies)?.since else {
            return (.staysClosed, nil)
        }
        if since == .zero { return (.isLost, since) }
        let last = Membership.lastMembers(members, copies: copies).first?.standing.layer(for: copies)?.since
        return (since == last ? .opensItself : .goesBack, since)
    }

    /// Nil: others left as late as this node, so nothing is lost without it. Who of the others is present now does not matter: they
    /// are waited for.
    private static func fate(
        of members: [GroupMember], copies: UInt8, without abandoned: NodeID, in membership: Membership
    ) -> (fate: GroupFate, since: LogIndex?)? {
        let isOfIt = { (member: GroupMember) in membership.disks[member.disk]!.node == abandoned }
        guard Membership.lastMembers(members, copies: copies).allSatisfy(isOfIt) else { return nil }
        let rest = Membership.lastMembers(members.filter { !isOfIt($0) }, copies: copies)
        let since = rest.first?.standing.layer(for: copies)?.since ?? .zero
        return (since == .zero ? .isLost : .goesBack, since)
    }

    /// How many objects of each of these volumes lie in groups of each fate; those without any are left out.
    package func objects(of volumes: [VolumeRecord]) -> [Birth: [GroupFate: UInt64]] {
        var result: [Birth: [GroupFate: UInt64]] = [:]
        var askable = Self.mostObjectsAsked
        // Volumes of a family have the same groups at the same indices, and small ones are asked before enormous ones.
        let alike = Dictionary(grouping: volumes.filter { fates[$0.copies] != nil }) { Kin(family: $0.family, copies: $0.copies) }
            .map { ($0, $1.sorted { $0.objectCount < $1.objectCount }) }
            .sorted { ($0.1.last!.objectCount, $0.0.family) < ($1.1.last!.objectCount, $1.0.family) }
        for (kin, members) in alike { count(members, of: kin, &askable, into: &result) }
        return result
    }

    private struct Kin: Hashable {
        var family: Family
        var copies: UInt8
    }

    /// Each goes on where the next smaller one ended.
    private func count(
        _ volumes: [VolumeRecord], of kin: Kin, _ askable: inout UInt64, into result: inout [Birth: [GroupFate: UInt64]]
    ) {
        let table = fates[kin.copies]!
        var share = [UInt64](repeating: 0, count: 5)
        for fate in table { share[Int(fate)] += 1 }
        var counts = [UInt64](repeating: 0, count: 5)
        var next: UInt64 = 0
        for volume in volumes {
            while next < volume.objectCount, askable > 0 {
                counts[Int(table[Int(PlacementGroup(family: kin.family, index: UInt32(next)).rawValue)])] += 1
                next += 1
                askable -= 1
            }
            let rest = volume.objectCount - next
            for fate in [GroupFate.opensItself, .staysClosed, .goesBack, .isLost] {
                let number = Int(fate.rawValue)
                let count = counts[number] + rest * share[number] / UInt64(PlacementGroup.count)
                if count > 0 { result[volume.birth, default: [:]][fate] = count }
            }
        }
    }
}

extension ControlState {
    /// Of all who are absent, those that stopped cleanly included, it is taken that they never return.
    package var forcedOpening: ForcedOpening {
        var membership = membership
        membership.endCleanStops(at: appliedIndex.next)
        return ForcedOpening(of: membership, counts: closingCounts)
    }

    /// What only this node has, and would be lost if it never returned while all others do. That it stopped cleanly changes nothing.
    package func opening(abandoning node: NodeID) -> ForcedOpening {
        var membership = membership
        membership.endCleanStops(at: appliedIndex.next)
        return ForcedOpening(of: membership, counts: closingCounts, abandoning: node)
    }
}
