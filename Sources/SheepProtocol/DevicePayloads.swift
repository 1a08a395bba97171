package import ObjectModel

/// The reply's body to ``Operation/devicePayloads``: memory of this connection's, which the client writes and the sheep reads. Data that is
/// there crosses no socket; the sheep copies it when the request comes, so its place is free again with the answer.
package struct PayloadMemory: Hashable, Sendable, WireCodable {
    package var path: String
    /// Bytes.
    package var size: UInt32
    /// Its inode: the path may be another's by the time it is opened.
    package var identity: UInt64

    package init(path: String, size: UInt32, identity: UInt64) { (self.path, self.size, self.identity) = (path, size, identity) }

    package init(from reader: inout WireReader) throws(WireError) {
        path = try reader.readString(maximum: ShortCircuitOffer.longestPath)
        size = try reader.read()
        identity = try reader.read()
    }

    package func encode(to writer: inout WireWriter) {
        writer.write(path)
        writer.write(size)
        writer.write(identity)
    }
}

/// Where in ``PayloadMemory`` data is. Bytes.
package struct PayloadPlace: Hashable, Sendable, WireCodable {
    package var offset: UInt32
    package var length: UInt32

    package init(offset: UInt32, length: UInt32) { (self.offset, self.length) = (offset, length) }

    package init(from reader: inout WireReader) throws(WireError) {
        offset = try reader.read()
        length = try reader.read()
    }

    package func encode(to writer: inout WireWriter) {
        writer.write(offset)
        writer.write(length)
    }
}
