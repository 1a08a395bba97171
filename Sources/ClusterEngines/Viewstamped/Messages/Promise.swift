package import ObjectModel

/// Given once the promise is durable: what the sender had when it made it, which nothing but a higher view can change.
package struct Promise: Hashable, WireCodable {
    package var view: View
    package var lastNormal: View
    package var last: LogIndex
    /// The leader sends the log from here on.
    package var committed: LogIndex
    /// Who decides about the sender's log.
    package var voters: Voters

    package init(view: View, lastNormal: View, last: LogIndex, committed: LogIndex, voters: Voters) {
        self.view = view
        self.lastNormal = lastNormal
        self.last = last
        self.committed = committed
        self.voters = voters
    }

    package init(from reader: inout WireReader) throws(WireError) {
        view = try reader.readValue()
        lastNormal = try reader.readValue()
        last = try reader.readIndex()
        committed = try reader.readIndex()
        voters = try reader.readValue()
    }

    package func encode(to writer: inout WireWriter) {
        writer.write(view)
        writer.write(lastNormal)
        writer.write(last)
        writer.write(committed)
        writer.write(voters)
    }
}
