package import ObjectModel

package enum NodeState: UInt8, Hashable, Sendable {
    case up = 1
    /// Not alive, and still a member: nothing has moved away from it.
    case down = 2
    /// Alive, and catching up on what it missed.
    case syncing = 3
    /// Alive and removed; its data is on its way to others.
    case leaving = 4
    /// Alive, removed, and nothing is only there any more: it may be stopped.
    case removed = 5
}

/// A sheep as `dog node list` shows it. Its number is its place in the list, counted from 0.
package struct NodeRecord: Hashable, Sendable, WireCodable {
    package var node: NodeID
    package var host: String
    package var port: UInt16
    package var virtualNodes: UInt16
    package var zone: UInt32
    package var state: NodeState
    /// It stores nothing.
    package var isGateway: Bool

    package init(
        node: NodeID, host: String, port: UInt16, virtualNodes: UInt16, zone: UInt32, state: NodeState, isGateway: Bool
    ) {
        (self.node, self.host, self.port, self.virtualNodes) = (node, host, port, virtualNodes)
        (self.zone, self.state, self.isGateway) = (zone, state, isGateway)
    }

    package init(from reader: inout WireReader) throws(WireError) {
        node = try reader.readValue()
        host = try reader.readHost()
        port = try reader.read()
        virtualNodes = try reader.read()
        zone = try reader.read()
        guard let state = NodeState(rawValue: try reader.read()) else { throw .invalid("node state") }
        self.state = state
        isGateway = try reader.readBool()
    }

    package func encode(to writer: inout WireWriter) {
        writer.write(node)
        writer.write(host)
        writer.write(port)
        writer.write(virtualNodes)
        writer.write(zone)
        writer.write(state.rawValue)
        writer.write(isGateway)
    }
}

/// What `dog node info` shows: the space of the nodes that answered, and of all volumes.
package struct SpaceReport: Hashable, Sendable, WireCodable {
    package var nodes: [NodeSpace]
    /// The sizes of all working volumes together, in bytes.
    package var virtualSize: UInt64

    package init(nodes: [NodeSpace], virtualSize: UInt64) { (self.nodes, self.virtualSize) = (nodes, virtualSize) }

    package init(from reader: inout WireReader) throws(WireError) {
        nodes = try reader.readArray()
        virtualSize = try reader.read()
    }

    package func encode(to writer: inout WireWriter) {
        writer.write(nodes)
        writer.write(virtualSize)
    }
}

/// The space of one node, in bytes. Gateways have none and are not reported.
package struct NodeSpace: Hashable, Sendable, WireCodable {
    /// Its place in the node list.
    package var number: UInt32
    /// Used by objects plus available.
    package var size: UInt64
    package var used: UInt64
    package var available: UInt64

    package init(number: UInt32, size: UInt64, used: UInt64, available: UInt64) {
        (self.number, self.size, self.used, self.available) = (number, size, used, available)
    }

    package init(from reader: inout WireReader) throws(WireError) {
        number = try reader.read()
        size = try reader.read()
        used = try reader.read()
        available = try reader.read()
    }

    package func encode(to writer: inout WireWriter) {
        writer.write(number)
        writer.write(size)
        writer.write(used)
        writer.write(available)
    }
}

/// Counters since the sheep started.
package struct NodeStatistics: Hashable, Sendable, WireCodable {
    /// Of clients, through this gateway.
    package var client: RequestCounters
    /// Of other sheep.
    package var peer: RequestCounters

    package init(client: RequestCounters, peer: RequestCounters) { (self.client, self.peer) = (client, peer) }

    package init(from reader: inout WireReader) throws(WireError) {
        client = try reader.readValue()
        peer = try reader.readValue()
    }

    package func encode(to writer: inout WireWriter) {
        writer.write(client)
        writer.write(peer)
    }
}

/// Requests by kind; `active` is now, bytes are in all.
package struct RequestCounters: Hashable, Sendable, WireCodable {
    package var active: UInt64 = 0
    package var total: UInt64 = 0
    package var writes: UInt64 = 0
    package var reads: UInt64 = 0
    package var removes: UInt64 = 0
    package var flushes: UInt64 = 0
    package var bytesWritten: UInt64 = 0
    package var bytesRead: UInt64 = 0

    package init() {}

    package init(from reader: inout WireReader) throws(WireError) {
        active = try reader.read()
        total = try reader.read()
        writes = try reader.read()
        reads = try reader.read()
        removes = try reader.read()
        flushes = try reader.read()
        bytesWritten = try reader.read()
        bytesRead = try reader.read()
    }

    package func encode(to writer: inout WireWriter) {
        for value in [active, total, writes, reads, removes, flushes, bytesWritten, bytesRead] { writer.write(value) }
    }
}

/// The recovery of one node; nodes with nothing to do are not reported.
package struct NodeRecovery: Hashable, Sendable, WireCodable {
    /// Its place in the node list.
    package var number: UInt32
    package var record: NodeRecord
    package var totals: RecoveryTotals

    package init(number: UInt32, record: NodeRecord, totals: RecoveryTotals) {
        (self.number, self.record, self.totals) = (number, record, totals)
    }

    package init(from reader: inout WireReader) throws(WireError) {
        number = try reader.read()
        record = try reader.readValue()
        totals = try reader.readValue()
    }

    package func encode(to writer: inout WireWriter) {
        writer.write(number)
        writer.write(record)
        writer.write(totals)
    }
}
