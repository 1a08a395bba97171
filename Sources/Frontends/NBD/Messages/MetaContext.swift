package import NIOCore

/// The data of `NBD_OPT_LIST_META_CONTEXT` and `NBD_OPT_SET_META_CONTEXT` (`doc/proto.md`, "Option types").
///
/// ```
/// off size
///   0    4 length of the name (n)
///   4    n export name
/// 4+n    4 number of queries
/// 8+n    … queries: 4 length, the string
/// ```
package struct MetaContextRequest: Hashable, Sendable {
    package var exportName: String
    package var queries: [String]

    package init(exportName: String, queries: [String]) { (self.exportName, self.queries) = (exportName, queries) }

    package init(from buffer: inout ByteBuffer) throws(NBDMessageError) {
        exportName = try buffer.takePrefixedString()
        let count: UInt32 = try buffer.takeInteger()
        // A query takes four bytes at least, so a lying count is refused before memory is taken.
        guard Int(count) <= buffer.readableBytes / 4 else { throw .truncated }
        queries = []
        for _ in 0..<count { queries.append(try buffer.takePrefixedString()) }
        try buffer.expectEnd()
    }

    package func encode(into buffer: inout ByteBuffer) {
        buffer.writePrefixed(exportName)
        buffer.writeInteger(UInt32(queries.count))
        for query in queries { buffer.writePrefixed(query) }
    }
}

/// The data of an `NBD_REP_META_CONTEXT` reply: 4 bytes of identifier, then the name.
package struct MetaContext: Hashable, Sendable {
    package var identifier: UInt32
    package var name: String

    package init(identifier: UInt32, name: String) { (self.identifier, self.name) = (identifier, name) }

    /// Which bytes are stored and which read as zeros; the only context there is (`doc/proto.md`, "Metadata contexts").
    package static let allocation = MetaContext(identifier: 1, name: "base:allocation")

    package init(from buffer: inout ByteBuffer) throws(NBDMessageError) {
        identifier = try buffer.takeInteger()
        name = try buffer.takeString(length: UInt32(buffer.readableBytes))
    }

    package func encode(into buffer: inout ByteBuffer) {
        buffer.writeInteger(identifier)
        buffer.writeString(name)
    }
}
