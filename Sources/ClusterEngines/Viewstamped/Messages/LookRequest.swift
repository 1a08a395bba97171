package import ObjectModel

/// Asks the leader for the committed end of the log after a round that begins later than this. Answered by ``LookReply``.
package struct LookRequest: Hashable, WireCodable {
    /// The sender's run: an answer to a former run would prolong a lease.
    package var boot: BootID
    package var number: UInt64

    package init(boot: BootID, number: UInt64) {
        self.boot = boot
        self.number = number
    }

    package init(from reader: inout WireReader) throws(WireError) {
        boot = try reader.readValue()
        number = try reader.read()
    }

    package func encode(to writer: inout WireWriter) {
        writer.write(boot)
        writer.write(number)
    }
}
