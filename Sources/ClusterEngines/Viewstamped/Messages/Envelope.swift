package import ObjectModel

/// A message with its sender and receiver: stores, not addresses, for an address may come back with an empty store.
///
/// log 17 | sender 16 | receiver 17 | message; an identity that may be absent has a flag before it.
package struct Envelope: Hashable, WireCodable {
    /// Nil: the sender has no log yet.
    package var log: LogID?
    package var sender: NodeID
    /// Nil: all members of the group.
    package var receiver: NodeID?
    package var message: Message

    package init(log: LogID?, sender: NodeID, receiver: NodeID?, message: Message) {
        (self.log, self.sender, self.receiver, self.message) = (log, sender, receiver, message)
    }

    package init(from reader: inout WireReader) throws(WireError) {
        log = try reader.readOptional()
        sender = try reader.readValue()
        receiver = try reader.readOptional()
        message = try reader.readValue()
    }

    package func encode(to writer: inout WireWriter) {
        writer.write(optional: log)
        writer.write(sender)
        writer.write(optional: receiver)
        writer.write(message)
    }
}
