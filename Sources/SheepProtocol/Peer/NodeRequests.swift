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

/// Proof of life both ways; carries how far the sender's control log is, so that nobody stays behind, and how its clients fare,
/// so that nobody's recovery holds them up.
package struct Ping: Hashable, WireCodable {
    package var logIndex: LogIndex
    package var load: ClientLoad
    /// Where the sender listens, while it is not up but wants to be: the other connects to it too and says whether it could.
    package var joining: ListeningPlace?

    package init(logIndex: LogIndex, load: ClientLoad, joining: ListeningPlace? = nil) {
        (self.logIndex, self.load, self.joining) = (logIndex, load, joining)
    }

    package init(from reader: inout WireReader) throws(WireError) {
        logIndex = try reader.readValue()
        load = try reader.readValue()
        joining = try reader.readOptional()
    }

    package func encode(to writer: inout WireWriter) {
        writer.write(logIndex)
        writer.write(load)
        writer.write(optional: joining)
    }
}

/// How clients fare at a sheep: requests of the last second, and the 99th percentile of the time they took.
package struct ClientLoad: Hashable, Sendable, WireCodable {
    package var requests: UInt32
    /// Microseconds; 0 when there were too few requests to tell.
    package var tail: UInt32
    /// The same as it is while no sheep recovers.
    package var calmTail: UInt32

    package static let none = ClientLoad(requests: 0, tail: 0, calmTail: 0)

    package init(requests: UInt32, tail: UInt32, calmTail: UInt32) {
        (self.requests, self.tail, self.calmTail) = (requests, tail, calmTail)
    }

    package init(from reader: inout WireReader) throws(WireError) {
        requests = try reader.read()
        tail = try reader.read()
        calmTail = try reader.read()
    }

    package func encode(to writer: inout WireWriter) {
        writer.write(requests)
        writer.write(tail)
        writer.write(calmTail)
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
    package var load: ClientLoad
    /// The one that answers has a connection of its own to the one that asked. Only meant for one that wants to join.
    package var isLinkedBack: Bool

    package init(logIndex: LogIndex, load: ClientLoad, isLinkedBack: Bool) {
        (self.logIndex, self.load, self.isLinkedBack) = (logIndex, load, isLinkedBack)
    }

    package init(from reader: inout WireReader) throws(WireError) {
        logIndex = try reader.readValue()
        load = try reader.readValue()
        isLinkedBack = try reader.readBool()
    }

    package func encode(to writer: inout WireWriter) {
        writer.write(logIndex)
        writer.write(load)
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

/// A volume and, in the answer, the clients that have it attached at one sheep.
package struct VolumeUse: Hashable, WireCodable {
    package var volume: Birth
    package var users: UInt32
    package init(volume: Birth, users: UInt32 = 0) { (self.volume, self.users) = (volume, users) }
    package init(from reader: inout WireReader) throws(WireError) {
        volume = try reader.readValue()
        users = try reader.read()
    }
    package func encode(to writer: inout WireWriter) {
        writer.write(volume)
        writer.write(users)
    }
}

/// A change or question that a gateway without the lease passes to the owner.
package struct ForwardRequest: Hashable, WireCodable {
    package enum Kind: UInt8, Hashable, Sendable {
        case read = 0, write, trim, zero, flush, status
        /// Nothing but the news of replies seen.
        case confirm
        /// To note whether anything comes for a range within one object, under `origin` as the mark.
        case watch
        /// To trim what was noted under the mark, at once or not at all: not if anything came.
        case trimWatched
    }

    package var volume: Birth
    package var kind: Kind
    package var durable: Bool
    package var offset: UInt64
    package var length: UInt64
    /// Changes and marks only.
    package var origin: ChangeOrigin
    /// It was sent before, perhaps to another owner: nobody may be left who knows whether it was done.
    package var isRepeat: Bool
    /// The sender has the reply to every change of its own below this number.
    package var repliesSeenBelow: UInt64
    /// The last entry of the control log that the sender acted upon: the owner serves when it has seen that too. So a gateway
    /// that the sender's client knows to be called down is refused from then on, whatever of it is still on its way.
    package var logIndex: LogIndex

    package init(
        volume: Birth, kind: Kind, durable: Bool, offset: UInt64, length: UInt64, origin: ChangeOrigin,
        isRepeat: Bool = false, repliesSeenBelow: UInt64, logIndex: LogIndex
    ) {
        (self.volume, self.kind, self.durable) = (volume, kind, durable)
        (self.offset, self.length, self.origin, self.isRepeat) = (offset, length, origin, isRepeat)
        (self.repliesSeenBelow, self.logIndex) = (repliesSeenBelow, logIndex)
    }

    package init(from reader: inout WireReader) throws(WireError) {
        volume = try reader.readValue()
        guard let kind = Kind(rawValue: try reader.read()) else { throw .invalid("forwarded request") }
        self.kind = kind
        durable = try reader.readBool()
        offset = try reader.read()
        length = try reader.read()
        origin = try reader.readValue()
        isRepeat = try reader.readBool()
        repliesSeenBelow = try reader.read()
        logIndex = try reader.readValue()
    }

    package func encode(to writer: inout WireWriter) {
        writer.write(volume)
        writer.write(kind.rawValue)
        writer.write(durable)
        writer.write(offset)
        writer.write(length)
        writer.write(origin)
        writer.write(isRepeat)
        writer.write(repliesSeenBelow)
        writer.write(logIndex)
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
