package import ObjectModel

/// The leader is there; opens a round that the members answer with ``Status``.
package struct Heartbeat: Hashable, WireCodable {
    package var view: View
    /// Counts within the view.
    package var round: UInt64
    package var committed: LogIndex

    package init(view: View, round: UInt64, committed: LogIndex) {
        self.view = view
        self.round = round
        self.committed = committed
    }

    package init(from reader: inout WireReader) throws(WireError) {
        view = try reader.readValue()
        round = try reader.read()
        committed = try reader.readIndex()
    }

    package func encode(to writer: inout WireWriter) {
        writer.write(view)
        writer.write(round)
        writer.write(committed)
    }
}
