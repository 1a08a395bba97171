import ObjectModel
package import SheepProtocol

/// The dialer's side of the proof. A decider: what it sends and whom it believes; no socket, no clock, no randomness.
package struct DialingHandshake {
    private enum State {
        case challenged
        case proven
        case ended
    }

    package enum Action: Hashable {
        case send(Operation, [UInt8])
        /// Both have proven the key.
        case finish
        /// The connection is of no use; why, as a text about the other side.
        case fail(String)
    }

    private let key: ClusterKey
    private let challenge: KeyChallenge
    /// The sheep that is meant; nil: any of the cluster.
    private let expected: Hello?
    private var state = State.challenged

    package init(key: ClusterKey, dialer: KeyDialer, expected: Hello?, nonce: KeyNonce) {
        (self.key, self.expected) = (key, expected)
        challenge = KeyChallenge(dialer: dialer, nonce: nonce)
    }

    /// The first thing to send.
    package var opening: Action { .send(.authenticate, challenge.wire) }

    package mutating func received(_ operation: Operation, result: UInt32, body: [UInt8]) -> Action {
        let action = decide(operation, result: result, body: body)
        if case .fail = action { state = .ended }
        return action
    }

    private mutating func decide(_ operation: Operation, result: UInt32, body: [UInt8]) -> Action {
        guard result == 0 else { return .fail((try? SheepError(wire: body))?.message ?? "it refused with code \(result)") }
        switch state {
        case .challenged:
            guard operation == .authenticate, let answer = try? KeyAnswer(wire: body) else { return .fail(Self.nonsense) }
            guard key.isValid(answer.proof, by: .listener, challenge, answer.listener, answer.nonce) else {
                return .fail("it has another cluster key than this side")
            }
            if let expected, expected != answer.listener { return .fail("another sheep, or another run of it, answers there") }
            state = .proven
            return .send(.prove, key.proof(by: .dialer, challenge, answer.listener, answer.nonce).wire)
        case .proven:
            guard operation == .prove, body.isEmpty else { return .fail(Self.nonsense) }
            state = .ended
            return .finish
        case .ended: return .fail(Self.nonsense)
        }
    }

    private static let nonsense = "it does not answer as a sheep with a key does"
}
