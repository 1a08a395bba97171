package import ObjectModel

/// What a run of a sheep shows the others, by way of the engine, of its links to them.
///
/// Nothing is shown where all is well; while anybody has trouble all show a report at every tick, so that the others can tell
/// a sheep that is cut off (it goes on showing reports) from one that stands still (it does not).
package struct ReachReport: Hashable, Sendable {
    /// A link of this sheep to a run of another.
    package struct Trouble: Hashable, Sendable {
        package var node: NodeID
        package var boot: BootID
        /// Silent for a second although the other moves; false: only in doubt yet.
        package var isCut: Bool
        package init(node: NodeID, boot: BootID, isCut: Bool) { (self.node, self.boot, self.isCut) = (node, boot, isCut) }
    }

    package var boot: BootID
    /// Higher with every report of a run.
    package var sequence: UInt64
    package var troubles: [Trouble]

    package init(boot: BootID, sequence: UInt64, troubles: [Trouble]) {
        (self.boot, self.sequence, self.troubles) = (boot, sequence, troubles)
    }
}

extension ReachReport: WireCodable {
    package init(from reader: inout WireReader) throws(WireError) {
        boot = try reader.readValue()
        sequence = try reader.read()
        troubles = try reader.readArray()
    }

    package func encode(to writer: inout WireWriter) {
        writer.write(boot)
        writer.write(sequence)
        writer.write(troubles)
    }
}

extension ReachReport.Trouble: WireCodable {
    package init(from reader: inout WireReader) throws(WireError) {
        node = try reader.readValue()
        boot = try reader.readValue()
        isCut = try reader.readBool()
    }

    package func encode(to writer: inout WireWriter) {
        writer.write(node)
        writer.write(boot)
        writer.write(isCut)
    }
}
