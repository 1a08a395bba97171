package import ObjectModel

/// The log from somewhere to its end, as one node hands it to another.
///
/// It is one value however far the receiver is behind: a log is cut by snapshots, so it is about as long as the entries
/// between two of them and one snapshot. What is too long for the group service goes over a peer link.
package struct LogPart: Hashable, WireCodable {
    /// Given to a receiver that lacks what was cut away; `after` is its index then.
    package let snapshot: LogSnapshot?
    /// The index before the first of `entries`.
    package let after: LogIndex
    package let entries: [LogEntry]

    package init(after: LogIndex, entries: [LogEntry]) { (snapshot, self.after, self.entries) = (nil, after, entries) }
    package init(snapshot: LogSnapshot, entries: [LogEntry]) {
        (self.snapshot, after, self.entries) = (snapshot, snapshot.index, entries)
    }

    /// The index of the last entry.
    package var end: LogIndex { LogIndex(rawValue: after.rawValue + UInt64(entries.count)) }

    package init(from reader: inout WireReader) throws(WireError) {
        snapshot = try reader.readOptional()
        if let snapshot { after = snapshot.index } else { after = try reader.readIndex() }
        entries = try reader.readArray()
    }

    package func encode(to writer: inout WireWriter) {
        writer.write(optional: snapshot)
        if snapshot == nil { writer.write(after) }
        writer.write(entries)
    }
}
