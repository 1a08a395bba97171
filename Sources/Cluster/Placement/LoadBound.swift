/// How many groups each disk may have among the first k of their lists, for every k: its share and 1/128 more.
///
/// The share of a zone is proportional to its weight, but no more than all groups, since a group's list has a zone once;
/// what a heavy zone cannot take goes to the others. A zone's share is divided by the weights of its disks.
/// All arithmetic is on integers, so that every node computes the same.
struct LoadBound {
    private let width: Int
    /// Flat: the member's index × width + (k - 1).
    private let bounds: [Int]
    private var loads: [Int]

    init(members: [PlacementMember], width: Int, groups: Int) {
        self.width = width
        var bounds = Array(repeating: 0, count: members.count * width)
        let zoneWeights = Dictionary(members.map { ($0.zone, Int($0.weight)) }, uniquingKeysWith: +)
        let zones = zoneWeights.sorted { ($1.value, $0.key) < ($0.value, $1.key) }
        for copies in 1...width {
            let shares = Self.zoneShares(zones.map(\.value), copies: copies, groups: groups)
            let shareOfZone = Dictionary(uniqueKeysWithValues: zip(zones.map(\.key), shares))
            for (index, member) in members.enumerated() {
                let share = shareOfZone[member.zone]! * Int(member.weight) / zoneWeights[member.zone]!
                bounds[index * width + copies - 1] = min(groups, share + share / 128 + 1)
            }
        }
        self.bounds = bounds
        loads = Array(repeating: 0, count: bounds.count)
    }

    /// Divides `copies` × `groups` places among zones of descending weight, at most `groups` each.
    private static func zoneShares(_ weights: [Int], copies: Int, groups: Int) -> [Int] {
        var places = copies * groups
        var weightLeft = weights.reduce(0, +)
        var shares: [Int] = []
        var isCapped = true
        for weight in weights {
            isCapped = isCapped && places * weight / weightLeft >= groups
            if isCapped {
                shares.append(groups)
                places -= groups
                weightLeft -= weight
            } else {
                shares.append(places * weight / weightLeft)
            }
        }
        return shares
    }

    /// How many more groups may have the member at `position` of their lists; negative when it was forced beyond.
    func room(_ member: Int, at position: Int) -> Int {
        let slot = member * width + position
        return bounds[slot] - loads[slot]
    }

    /// `count` groups took `list`.
    mutating func take(_ list: [UInt16], count: Int) {
        for (position, member) in list.enumerated() {
            for slot in Int(member) * width + position..<(Int(member) + 1) * width { loads[slot] += count }
        }
    }
}
