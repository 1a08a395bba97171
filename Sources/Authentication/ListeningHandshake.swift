package import ObjectModel
package import SheepProtocol

/// The listener's side of the proof. A decider: no socket, no clock, no randomness.
package struct ListeningHandshake {
    private enum State {
        case waiting
        case challenged(KeyChallenge)
        case ended
    }

    package enum Action: Hashable {
        case reply([UInt8])
        /// The last reply; then everything else that comes is to be served.
        case admit(KeyDialer)
        /// The reply to what came; then the connection ends.
        case refuse(SheepError)
    }

    private let key: ClusterKey
    private let own: Hello
    private let nonce: KeyNonce
    private var state = State.waiting

    package init(key: ClusterKey, own: Hello, nonce: KeyNonce) { (self.key, self.own, self.nonce) = (key, own, nonce) }

    package mutating func received(_ operation: Operation, body: [UInt8]) -> Action {
        switch state {
        case .waiting:
            guard operation == .authenticate else {
                state = .ended
                return .refuse(Self.noKey)
            }
            guard let challenge = try? KeyChallenge(wire: body) else { return refuse("the challenge cannot be read") }
            if case .sheep(let hello) = challenge.dialer, hello.node == own.node {
                return refuse("a sheep dials itself, or another one has a copy of its store")
            }
            state = .challenged(challenge)
            return .reply(KeyAnswer(listener: own, nonce: nonce, proof: key.proof(by: .listener, challenge, own, nonce)).wire)
        case .challenged(let challenge):
            guard operation == .prove, let proof = try? KeyProof(wire: body),
                key.isValid(proof, by: .dialer, challenge, own, nonce)
            else { return refuse("the other side has another cluster key than this sheep") }
            state = .ended
            return .admit(challenge.dialer)
        case .ended: return refuse("nothing may follow")
        }
    }

    /// Why nobody is admitted when the connection ends now.
    package var whyEnded: String {
        switch state {
        case .waiting, .ended: "the connection ended before a key was proven"
        case .challenged: "it ended the connection when it saw this sheep's proof: it has another cluster key"
        }
    }

    private mutating func refuse(_ text: String) -> Action {
        state = .ended
        return .refuse(SheepError(.accessDenied, text))
    }

    /// To whoever begins with anything else.
    package static let noKey = SheepError(
        .accessDenied, "this sheep wants the cluster's key: give the key file with --key FILE")
}
