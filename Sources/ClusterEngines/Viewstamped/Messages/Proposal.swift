package import ObjectModel

/// An entry for exactly this index, which the sender has seen the one before committed of. Sent until something is committed there.
package struct Proposal: Hashable, WireCodable {
    package var index: LogIndex
    package var entry: LogEntry

    package init(index: LogIndex, entry: LogEntry) {
        self.index = index
        self.entry = entry
    }

    package init(from reader: inout WireReader) throws(WireError) {
        index = try reader.readIndex()
        entry = try reader.readValue()
    }

    package func encode(to writer: inout WireWriter) {
        writer.write(index)
        writer.write(entry)
    }
}
