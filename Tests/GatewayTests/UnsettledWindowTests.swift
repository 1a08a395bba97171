import Gateway
import ObjectModel
import SheepProtocol
import Testing

/// What a replica remembers of changes that some member may lack.
@Suite struct UnsettledWindowTests {
    private static let name = ObjectName(family: Family(rawValue: 1), index: 2, birth: Birth(rawValue: 3))

    private func record(_ term: UInt64, _ sequence: UInt64) -> UnsettledRecord {
        UnsettledRecord(
            term: Term(rawValue: term), sequence: Sequence(rawValue: sequence), object: Self.name, kind: .write, offset: 0, length: 4096,
            origin: nil)
    }

    private func change(_ term: UInt64, _ sequence: UInt64) -> ReplicaChange {
        let context = ReplicaContext(
            volume: Self.name.birth, term: Term(rawValue: term), groupVersion: LogIndex(rawValue: 1), volumeEntry: LogIndex(rawValue: 1),
            senderIncarnation: Incarnation(rawValue: 1), receiverBoot: BootID(rawValue: 1))
        return ReplicaChange(
            context: context, object: Self.name, objectShift: 22, kind: .write, durable: false, sequence: Sequence(rawValue: sequence),
            settled: .zero, offset: 0, length: 4096, origin: nil)
    }

    private func done(_ change: ReplicaChange, _ window: inout UnsettledWindow) {
        window.began(change)
        let gathers = window.ended(change, failed: false)
        #expect(gathers.isEmpty)
    }

    /// The numbers of what a new owner is told, and whether each may be there in part only.
    private func told(_ window: UnsettledWindow) -> [(UInt64, Bool)] { window.all.map { ($0.sequence.rawValue, $0.isPartial) } }

    @Test("what comes with a copied object stands in its place by number, may be there in part, and is replaced by the change itself")
    func inherited() {
        var window = UnsettledWindow()
        let isAdmitted = window.admit(Term(rawValue: 2))
        #expect(isAdmitted)
        done(change(2, 4), &window)
        window.inherit(record(2, 5))
        window.inherit(record(1, 9))
        window.inherit(record(2, 4))
        #expect(told(window).elementsEqual([(9, true), (4, false), (5, true)], by: ==))
        done(change(2, 5), &window)
        #expect(told(window).elementsEqual([(9, true), (4, false), (5, false)], by: ==))
        window.settle(upTo: Sequence(rawValue: 4), in: Term(rawValue: 2))
        #expect(told(window).elementsEqual([(5, false)], by: ==))
    }

    @Test("an undo names what it undoes, and nothing else")
    func undo() {
        let origin = ChangeOrigin(boot: BootID(rawValue: 7), request: 8)
        let undo = ChangeOrigin.undo(of: origin)
        #expect(undo.isUndo && !origin.isUndo)
        #expect(undo.undoes(origin) && !undo.undoes(undo) && !origin.undoes(origin))
        #expect(!undo.undoes(ChangeOrigin(boot: BootID(rawValue: 7), request: 9)))
        #expect(ChangeOrigin.undo(of: nil).isUndo && !ChangeOrigin.undo(of: nil).undoes(origin))
    }
}
