/// A running 64-bit hash of everything that made a control state, so that nodes that differ notice with the next entry.
/// It finds bugs and broken memory, not forgers.
struct StateDigest {
    private(set) var value: UInt64

    mutating func add(_ number: UInt64) { value = mixed(value ^ number) &+ number.byteSwapped }

    mutating func add(_ bytes: [UInt8]) {
        add(UInt64(bytes.count))
        bytes.withUnsafeBytes { raw in
            for offset in stride(from: 0, to: raw.count & ~7, by: 8) {
                add(UInt64(littleEndian: raw.loadUnaligned(fromByteOffset: offset, as: UInt64.self)))
            }
            for byte in raw[(raw.count & ~7)...] { add(UInt64(byte)) }
        }
    }
}

/// An entry was made for another state than this node's: one of the two is damaged, and this one must not go on.
package struct StateMismatch: Error, Hashable, Sendable, CustomStringConvertible {
    package var index: UInt64
    package var expected: UInt64
    package var actual: UInt64

    package var description: String {
        "the control state before entry \(index) has digest \(String(actual, radix: 16)), its proposer had "
            + "\(String(expected, radix: 16)); compare the versions of the nodes, and let this one fetch the state anew"
    }
}
