package import ObjectModel

/// The control state and the voters after the entry `index`, in place of all entries up to it. It holds only what is committed.
package struct LogSnapshot: Hashable, WireCodable {
    /// In bytes. A control state of 10,000 volumes with their history is a tenth of it.
    package static let maximumPayload = 64 << 20

    package let index: LogIndex
    package let voters: [NodeID]
    /// Empty at index 0, where there is no state yet.
    package let payload: [UInt8]

    package init(index: LogIndex, voters: [NodeID], payload: [UInt8]) {
        (self.index, self.voters, self.payload) = (index, voters, payload)
    }

    package init(from reader: inout WireReader) throws(WireError) {
        index = try reader.readIndex()
        voters = try reader.readArray()
        payload = try reader.readBytes(maximum: Self.maximumPayload)
    }

    package func encode(to writer: inout WireWriter) {
        writer.write(index)
        writer.write(voters)
        writer.write(bytes: payload)
    }
}

extension WireReader {
    /// An index that entries can be counted from without an overflow.
    mutating func readIndex() throws(WireError) -> LogIndex {
        let index: LogIndex = try readValue()
        guard index.rawValue <= 1 << 62 else { throw .invalid("log index") }
        return index
    }
}
