import Simulation
import Testing

/// A failed expectation describes what it was made of, and a run is too much.
func expect(_ holds: Bool, _ otherwise: String, at location: SourceLocation = #_sourceLocation) {
    #expect(holds, Comment(rawValue: otherwise), sourceLocation: location)
}

extension DirectedCluster {
    /// Nanoseconds.
    static let second: UInt64 = 1_000_000_000

    func succeed(_ request: Request, at location: SourceLocation = #_sourceLocation) {
        let isAnswered = run(atMost: 30 * Self.second) { request.isAnswered }
        expect(isAnswered && request.hasSucceeded, request.failure ?? "no answer", at: location)
    }

    /// To be called last: every copy comes into sync, and the checkers have found nothing.
    func endQuietly() {
        expect(run(atMost: 60 * Self.second) { isComplete }, "not all copies are in sync")
        checkQuiet()
        expect(failures.isEmpty, "\(failures.prefix(3))")
        end()
    }

    /// To be called last, where what is wrong stays so: the checkers have found nothing until now.
    func endAsItIs(at location: SourceLocation = #_sourceLocation) {
        expect(failures.isEmpty, "\(failures.prefix(3))", at: location)
        end()
    }
}
