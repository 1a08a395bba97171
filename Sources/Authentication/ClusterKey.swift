import Crypto
import ObjectModel
package import SheepProtocol

/// The secret that all sheep and tools of one cluster share.
package struct ClusterKey: Sendable {
    package static let size = 32
    private let key: SymmetricKey

    /// - Parameter bytes: 32, of a generator fit for secrets.
    package init(bytes: [UInt8]) {
        precondition(bytes.count == Self.size)
        key = SymmetricKey(data: bytes)
    }

    /// The inside of a key file: 64 hexadecimal digits and a line end; nil for anything else.
    package init?(text: [UInt8]) {
        var digits = text[...]
        while let last = digits.last, last == 10 || last == 13 { digits.removeLast() }
        guard digits.count == 2 * Self.size else { return nil }
        var bytes: [UInt8] = []
        while let high = digits.popFirst(), let low = digits.popFirst() {
            guard let high = Self.value(high), let low = Self.value(low) else { return nil }
            bytes.append(high << 4 | low)
        }
        self.init(bytes: bytes)
    }

    private static func value(_ digit: UInt8) -> UInt8? {
        switch digit {
        case 0x30...0x39: digit - 0x30
        case 0x41...0x46: digit - 0x41 + 10
        case 0x61...0x66: digit - 0x61 + 10
        default: nil
        }
    }

    /// What ``init(text:)`` reads.
    package static func text(of bytes: [UInt8]) -> [UInt8] {
        let digits = Array("0123456789abcdef".utf8)
        return bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] } + [10]
    }

    // MARK: Proofs

    /// Which side proves: a proof of one is none of the other, so that nothing is gained by sending one back.
    package enum Side: String {
        case dialer = "sheepdog cluster key, version 1, dialer"
        case listener = "sheepdog cluster key, version 1, listener"
    }

    private func bytes(_ side: Side, _ challenge: KeyChallenge, _ listener: Hello, _ nonce: KeyNonce) -> [UInt8] {
        var writer = WireWriter(reserving: 256)
        writer.write(side.rawValue)
        writer.write(challenge)
        writer.write(listener)
        writer.write(nonce)
        return writer.bytes
    }

    package func proof(by side: Side, _ challenge: KeyChallenge, _ listener: Hello, _ nonce: KeyNonce) -> KeyProof {
        KeyProof(bytes: Array(HMAC<SHA256>.authenticationCode(for: bytes(side, challenge, listener, nonce), using: key)))
    }

    /// Takes the same time whatever byte is wrong.
    func isValid(
        _ proof: KeyProof, by side: Side, _ challenge: KeyChallenge, _ listener: Hello, _ nonce: KeyNonce
    ) -> Bool {
        HMAC<SHA256>.isValidAuthenticationCode(
            proof.bytes, authenticating: bytes(side, challenge, listener, nonce), using: key)
    }
}
