package import ObjectModel

/// The leader's log, always to its end; to one node or to all. Answered by ``Status``.
package struct Append: Hashable, WireCodable {
    package var view: View
    package var part: LogPart
    /// What the leader knows to be committed.
    package var committed: LogIndex

    package init(view: View, part: LogPart, committed: LogIndex) {
        self.view = view
        self.part = part
        self.committed = committed
    }

    package init(from reader: inout WireReader) throws(WireError) {
        view = try reader.readValue()
        part = try reader.readValue()
        committed = try reader.readIndex()
    }

    package func encode(to writer: inout WireWriter) {
        writer.write(view)
        writer.write(part)
        writer.write(committed)
    }
}
