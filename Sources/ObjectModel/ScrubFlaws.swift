/// What kept objects from being verified in all their copies.
package struct ScrubFlaws: Hashable, Sendable, WireCodable {
    /// Objects that no copy could make good.
    package var unsound: UInt64
    /// Of the others, those of which not all copies are there: a sheep is down, or does not have everything yet.
    package var incomplete: UInt64

    package init(unsound: UInt64 = 0, incomplete: UInt64 = 0) { (self.unsound, self.incomplete) = (unsound, incomplete) }

    package init(from reader: inout WireReader) throws(WireError) {
        unsound = try reader.read()
        incomplete = try reader.read()
    }

    package func encode(to writer: inout WireWriter) {
        writer.write(unsound)
        writer.write(incomplete)
    }

    package mutating func add(_ other: ScrubFlaws) {
        unsound += other.unsound
        incomplete += other.incomplete
    }

    package var text: String {
        if self == ScrubFlaws() { return "all are good" }
        return [(unsound, "could not be made good"), (incomplete, "lack copies")]
            .filter { $0.0 > 0 }.map { "\($0.0) \($0.1)" }.joined(separator: ", ")
    }
}
