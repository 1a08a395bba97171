import Gateway
import ObjectModel
import SheepProtocol
import Testing

@Suite("Whose copy is wrong")
struct SlotComparisonTests {
    private let name = ObjectName(family: Family(rawValue: 1), index: 2, birth: Birth(rawValue: 3))
    private func node(_ number: UInt64) -> NodeID { NodeID(high: 0, low: number) }

    private func view(_ number: UInt64, _ table: [UInt32]?, moving: [Int] = [], isHole: Bool = false) -> SlotView {
        let objects = table.map {
            [SourceObject(name: name, version: LogIndex(rawValue: 1), objectShift: 22, isHole: isHole, table: $0)]
        }
        let unsettled = moving.map { block in
            UnsettledRecord(
                term: Term(rawValue: 1), sequence: Sequence(rawValue: 1), object: name, kind: .write,
                offset: UInt32(block * blockSize), length: UInt32(blockSize), origin: nil)
        }
        return SlotView(node: node(number), objects: objects ?? [], unsettled: unsettled)
    }

    /// The verdict of the same look over and over.
    private func verdict(_ views: [SlotView]) -> SlotComparison.Verdict {
        var comparison = SlotComparison()
        for _ in 0..<3 {
            let early = comparison.look(views)
            if early != .doubtful { return early }
        }
        return comparison.look(views)
    }

    @Test("equal copies agree at once, also where nobody has the object")
    func equal() {
        var comparison = SlotComparison()
        #expect(comparison.look([view(1, [5, 6]), view(2, [5, 6]), view(3, [5, 6])]) == .agreed)
        #expect(verdict([view(1, nil), view(2, nil)]) == .agreed)
        #expect(verdict([view(1, [5, 6])]) == .agreed)
        #expect(verdict([]) == .agreed)
    }

    @Test("two equal copies of three: the third is made anew")
    func majority() {
        #expect(verdict([view(1, [5, 6]), view(2, [5, 7]), view(3, [5, 6])]) == .outvoted([node(2): [name]]))
        #expect(verdict([view(1, [5, 6]), view(2, nil), view(3, [5, 6])]) == .outvoted([node(2): [name]]))
        #expect(verdict([view(1, [], isHole: true), view(2, [5]), view(3, [5])]) == .outvoted([node(1): [name]]))
    }

    @Test("of two copies the one that has the block is right; two different ones, or three, are nobody's to decide")
    func ties() {
        #expect(verdict([view(1, [5, 0]), view(2, [5, 6])]) == .outvoted([node(1): [name]]))
        #expect(verdict([view(1, [5, 7]), view(2, [5, 6])]) == .undecided([name]))
        #expect(verdict([view(1, [7]), view(2, [5]), view(3, [6])]) == .undecided([name]))
        #expect(verdict([view(1, [7]), view(2, nil)]) == .undecided([name]))
    }

    @Test("what a change under way explains is no difference")
    func moving() {
        #expect(verdict([view(1, [5, 6]), view(2, [5, 7], moving: [1]), view(3, [5, 6])]) == .agreed)
        #expect(verdict([view(1, [5, 6], moving: [0]), view(2, nil), view(3, [5, 6])]) == .agreed)
        #expect(verdict([view(1, [5, 6]), view(2, [5, 7], moving: [0]), view(3, [5, 6])]) == .outvoted([node(2): [name]]))
    }

    @Test("a difference counts only when each look shows the same, of the same members")
    func transient() {
        var comparison = SlotComparison()
        #expect(comparison.look([view(1, [5]), view(2, [6])]) == .doubtful)
        #expect(comparison.look([view(1, [7]), view(2, [6])]) == .agreed)
        comparison = SlotComparison()
        for _ in 0..<3 { #expect(comparison.look([view(1, [5]), view(2, [6]), view(3, [5])]) == .doubtful) }
        #expect(comparison.look([view(1, [5]), view(2, [6])]) == .doubtful, "others are asked now: it begins anew")
    }
}
