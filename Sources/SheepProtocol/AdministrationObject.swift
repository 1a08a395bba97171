package import ObjectModel

package struct ObjectLocationRequest: Hashable, Sendable, WireCodable {
    package var volume: VolumeReference
    package var index: UInt32

    package init(volume: VolumeReference, index: UInt32) { (self.volume, self.index) = (volume, index) }

    package init(from reader: inout WireReader) throws(WireError) {
        volume = try reader.readValue()
        index = try reader.read()
    }

    package func encode(to writer: inout WireWriter) {
        writer.write(volume)
        writer.write(index)
    }
}

/// Where the object is that a volume sees at an index.
package struct ObjectLocation: Hashable, Sendable, WireCodable {
    /// The VID of the volume or ancestor whose object it is; nil: a hole, no object.
    package var vid: VID?
    package var copies: UInt8
    /// Every node that stores data, in the node list's order.
    package var nodes: [NodePresence]
    /// Where placement wants it, host:port, in the group's member order.
    package var placed: [String]

    package init(vid: VID?, copies: UInt8, nodes: [NodePresence], placed: [String]) {
        (self.vid, self.copies, self.nodes, self.placed) = (vid, copies, nodes, placed)
    }

    package init(from reader: inout WireReader) throws(WireError) {
        vid = try reader.readOptional()
        copies = try reader.readCopies()
        nodes = try reader.readArray()
        placed = try reader.readStrings()
    }

    package func encode(to writer: inout WireWriter) {
        writer.write(optional: vid)
        writer.write(copies)
        writer.write(nodes)
        writer.write(strings: placed)
    }
}

/// Whether a node has the object; nodes that did not answer are left out.
package struct NodePresence: Hashable, Sendable, WireCodable {
    /// host:port.
    package var address: String
    package var hasObject: Bool

    package init(address: String, hasObject: Bool) { (self.address, self.hasObject) = (address, hasObject) }

    package init(from reader: inout WireReader) throws(WireError) {
        address = try reader.readHost()
        hasObject = try reader.readBool()
    }

    package func encode(to writer: inout WireWriter) {
        writer.write(address)
        writer.write(hasObject)
    }
}

/// Asks which objects a volume sees, in a range of indices.
package struct ObjectMapRequest: Hashable, Sendable, WireCodable {
    package var volume: VolumeReference
    package var from: UInt32
    package var through: UInt32
    /// The most runs to answer with, 1 at least.
    package var limit: UInt32

    package init(volume: VolumeReference, from: UInt32, through: UInt32 = .max, limit: UInt32) {
        (self.volume, self.from, self.through, self.limit) = (volume, from, through, limit)
    }

    package init(from reader: inout WireReader) throws(WireError) {
        volume = try reader.readValue()
        from = try reader.read()
        through = try reader.read()
        limit = try reader.read()
    }

    package func encode(to writer: inout WireWriter) {
        writer.write(volume)
        writer.write(from)
        writer.write(through)
        writer.write(limit)
    }
}

package struct ObjectMap: Hashable, Sendable, WireCodable {
    /// In order of index; holes are left out.
    package var runs: [ObjectRun]
    /// Where to ask on; nil: that was all.
    package var next: UInt32?

    package init(runs: [ObjectRun], next: UInt32?) { (self.runs, self.next) = (runs, next) }

    package init(from reader: inout WireReader) throws(WireError) {
        runs = try reader.readArray()
        next = try reader.readBool() ? try reader.read() : nil
    }

    package func encode(to writer: inout WireWriter) {
        writer.write(runs)
        writer.write(next != nil)
        if let next { writer.write(next) }
    }
}

/// Neighbouring indices whose objects belong to the same volume or ancestor.
package struct ObjectRun: Hashable, Sendable, WireCodable {
    package var first: UInt32
    package var count: UInt32
    package var vid: VID

    package init(first: UInt32, count: UInt32, vid: VID) { (self.first, self.count, self.vid) = (first, count, vid) }

    package init(from reader: inout WireReader) throws(WireError) {
        first = try reader.read()
        count = try reader.read()
        guard count > 0, !first.addingReportingOverflow(count - 1).overflow else { throw .invalid("object run") }
        vid = try reader.readValue()
    }

    package func encode(to writer: inout WireWriter) {
        writer.write(first)
        writer.write(count)
        writer.write(vid)
    }
}
