import Glibc
package import NIOCore

/// IP addresses that share their first bits: "192.0.2.0/24", "fd00::/8", or one alone.
package struct AddressRange: Sendable, Hashable {
    private let bytes: [UInt8]
    private let bits: Int

    /// Nil when the text is no address, or the number of bits is not one of its kind.
    package init?(_ text: String) {
        let parts = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        guard let bytes = Self.bytes(of: String(parts[0])) else { return nil }
        self.bytes = bytes
        guard parts.count == 2 else {
            bits = bytes.count * 8
            return
        }
        guard let bits = Int(parts[1]), (0...bytes.count * 8).contains(bits) else { return nil }
        self.bits = bits
    }

    package func contains(_ address: SocketAddress) -> Bool {
        guard let other = Self.bytes(of: address), other.count == bytes.count else { return false }
        for bit in 0..<bits where (bytes[bit / 8] ^ other[bit / 8]) & (0x80 >> UInt8(bit % 8)) != 0 { return false }
        return true
    }

    /// What reaches only programs of this machine.
    private static let loopback = [AddressRange("127.0.0.0/8")!, AddressRange("::1")!]

    package static func isLoopback(_ address: SocketAddress) -> Bool { loopback.contains { $0.contains(address) } }

    /// Of a host as it is given to a listener: an address, or the one name that means the loopback everywhere.
    package static func isLoopback(host: String) -> Bool {
        if host == "localhost" { return true }
        return (try? SocketAddress(ipAddress: host, port: 0)).map { isLoopback($0) } ?? false
    }

    private static func bytes(of address: SocketAddress) -> [UInt8]? { address.ipAddress.flatMap { bytes(of: $0) } }

    /// 4 or 16. An IPv4 address that came through an IPv6 socket is itself again.
    private static func bytes(of text: String) -> [UInt8]? {
        var bytes = [UInt8](repeating: 0, count: 16)
        if inet_pton(AF_INET, text, &bytes) == 1 { return Array(bytes[..<4]) }
        guard inet_pton(AF_INET6, text, &bytes) == 1 else { return nil }
        return bytes.starts(with: mappedPrefix) ? Array(bytes[12...]) : bytes
    }

    private static let mappedPrefix: [UInt8] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF]
}
