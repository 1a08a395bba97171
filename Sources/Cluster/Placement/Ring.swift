import ObjectModel

/// The consistent-hash ring from which ``Placement`` reads its lists.
struct Ring {
    private struct Token {
        /// Its place on the ring; the upper 16 bits are the last group that it follows.
        var place: UInt64
        var member: UInt16
    }

    private let members: [PlacementMember]
    private let width: Int
    private let tokens: [Token]

    init(members: [PlacementMember], width: Int) {
        precondition(members.count <= Int(UInt16.max), "more disks than the table can name")
        (self.members, self.width) = (members, width)
        var tokens: [Token] = []
        for (index, member) in members.enumerated() {
            let count = min(max(1, member.weight) * Placement.tokensPerWeight, Placement.mostTokens)
            for number in 0..<UInt64(count) {
                let seed = mixed(mixed(member.disk.high ^ mixed(member.disk.low)) &+ number)
                tokens.append(Token(place: seed, member: UInt16(index)))
            }
        }
        self.tokens = tokens.sorted { ($0.place, $0.member) < ($1.place, $1.member) }
    }

    /// Goes around the ring once. A run of groups that no point divides has one list as long as no disk in it is full.
    func lists() -> RangeMap<[UInt16]> {
        var bound = LoadBound(members: members, width: width, groups: PlacementGroup.count)
        var runs: [(start: UInt16, value: [UInt16])] = []
        var (group, token) = (0, 0)
        while group < PlacementGroup.count {
            while token < tokens.count, Int(tokens[token].place >> 48) < group { token += 1 }
            let isWrapped = token == tokens.count
            let runEnd = isWrapped ? PlacementGroup.count - 1 : Int(tokens[token].place >> 48)
            let (list, room) = pick(from: isWrapped ? 0 : token, bound: bound)
            let count = min(runEnd - group + 1, room)
            runs.append((UInt16(group), list))
            bound.take(list, count: count)
            group += count
        }
        return RangeMap(runs: runs)
    }

    /// One list, and for how many groups it may be used before a disk in it is full.
    private func pick(from start: Int, bound: LoadBound) -> (list: [UInt16], room: Int) {
        var successors = Successors(tokens: tokens, start: start, members: members.count)
        var list: [UInt16] = []
        var zones: [UInt32] = []
        var room = PlacementGroup.count
        while list.count < width {
            let position = list.count
            let choice = successors.first { !zones.contains(members[$0].zone) && bound.room($0, at: position) > 0 }
            if let choice {
                room = min(room, bound.room(choice, at: position))
            }
            // All other zones are full: the least loaded goes over its bound, by few groups at a time.
            let member = choice ?? leastLoaded(besides: zones, at: position, bound: bound)
            if choice == nil { room = min(room, 16) }
            list.append(UInt16(member))
            zones.append(members[member].zone)
        }
        return (list, room)
    }

    private func leastLoaded(besides zones: [UInt32], at position: Int, bound: LoadBound) -> Int {
        members.indices.filter { !zones.contains(members[$0].zone) }
            .max { (bound.room($0, at: position), $1) < (bound.room($1, at: position), $0) }!
    }

    /// The members in the order in which their first points follow a place, found as far as asked for.
    private struct Successors {
        let tokens: [Token]
        let start: Int
        var walked = 0
        var found: [Int] = []
        var isFound: [Bool]

        init(tokens: [Token], start: Int, members: Int) {
            (self.tokens, self.start) = (tokens, start)
            isFound = Array(repeating: false, count: members)
        }

        mutating func first(where accepts: (Int) -> Bool) -> Int? {
            for member in found where accepts(member) { return member }
            while walked < tokens.count {
                let member = Int(tokens[(start + walked) % tokens.count].member)
                walked += 1
                if isFound[member] { continue }
                isFound[member] = true
                found.append(member)
                if accepts(member) { return member }
            }
            return nil
        }
    }
}

/// The finalizer of SplitMix64: spreads every bit of `value` over all bits of the result.
func mixed(_ value: UInt64) -> UInt64 {
    var x = value &+ 0x9E37_79B9_7F4A_7C15
    x = (x ^ x >> 30) &* 0xBF58_476D_1CE4_E5B9
    x = (x ^ x >> 27) &* 0x94D0_49BB_1331_11EB
    return x ^ x >> 31
}
