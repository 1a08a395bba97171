package import ObjectModel

/// The first frame on a connection between sheep: who dials, and which run of whom it means to reach.
package struct Hello: Hashable, WireCodable {
    package var node: NodeID
    package var boot: BootID
    package init(node: NodeID, boot: BootID) { (self.node, self.boot) = (node, boot) }
    package init(from reader: inout WireReader) throws(WireError) {
        node = try reader.readValue()
        boot = try reader.readValue()
    }
    package func encode(to writer: inout WireWriter) {
        writer.write(node)
        writer.write(boot)
    }
}

/// Proof of life both ways; carries how far the sender's control log is, so that nobody stays behind.
package struct Ping: Hashable, WireCodable {
    package var logIndex: LogIndex
    /// Where the sender listens, while it is not up but wants to be: the other connects to it too and says whether it could.
    package var joining: ListeningPlace?

    package init(logIndex: LogIndex, joining: ListeningPlace? = nil) { (self.logIndex, self.joining) = (logIndex, joining) }

    package init(from reader: inout WireReader) throws(WireError) {
        logIndex = try reader.readValue()
        joining = try reader.readOptional()
    }

    package func encode(to writer: inout WireWriter) {
        writer.write(logIndex)
        writer.write(optional: joining)
    }
}

package struct ListeningPlace: Hashable, WireCodable {
    package var host: String
    package var port: UInt16
    package init(host: String, port: UInt16) { (self.host, self.port) = (host, port) }

    package init(from reader: inout WireReader) throws(WireError) {
        host = try reader.readHost()
        port = try reader.read()
    }

    package func encode(to writer: inout WireWriter) {
        writer.write(host)
        writer.write(port)
    }
}

package struct PingAnswer: Hashable, WireCodable {
    package var logIndex: LogIndex
    /// The one that answers has a connection of its own to the one that asked. Only meant for one that wants to join.
    package var isLinkedBack: Bool

    package init(logIndex: LogIndex, isLinkedBack: Bool) { (self.logIndex, self.isLinkedBack) = (logIndex, isLinkedBack) }

    package init(from reader: inout WireReader) throws(WireError) {
        logIndex = try reader.readValue()
        isLinkedBack = try reader.readBool()
    }

    package func encode(to writer: inout WireWriter) {
        writer.write(logIndex)
        writer.write(isLinkedBack)
    }
}

/// How many objects a sheep counts for a birth; each object of the cluster is counted by one sheep.
package struct BirthUsage: Hashable, WireCodable {
    package var birth: Birth
    /// Objects of its own, holes not counted.
    package var own: UInt64
    /// Objects that it shows of its ancestors.
    package var shared: UInt64
    package init(birth: Birth, own: UInt64, shared: UInt64) { (self.birth, self.own, self.shared) = (birth, own, shared) }
    package init(from reader: inout WireReader) throws(WireError) {
        birth = try reader.readValue()
        own = try reader.read()
        shared = try reader.read()
    }
    package func encode(to writer: inout WireWriter) {
        writer.write(birth)
        writer.write(own)
        writer.write(shared)
    }
}

/// A change or question that a gateway without the lease passes to the owner.
package struct ForwardRequest: Hashable, WireCodable {
    package enum Kind: UInt8, Hashable, Sendable {
        case read = 0, write, trim, zero, flush, status
        /// Nothing but the news of replies seen.
        case confirm
    }

    package var volume: Birth
    package var kind: Kind
    package var durable: Bool
    package var offset: UInt64
    package var length: UInt64
    /// Changes only.
    package var origin: ChangeOrigin
    /// The sender has the reply to every change of its own below this number.
    package var repliesSeenBelow: UInt64

    package init(
        volume: Birth, kind: Kind, durable: Bool, offset: UInt64, length: UInt64, origin: ChangeOrigin,
        repliesSeenBelow: UInt64
    ) {
        (self.volume, self.kind, self.durable) = (volume, kind, durable)
        (self.offset, self.length, self.origin) = (offset, length, origin)
        self.repliesSeenBelow = repliesSeenBelow
    }

    package init(from reader: inout WireReader) throws(WireError) {
        volume = try reader.readValue()
        guard let kind = Kind(rawValue: try reader.read()) else { throw .invalid("forwarded request") }
        self.kind = kind
        durable = try reader.readBool()
        offset = try reader.read()
        length = try reader.read()
        origin = try reader.readValue()
        repliesSeenBelow = try reader.read()
    }

    package func encode(to writer: inout WireWriter) {
        writer.write(volume)
        writer.write(kind.rawValue)
        writer.write(durable)
        writer.write(offset)
        writer.write(length)
        writer.write(origin)
        writer.write(repliesSeenBelow)
    }
}

/// A plain list as a reply.
package struct WireList<Element: WireCodable & Hashable>: Hashable, WireCodable {
    package var elements: [Element]
    package init(_ elements: [Element]) { self.elements = elements }
    package init(from reader: inout WireReader) throws(WireError) { elements = try reader.readArray() }
    package func encode(to writer: inout WireWriter) { writer.write(elements) }
}

/// A reply that says only that it was done.
package struct Nothing: Hashable, WireCodable {
    package init() {}
    package init(from reader: inout WireReader) throws(WireError) {}
    package func encode(to writer: inout WireWriter) {}
}
