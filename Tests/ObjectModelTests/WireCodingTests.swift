import ObjectModel
import Testing

@Suite struct WireCodingTests {
    @Test("an object name survives the round trip, and every truncation is refused")
    func objectName() throws {
        let name = ObjectName(family: Family(rawValue: 7), index: 9, birth: Birth(rawValue: 11), kind: .vmstate)
        let bytes = name.wire
        #expect(bytes.count == 21)
        #expect(try ObjectName(wire: bytes) == name)
        for length in 0..<bytes.count {
            #expect(throws: WireError.self) { try ObjectName(wire: Array(bytes.prefix(length))) }
        }
    }

    @Test("the preferred VID is Sheepdog's", arguments: [("test", 0x7c2b25), ("alice", 0xa03907), ("bob", 0x4a0a54), ("a", 0x01ec8c)])
    func preferredVID(name: String, expected: Int) {
        #expect(VID.preferred(for: name).rawValue == UInt32(expected))
    }

    @Test("a UUID reads back as printed")
    func uuid() {
        let id = NodeID.random()
        #expect(NodeID(id.description) == id)
        #expect(NodeID("not a uuid") == nil)
    }
}
