package import NIOCore

/// The data of an `NBD_REP_INFO` reply: one fact about an export (`doc/proto.md`, "Option reply types").
///
/// ```
/// off size
///   0    2 kind
///   2    … export: 8 size, 2 transmission flags; block size: 4 minimum, 4 preferred, 4 maximum payload;
///          name and description: the text
/// ```
package enum ExportInformation: Hashable, Sendable {
    case export(size: UInt64, flags: TransmissionFlags)
    case name(String)
    case description(String)
    /// Bytes.
    case blockSize(minimum: UInt32, preferred: UInt32, maximum: UInt32)

    /// Reads all of the buffer; nil for a kind that we do not know.
    package init?(from buffer: inout ByteBuffer) throws(NBDMessageError) {
        switch InformationKind(rawValue: try buffer.takeInteger()) {
        case .export:
            self = .export(size: try buffer.takeInteger(), flags: TransmissionFlags(rawValue: try buffer.takeInteger()))
        case .name:
            self = .name(try buffer.takeString(length: UInt32(buffer.readableBytes)))
        case .description:
            self = .description(try buffer.takeString(length: UInt32(buffer.readableBytes)))
        case .blockSize:
            self = .blockSize(
                minimum: try buffer.takeInteger(), preferred: try buffer.takeInteger(), maximum: try buffer.takeInteger())
        default:
            return nil
        }
        try buffer.expectEnd()
    }

    package func encode(into buffer: inout ByteBuffer) {
        switch self {
        case .export(let size, let flags):
            buffer.writeInteger(InformationKind.export.rawValue)
            buffer.writeInteger(size)
            buffer.writeInteger(flags.rawValue)
        case .name(let text):
            buffer.writeInteger(InformationKind.name.rawValue)
            buffer.writeString(text.limited(toBytes: ByteBuffer.longestNBDString))
        case .description(let text):
            buffer.writeInteger(InformationKind.description.rawValue)
            buffer.writeString(text.limited(toBytes: ByteBuffer.longestNBDString))
        case .blockSize(let minimum, let preferred, let maximum):
            buffer.writeInteger(InformationKind.blockSize.rawValue)
            for size in [minimum, preferred, maximum] { buffer.writeInteger(size) }
        }
    }
}
