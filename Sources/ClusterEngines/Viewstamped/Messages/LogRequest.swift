package import ObjectModel

/// Asks who has the best log for what the new leader lacks of it. Answered by ``LogReply``.
package struct LogRequest: Hashable, WireCodable {
    package var view: View
    package var after: LogIndex

    package init(view: View, after: LogIndex) {
        self.view = view
        self.after = after
    }

    package init(from reader: inout WireReader) throws(WireError) {
        view = try reader.readValue()
        after = try reader.readIndex()
    }

    package func encode(to writer: inout WireWriter) {
        writer.write(view)
        writer.write(after)
    }
}
