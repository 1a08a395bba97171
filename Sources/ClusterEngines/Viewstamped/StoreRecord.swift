package import ObjectModel

/// One durable step of a node's ``StoredLog``. A store is the steps in order, or the ``StoredLog`` that they add up to.
package enum StoreRecord: Hashable, WireCodable {
    /// Nothing of a lower view is accepted any more.
    case promise(View)
    /// The log of a view replaces what this node has after `part.after`, or all with `part.snapshot`: from here on this
    /// node's log is a beginning of that view's.
    case adopt(Adoption)
    /// More of the log of the last normal view. `committed` is a hint for the next start.
    case append(entries: [LogEntry], committed: LogIndex)
    /// The committed entries up to the snapshot's are replaced by it.
    case compact(LogSnapshot)

    package struct Adoption: Hashable, WireCodable {
        package let log: LogID
        package let view: View
        package let part: LogPart
        package let committed: LogIndex

        package init(log: LogID, view: View, part: LogPart, committed: LogIndex) {
            (self.log, self.view, self.part, self.committed) = (log, view, part, committed)
        }

        package init(from reader: inout WireReader) throws(WireError) {
            log = try reader.readValue()
            view = try reader.readValue()
            part = try reader.readValue()
            committed = try reader.readIndex()
        }

        package func encode(to writer: inout WireWriter) {
            writer.write(log)
            writer.write(view)
            writer.write(part)
            writer.write(committed)
        }
    }

    package init(from reader: inout WireReader) throws(WireError) {
        switch try reader.read(UInt8.self) {
        case 0: self = .promise(try reader.readValue())
        case 1: self = .adopt(try reader.readValue())
        case 2: self = .append(entries: try reader.readArray(), committed: try reader.readIndex())
        case 3: self = .compact(try reader.readValue())
        default: throw .invalid("log store record")
        }
    }

    package func encode(to writer: inout WireWriter) {
        switch self {
        case .promise(let view):
            writer.write(UInt8(0))
            writer.write(view)
        case .adopt(let adoption):
            writer.write(UInt8(1))
            writer.write(adoption)
        case .append(let entries, let committed):
            writer.write(UInt8(2))
            writer.write(entries)
            writer.write(committed)
        case .compact(let snapshot):
            writer.write(UInt8(3))
            writer.write(snapshot)
        }
    }
}
