import NIOCore
import Testing
import Transport

@Suite("Ranges of addresses")
struct AddressRangeTests {
    private func address(_ text: String) throws -> SocketAddress { try SocketAddress(ipAddress: text, port: 7000) }

    @Test(
        "an address is in a range when its first bits are",
        arguments: [
            ("192.0.2.0/24", "192.0.2.255", true), ("192.0.2.0/24", "192.0.3.0", false), ("192.0.2.77/24", "192.0.2.1", true),
            ("192.0.2.7", "192.0.2.7", true), ("192.0.2.7", "192.0.2.6", false), ("0.0.0.0/0", "203.0.113.9", true),
            ("0.0.0.0/0", "2001:db8::1", false), ("10.128.0.0/9", "10.127.255.255", false), ("10.128.0.0/9", "10.200.0.1", true),
            ("2001:db8::/33", "2001:db8:7fff::1", true), ("2001:db8::/33", "2001:db8:8000::1", false), ("::/0", "2001:db8::1", true),
            ("192.0.2.0/24", "::ffff:192.0.2.9", true), ("::ffff:192.0.2.0", "192.0.2.0", true),
        ])
    func contains(_ range: String, _ text: String, _ wanted: Bool) throws {
        let range = try #require(AddressRange(range))
        #expect(range.contains(try address(text)) == wanted)
    }

    @Test("what is no range is refused", arguments: ["", "/", "192.0.2.0/", "192.0.2.0/33", "192.0.2.0/-1", "192.0.2/24", "::1/129", "host", "1.2.3.4/8/8"])
    func refused(_ text: String) { #expect(AddressRange(text) == nil) }

    @Test("the loopback is told from everything else")
    func loopback() throws {
        for host in ["127.0.0.1", "127.9.8.7", "::1", "localhost", "::ffff:127.0.0.1"] {
            #expect(AddressRange.isLoopback(host: host), "\(host)")
        }
        for host in ["0.0.0.0", "::", "192.0.2.1", "128.0.0.1", "fe80::1", "", "localhost.example.com"] {
            #expect(!AddressRange.isLoopback(host: host), "\(host)")
        }
    }
}
