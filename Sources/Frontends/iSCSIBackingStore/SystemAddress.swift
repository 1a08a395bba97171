import Glibc

extension [SheepdogNode] {
    /// By the bytes of the address, then by port, as Sheepdog's clients number nodes.
    package var byAddress: [SheepdogNode] {
        map { (bytes: SystemAddress.bytes(of: $0.host), node: $0) }
            .sorted {
                if $0.bytes != $1.bytes { return $0.bytes.lexicographicallyPrecedes($1.bytes) }
                return ($0.node.host, $0.node.port) < ($1.node.host, $1.node.port)
            }
            .map(\.node)
    }
}

/// Addresses of nodes in Sheepdog's form.
enum SystemAddress {
    /// 16 bytes: of IPv6, or twelve zeros and IPv4; zeros for a name, which Sheepdog's records have no room for.
    static func bytes(of host: String) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: 16)
        if inet_pton(AF_INET6, host, &bytes) == 1 { return bytes }
        var short = [UInt8](repeating: 0, count: 4)
        if inet_pton(AF_INET, host, &short) == 1 { bytes.replaceSubrange(12..<16, with: short) }
        return bytes
    }
}
