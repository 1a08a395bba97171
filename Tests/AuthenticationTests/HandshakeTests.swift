import ObjectModel
import SheepProtocol
import Testing

import Authentication

let key = ClusterKey(bytes: [UInt8](0..<32))
let otherKey = ClusterKey(bytes: [UInt8](1...32))
let alice = Hello(node: NodeID(high: 1, low: 1), boot: BootID(rawValue: 11))
let bob = Hello(node: NodeID(high: 2, low: 2), boot: BootID(rawValue: 22))

func nonce(_ byte: UInt8) -> KeyNonce { KeyNonce(bytes: [UInt8](repeating: byte, count: 32)) }

@Suite("Proof of the cluster's key, as a conversation")
struct HandshakeTests {
    private func dialing(_ key: ClusterKey = key, _ dialer: KeyDialer = .sheep(alice), nonce byte: UInt8 = 1, to expected: Hello? = bob)
        -> DialingHandshake
    {
        DialingHandshake(key: key, dialer: dialer, expected: expected, nonce: nonce(byte))
    }

    private func listening(_ key: ClusterKey = key, _ own: Hello = bob, nonce byte: UInt8 = 2) -> ListeningHandshake {
        ListeningHandshake(key: key, own: own, nonce: nonce(byte))
    }

    private func body(_ action: DialingHandshake.Action) throws -> [UInt8] {
        guard case .send(_, let body) = action else { throw Unexpected() }
        return body
    }

    private func body(_ action: ListeningHandshake.Action) throws -> [UInt8] {
        guard case .reply(let body) = action else { throw Unexpected() }
        return body
    }

    private struct Unexpected: Error {}

    private func isRefusal(_ action: ListeningHandshake.Action) -> Bool {
        if case .refuse(let error) = action { error.code == .accessDenied && !error.message.isEmpty } else { false }
    }

    private func isFailure(_ action: DialingHandshake.Action) -> Bool {
        if case .fail(let reason) = action { !reason.isEmpty } else { false }
    }

    @Test("two sides with the same key: both are sure, the dialer is who it says", arguments: [KeyDialer.sheep(alice), .tool])
    func agreement(_ dialer: KeyDialer) throws {
        var dialing = dialing(key, dialer)
        var listening = listening()
        let answer = try body(listening.received(.authenticate, body: body(dialing.opening)))
        let proof = try body(dialing.received(.authenticate, result: 0, body: answer))
        #expect(listening.received(.prove, body: proof) == .admit(dialer))
        #expect(dialing.received(.prove, result: 0, body: []) == .finish)
    }

    @Test("the dialer has another key: it says so itself, and its proof would be refused")
    func otherKeyDials() throws {
        var dialing = dialing(otherKey)
        var listening = listening()
        let challenge = try body(dialing.opening)
        let answer = try body(listening.received(.authenticate, body: challenge))
        #expect(isFailure(dialing.received(.authenticate, result: 0, body: answer)))
        #expect(listening.whyEnded.contains("another cluster key"))
        let decoded = try KeyAnswer(wire: answer)
        let forged = otherKey.proof(by: .dialer, try KeyChallenge(wire: challenge), decoded.listener, decoded.nonce)
        #expect(isRefusal(listening.received(.prove, body: forged.wire)))
    }

    @Test("a dialer without a key is refused with a text, whatever it begins with", arguments: Operation.allCases)
    func noKey(_ operation: SheepProtocol.Operation) {
        guard operation != .authenticate else { return }
        var listening = listening()
        #expect(listening.received(operation, body: bob.wire) == .refuse(ListeningHandshake.noKey))
        #expect(isRefusal(listening.received(.authenticate, body: KeyChallenge(dialer: .tool, nonce: nonce(1)).wire)), "too late")
    }

    @Test("the listener has no key, or refuses: the dialer does not go on without")
    func noDowngrade() {
        for operation in [SheepProtocol.Operation.authenticate, .hello, .prove] {
            var dialing = dialing()
            let refusal = SheepError(.accessDenied, "no key here")
            #expect(dialing.received(operation, result: refusal.code.rawValue, body: refusal.wire) == .fail("no key here"))
            #expect(isFailure(dialing.received(.prove, result: 0, body: [])))
        }
        var dialing = dialing()
        #expect(isFailure(dialing.received(.hello, result: 0, body: bob.wire)), "a hello is no proof")
        dialing = self.dialing()
        #expect(isFailure(dialing.received(.prove, result: 0, body: [])), "the second reply is not the first")
    }

    @Test("a recorded answer does not serve another challenge, a recorded proof no other listener's nonce")
    func replay() throws {
        var first = dialing()
        var listener = listening()
        let challenge = try body(first.opening)
        let answer = try body(listener.received(.authenticate, body: challenge))
        let proof = try body(first.received(.authenticate, result: 0, body: answer))
        var second = dialing(nonce: 7)
        #expect(isFailure(second.received(.authenticate, result: 0, body: answer)))
        var again = listening(nonce: 8)
        _ = again.received(.authenticate, body: challenge)
        #expect(isRefusal(again.received(.prove, body: proof)))
    }

    @Test("what a side has sent is of no use when it is sent back to it, or to another of the same key")
    func reflection() throws {
        var dialing = dialing(key, .tool, to: nil)
        let challenge = try body(dialing.opening)
        #expect(isFailure(dialing.received(.authenticate, result: 0, body: challenge)))
        // The listener's own proof, in place of the dialer's.
        var listener = listening()
        let answer = try KeyAnswer(wire: try body(listener.received(.authenticate, body: challenge)))
        #expect(isRefusal(listener.received(.prove, body: answer.proof.wire)))
        // A challenge sent on to the challenger itself is answered by the wrong node, and not at all.
        var itself = listening(key, alice)
        #expect(isRefusal(itself.received(.authenticate, body: KeyChallenge(dialer: .sheep(alice), nonce: nonce(1)).wire)))
    }

    @Test("another sheep than the one meant, or another run of it, is not taken for it")
    func otherSheep() throws {
        for other in [Hello(node: bob.node, boot: alice.boot), Hello(node: alice.node, boot: bob.boot)] {
            var dialing = dialing(key, .sheep(Hello(node: NodeID(high: 3, low: 3), boot: BootID(rawValue: 33))))
            var listening = listening(key, other)
            let answer = try body(listening.received(.authenticate, body: body(dialing.opening)))
            #expect(isFailure(dialing.received(.authenticate, result: 0, body: answer)))
        }
    }

    @Test("every changed bit of what is exchanged ends it")
    func tampering() throws {
        var honest = dialing()
        let challenge = try body(honest.opening)
        var listener = listening()
        let answer = try body(listener.received(.authenticate, body: challenge))
        for bit in 0..<8 * answer.count {
            var changed = answer
            changed[bit / 8] ^= 1 << UInt8(bit % 8)
            var dialing = dialing(to: nil)
            #expect(isFailure(dialing.received(.authenticate, result: 0, body: changed)), "bit \(bit) of the answer")
        }
        // A challenge changed on its way: the proof of the honest dialer is of another one.
        let proof = try body(honest.received(.authenticate, result: 0, body: answer))
        for bit in 8..<8 * challenge.count {
            var changed = challenge
            changed[bit / 8] ^= 1 << UInt8(bit % 8)
            var listener = listening()
            if isRefusal(listener.received(.authenticate, body: changed)) { continue }
            #expect(isRefusal(listener.received(.prove, body: proof)), "bit \(bit) of the challenge")
        }
        for bit in 0..<8 * proof.count {
            var changed = proof
            changed[bit / 8] ^= 1 << UInt8(bit % 8)
            var listener = listening()
            _ = listener.received(.authenticate, body: challenge)
            #expect(isRefusal(listener.received(.prove, body: changed)), "bit \(bit) of the proof")
        }
    }

    @Test("every truncation, and every byte too many, ends it")
    func truncation() throws {
        var honest = dialing()
        let challenge = try body(honest.opening)
        var listener = listening()
        let answer = try body(listener.received(.authenticate, body: challenge))
        let proof = try body(honest.received(.authenticate, result: 0, body: answer))
        for wrong in cuts(challenge) {
            var listener = listening()
            #expect(isRefusal(listener.received(.authenticate, body: wrong)))
        }
        for wrong in cuts(answer) {
            var dialing = dialing()
            #expect(isFailure(dialing.received(.authenticate, result: 0, body: wrong)))
        }
        for wrong in cuts(proof) {
            var listener = listening()
            _ = listener.received(.authenticate, body: challenge)
            #expect(isRefusal(listener.received(.prove, body: wrong)))
        }
    }

    private func cuts(_ bytes: [UInt8]) -> [[UInt8]] { (0..<bytes.count).map { Array(bytes.prefix($0)) } + [bytes + [0]] }

    @Test("a proof is HMAC-SHA256 as RFC 4231 has it, over what is documented")
    func value() throws {
        // Made with Python's hmac module.
        let challenge = KeyChallenge(dialer: .sheep(alice), nonce: nonce(1))
        let proof = key.proof(by: .dialer, challenge, bob, nonce(2))
        #expect(String(decoding: ClusterKey.text(of: proof.bytes), as: UTF8.self) == Self.wanted + "\n")
    }

    private static let wanted = "9b61ce1afa8075d789f257b762fe55d7098c2261c83e8e6c7a05c111d07c30d4"
}
