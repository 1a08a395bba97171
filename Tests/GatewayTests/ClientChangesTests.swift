import Gateway
import ObjectModel
import SheepProtocol
import Testing

@Suite("Changes that a client sends again")
struct ClientChangesTests {
    private func identity(_ number: UInt64) -> WriteIdentity { WriteIdentity(client: ClientID(high: 1, low: 2), number: number) }

    @Test("a repeat joins the first copy while that is under way, and is answered like it afterwards")
    func once() {
        var changes = ClientChanges()
        var answers: [String] = []
        #expect(changes.began(identity(1)) { _ in answers.append("first") } == .first)
        #expect(changes.began(identity(1)) { _ in answers.append("repeat") } == .joined)
        #expect(changes.began(identity(2)) { _ in } == .first)
        for answer in changes.ended(identity(1), failed: false) { answer(nil) }
        #expect(answers == ["first", "repeat"])
        #expect(changes.began(identity(1)) { _ in } == .done)
        #expect(changes.ended(identity(1), failed: false).isEmpty)
    }

    @Test("what failed may be tried again")
    func failed() {
        var changes = ClientChanges()
        #expect(changes.began(identity(1)) { _ in } == .first)
        #expect(changes.ended(identity(1), failed: true).count == 1)
        #expect(changes.began(identity(1)) { _ in } == .first)
    }

    @Test("the oldest of 1,024 is forgotten, and what is so old is not done any more; of each client its own")
    func bounded() {
        var changes = ClientChanges()
        for number in 1...1025 as ClosedRange<UInt64> {
            #expect(changes.began(identity(number)) { _ in } == .first)
            _ = changes.ended(identity(number), failed: false)
        }
        #expect(changes.began(identity(1)) { _ in } == .outdated)
        #expect(changes.began(identity(2)) { _ in } == .done)
        let other = WriteIdentity(client: ClientID(high: 3, low: 4), number: 2)
        #expect(changes.began(other) { _ in } == .first)
    }
}
