package import NIOCore

/// The data of an `NBD_REP_SERVER` reply: one export of the list (`doc/proto.md`, "Option reply types").
///
/// ```
/// off size
///   0    4 length of the name (n)
///   4    n export name
/// 4+n    … description, to the end of the reply
/// ```
package struct ExportListing: Hashable, Sendable {
    package var name: String
    package var description: String

    package init(name: String, description: String) { (self.name, self.description) = (name, description) }

    package init(from buffer: inout ByteBuffer) throws(NBDMessageError) {
        name = try buffer.takePrefixedString()
        description = try buffer.takeString(length: UInt32(buffer.readableBytes))
    }

    package func encode(into buffer: inout ByteBuffer) {
        buffer.writePrefixed(name)
        buffer.writeString(description.limited(toBytes: ByteBuffer.longestNBDString))
    }
}
