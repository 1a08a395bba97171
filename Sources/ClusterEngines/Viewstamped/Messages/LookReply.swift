package import ObjectModel

/// A majority of the voters has answered a round that began after the look: nothing beyond `committed` had been committed before.
package struct LookReply: Hashable, WireCodable {
    package var boot: BootID
    package var number: UInt64
    package var committed: LogIndex

    package init(boot: BootID, number: UInt64, committed: LogIndex) {
        self.boot = boot
        self.number = number
        self.committed = committed
    }

    package init(from reader: inout WireReader) throws(WireError) {
        boot = try reader.readValue()
        number = try reader.read()
        committed = try reader.readIndex()
    }

    package func encode(to writer: inout WireWriter) {
        writer.write(boot)
        writer.write(number)
        writer.write(committed)
    }
}
