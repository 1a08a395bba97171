import Cluster
import ObjectModel
import Testing

@Suite struct PlacementTests {
    private func members(_ count: Int, from first: UInt64 = 1, weight: UInt32 = 128) -> [PlacementMember] {
        (0..<UInt64(count)).map {
            PlacementMember(disk: DiskID(first + $0), zone: UInt32(first + $0), weight: weight)
        }
    }

    /// Groups that each member has among the first `copies` of their lists.
    private func loads(_ placement: Placement, copies: Int) -> [Int] {
        var loads = Array(repeating: 0, count: placement.members.count)
        for group in 0..<PlacementGroup.count {
            for member in placement.list(of: PlacementGroup(rawValue: UInt16(group))).prefix(copies) { loads[Int(member)] += 1 }
        }
        return loads
    }

    @Test("equal disks have equal shares within 4 %, for every number of copies", arguments: 3...8)
    func balance(disks: Int) {
        let placement = Placement(members: members(disks))
        for copies in 1...disks {
            let fair = PlacementGroup.count * copies / disks
            for load in loads(placement, copies: copies) {
                #expect(abs(load - fair) <= fair * 4 / 100 + 1, "\(load) of \(fair) for \(copies) copies")
            }
        }
    }

    @Test("a list names every zone at most once, and all zones when there are no more than 31")
    func zones() {
        var all = members(4)
        all += (0..<4).map { PlacementMember(disk: DiskID(100 + $0), zone: UInt32($0 % 2 + 1), weight: 64) }
        let placement = Placement(members: all)
        #expect(placement.zones == 4)
        for group in stride(from: 0, to: PlacementGroup.count, by: 7) {
            let list = placement.list(of: PlacementGroup(rawValue: UInt16(group)))
            #expect(Set(list.map { placement.members[Int($0)].zone }).count == 4)
            #expect(list.count == 4)
        }
        #expect(Placement(members: members(40)).list(of: PlacementGroup(rawValue: 5)).count == 31)
    }

    @Test("shares follow weights, and what a heavy zone cannot take goes to the others")
    func weights() {
        var all = members(4)
        all[0].weight = 256
        let single = loads(Placement(members: all), copies: 1)
        #expect(abs(single[0] - PlacementGroup.count * 2 / 5) < PlacementGroup.count / 40)
        // Of two copies the heavy one has at most one.
        all[0].weight = 12_800
        let double = loads(Placement(members: all), copies: 2)
        #expect(double[0] > PlacementGroup.count * 96 / 100)
        for load in double[1...] { #expect(abs(load - PlacementGroup.count / 3) < PlacementGroup.count * 3 / 100) }
    }

    @Test("a new disk moves little more than its own share", arguments: 3...7)
    func movement(disks: Int) {
        let before = Placement(members: members(disks))
        let after = Placement(members: members(disks + 1))
        var moved = 0
        for group in 0..<PlacementGroup.count {
            let group = PlacementGroup(rawValue: UInt16(group))
            moved += Set(after.disks(of: group).prefix(3)).subtracting(before.disks(of: group).prefix(3)).count
        }
        let share = PlacementGroup.count * 3 / (disks + 1)
        #expect(moved >= share * 95 / 100 && moved <= share * 130 / 100, "\(moved) moved, \(share) is the share")
    }

    @Test("the order in which members are named does not matter")
    func order() {
        let all = members(5)
        #expect(Placement(members: all) == Placement(members: all.reversed()))
    }

    @Test("without members every list is empty")
    func empty() {
        #expect(Placement(members: []).list(of: PlacementGroup(rawValue: 9)) == [])
    }
}
