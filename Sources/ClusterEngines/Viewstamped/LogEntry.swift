import Cluster
package import ObjectModel

/// What stands at one index of the log.
package enum LogEntry: Hashable, WireCodable {
    /// A control entry; neither empty nor longer than ``Cluster/maximumControlPayload``.
    case payload([UInt8])
    /// The log's own; the control state machine sees it as an index that changes nothing.
    case voters(VoterChange)

    package init(from reader: inout WireReader) throws(WireError) {
        switch try reader.read(UInt8.self) {
        case 0:
            let bytes = try reader.readBytes(maximum: maximumControlPayload)
            guard !bytes.isEmpty else { throw .invalid("empty log entry") }
            self = .payload(bytes)
        case 1: self = .voters(try reader.readValue())
        default: throw .invalid("log entry")
        }
    }

    package func encode(to writer: inout WireWriter) {
        switch self {
        case .payload(let bytes):
            writer.write(UInt8(0))
            writer.write(bytes: bytes)
        case .voters(let change):
            writer.write(UInt8(1))
            writer.write(change)
        }
    }
}
