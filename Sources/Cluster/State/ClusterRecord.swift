package import ObjectModel

/// What the format decided.
package struct ClusterRecord: Hashable, Sendable {
    package var id: ClusterID
    /// Wall clock of the proposer, nanoseconds since 1970.
    package var createdAt: UInt64
    /// Defaults for new volumes.
    package var copies: UInt8
    package var objectShift: UInt8
    /// Sheepdog's cluster flags.
    package var flags: UInt16
}

extension ClusterRecord: WireCodable {
    package init(from reader: inout WireReader) throws(WireError) {
        id = try reader.readValue()
        createdAt = try reader.read()
        copies = try reader.read()
        objectShift = try reader.read()
        flags = try reader.read()
    }

    package func encode(to writer: inout WireWriter) {
        writer.write(id)
        writer.write(createdAt)
        writer.write(copies)
        writer.write(objectShift)
        writer.write(flags)
    }
}
