import ObjectModel
import Testing

/// The value comes back from its bytes; every truncation and every byte too many is refused.
func expectRoundTrip<Value: WireCodable & Equatable>(
    _ value: Value, sourceLocation: SourceLocation = #_sourceLocation
) throws {
    let bytes = value.wire
    #expect(try Value(wire: bytes) == value, sourceLocation: sourceLocation)
    for length in 0..<bytes.count {
        #expect(throws: WireError.self, "cut to \(length) of \(bytes.count)", sourceLocation: sourceLocation) {
            try Value(wire: Array(bytes.prefix(length)))
        }
    }
    #expect(throws: WireError.self, sourceLocation: sourceLocation) { try Value(wire: bytes + [0]) }
}
