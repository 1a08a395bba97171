import Glibc

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
