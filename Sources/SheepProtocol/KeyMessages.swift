package import ObjectModel

// Proof of the cluster's key, before anything else is said on a connection:
//
//   dialer                                   listener
//     authenticate: KeyChallenge        →
//                                       ←    KeyAnswer (with the listener's proof)
//     prove: KeyProof                   →
//                                       ←    an empty reply: every other operation is allowed from now on
//
// A proof is HMAC-SHA256 under the key, over the side's own label, the challenge and the answer: whoever has not the key cannot
// make one, a recorded one is of other nonces, and one side's proof is not the other's.

/// 32 random bytes that were never used before.
package struct KeyNonce: Hashable, WireCodable {
    package static let size = 32
    package let bytes: [UInt8]

    package init(bytes: [UInt8]) {
        precondition(bytes.count == Self.size)
        self.bytes = bytes
    }

    package init(from reader: inout WireReader) throws(WireError) { bytes = try reader.readBytes(count: Self.size) }
    package func encode(to writer: inout WireWriter) { writer.append(bytes) }
}

/// Who dials.
package enum KeyDialer: Hashable, WireCodable {
    /// A sheep, in this run; its `hello` must say the same.
    case sheep(Hello)
    /// `dog`, `sheepfs`: no operation between sheep is theirs.
    case tool

    package init(from reader: inout WireReader) throws(WireError) {
        switch try reader.read(UInt8.self) {
        case 1: self = .sheep(try reader.readValue())
        case 2: self = .tool
        default: throw .invalid("dialer")
        }
    }

    package func encode(to writer: inout WireWriter) {
        switch self {
        case .sheep(let hello):
            writer.write(UInt8(1))
            writer.write(hello)
        case .tool: writer.write(UInt8(2))
        }
    }
}

package struct KeyChallenge: Hashable, WireCodable {
    /// Another number here would be another way to prove.
    package static let version: UInt8 = 1

    package var dialer: KeyDialer
    package var nonce: KeyNonce
    package init(dialer: KeyDialer, nonce: KeyNonce) { (self.dialer, self.nonce) = (dialer, nonce) }

    package init(from reader: inout WireReader) throws(WireError) {
        guard try reader.read(UInt8.self) == Self.version else { throw .invalid("version of the key's proof") }
        dialer = try reader.readValue()
        nonce = try reader.readValue()
    }

    package func encode(to writer: inout WireWriter) {
        writer.write(Self.version)
        writer.write(dialer)
        writer.write(nonce)
    }
}

/// What one side has proven with; of HMAC-SHA256.
package struct KeyProof: Hashable, WireCodable {
    package static let size = 32
    package let bytes: [UInt8]

    package init(bytes: [UInt8]) {
        precondition(bytes.count == Self.size)
        self.bytes = bytes
    }

    package init(from reader: inout WireReader) throws(WireError) { bytes = try reader.readBytes(count: Self.size) }
    package func encode(to writer: inout WireWriter) { writer.append(bytes) }
}

package struct KeyAnswer: Hashable, WireCodable {
    /// Which sheep answers, in which run.
    package var listener: Hello
    package var nonce: KeyNonce
    package var proof: KeyProof
    package init(listener: Hello, nonce: KeyNonce, proof: KeyProof) { (self.listener, self.nonce, self.proof) = (listener, nonce, proof) }

    package init(from reader: inout WireReader) throws(WireError) {
        listener = try reader.readValue()
        nonce = try reader.readValue()
        proof = try reader.readValue()
    }

    package func encode(to writer: inout WireWriter) {
        writer.write(listener)
        writer.write(nonce)
        writer.write(proof)
    }
}
