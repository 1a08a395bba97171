package import ObjectModel

/// A member's answer to the leader of a view than which it has promised no higher one.
package struct Status: Hashable, WireCodable {
    package var view: View
    /// The last round that the sender heard of.
    package var round: UInt64
    /// On its disk, the sender's log is a beginning of the view's.
    package var isFollowing: Bool
    /// The last entry of the view's log on the sender's disk; 0 when not following.
    package var durable: LogIndex
    /// The log is to be sent from here on: the last entry received of the view's log, else the last committed one.
    package var received: LogIndex

    package init(view: View, round: UInt64, isFollowing: Bool, durable: LogIndex, received: LogIndex) {
        self.view = view
        self.round = round
        self.isFollowing = isFollowing
        self.durable = durable
        self.received = received
    }

    package init(from reader: inout WireReader) throws(WireError) {
        view = try reader.readValue()
        round = try reader.read()
        isFollowing = try reader.readBool()
        durable = try reader.readIndex()
        received = try reader.readIndex()
    }

    package func encode(to writer: inout WireWriter) {
        writer.write(view)
        writer.write(round)
        writer.write(isFollowing)
        writer.write(durable)
        writer.write(received)
    }
}
