package import ObjectModel

/// A run of placement groups, first and last included.
package struct GroupRange: Hashable, Sendable, WireCodable {
    package var first: UInt16
    package var last: UInt16
    package static let all = GroupRange(first: 0, last: .max)

    package init(first: UInt16, last: UInt16) { (self.first, self.last) = (first, last) }
    /// How many groups it has.
    package var size: Int { Int(last) - Int(first) + 1 }
    package func overlaps(_ other: GroupRange) -> Bool { first <= other.last && other.first <= last }
    package func contains(_ group: PlacementGroup) -> Bool { first <= group.rawValue && group.rawValue <= last }

    package init(from reader: inout WireReader) throws(WireError) {
        first = try reader.read()
        last = try reader.read()
        guard first <= last else { throw .invalid("group range") }
    }

    package func encode(to writer: inout WireWriter) {
        writer.write(first)
        writer.write(last)
    }
}

/// Where a sheep listens, as it tells others.
package struct NodeAddress: Hashable, Sendable, WireCodable, CustomStringConvertible {
    /// Bytes of a host's name (RFC 1035 section 2.3.4).
    package static let longestHost = 255

    package var host: String
    package var port: UInt16
    package init(host: String, port: UInt16) { (self.host, self.port) = (host, port) }
    package var description: String { "\(host):\(port)" }

    package init(from reader: inout WireReader) throws(WireError) {
        // An entry is never unreadable: what is too long is refused when it is applied.
        host = try reader.readString(maximum: .max)
        port = try reader.read()
    }

    package func encode(to writer: inout WireWriter) {
        writer.write(host)
        writer.write(port)
    }
}

/// A disk as its node announces it.
package struct DiskAnnouncement: Hashable, Sendable, WireCodable {
    package var id: DiskID
    /// Bytes that the file system holds in all; the weight on the ring follows it.
    package var capacity: UInt64
    package init(id: DiskID, capacity: UInt64) { (self.id, self.capacity) = (id, capacity) }

    package init(from reader: inout WireReader) throws(WireError) {
        id = try reader.readValue()
        capacity = try reader.read()
    }

    package func encode(to writer: inout WireWriter) {
        writer.write(id)
        writer.write(capacity)
    }
}
