package import ObjectModel

/// Makes a cluster of the sheep that are there.
package struct ClusterFormat: Hashable, Sendable, WireCodable {
    /// Copies of volumes that do not say otherwise.
    package var copies: UInt8
    package var objectShift: UInt8
    /// Sheepdog's cluster flags: 1 STRICT, 2 DISKMODE, 4 AUTO_VNODES, 8 USE_LOCK, 0x10 RECYCLE_VID, 0x20 AVOID_DISKFULL.
    package var flags: UInt16
    /// Formats over an existing cluster: all volumes are gone. Without it that is refused (`alreadyFormatted`).
    package var force: Bool

    package init(copies: UInt8, objectShift: UInt8, flags: UInt16, force: Bool) {
        (self.copies, self.objectShift, self.flags, self.force) = (copies, objectShift, flags, force)
    }

    package init(from reader: inout WireReader) throws(WireError) {
        copies = try reader.readCopies()
        objectShift = try reader.readObjectShift()
        flags = try reader.read()
        force = try reader.readBool()
    }

    package func encode(to writer: inout WireWriter) {
        writer.write(copies)
        writer.write(objectShift)
        writer.write(flags)
        writer.write(force)
    }
}

/// Whether the cluster serves volumes, and if not, why.
package enum ClusterStatus: UInt8, Hashable, Sendable {
    case running = 1
    case waitingForFormat = 2
    /// ``ClusterInformation/waitingFor`` names them.
    case waitingForNodes = 3
    case shuttingDown = 4
}

/// What `dog cluster info` shows.
package struct ClusterInformation: Hashable, Sendable, WireCodable {
    package var status: ClusterStatus
    /// Nil before the format.
    package var format: FormatRecord?
    /// Newest first.
    package var epochs: [EpochRecord]
    /// What is waited for, one short text each: "127.0.0.1:7001 (down since epoch 3)".
    package var waitingFor: [String]
    /// Client requests that wait for nodes to return.
    package var waitingRequests: UInt64
    package var redundancy: RedundancyState
    package var scrub: ScrubState
    /// Objects that recovery has still to look at, over all nodes.
    package var recovery: RecoveryTotals
    /// What an operator should know of the sheep's disks, a line each.
    package var warnings: [String]

    package init(
        status: ClusterStatus, format: FormatRecord? = nil, epochs: [EpochRecord] = [], waitingFor: [String] = [],
        waitingRequests: UInt64 = 0, redundancy: RedundancyState = RedundancyState(), scrub: ScrubState = ScrubState(),
        recovery: RecoveryTotals = RecoveryTotals(), warnings: [String] = []
    ) {
        self.warnings = warnings
        (self.status, self.format, self.epochs, self.waitingFor) = (status, format, epochs, waitingFor)
        (self.waitingRequests, self.redundancy) = (waitingRequests, redundancy)
        (self.scrub, self.recovery) = (scrub, recovery)
    }

    package init(from reader: inout WireReader) throws(WireError) {
        guard let status = ClusterStatus(rawValue: try reader.read()) else { throw .invalid("cluster status") }
        self.status = status
        format = try reader.readOptional()
        epochs = try reader.readArray()
        waitingFor = try reader.readStrings()
        waitingRequests = try reader.read()
        redundancy = try reader.readValue()
        scrub = try reader.readValue()
        recovery = try reader.readValue()
        warnings = try reader.readStrings()
    }

    package func encode(to writer: inout WireWriter) {
        writer.write(status.rawValue)
        writer.write(optional: format)
        writer.write(epochs)
        writer.write(strings: waitingFor)
        writer.write(waitingRequests)
        writer.write(redundancy)
        writer.write(scrub)
        writer.write(recovery)
        writer.write(strings: warnings)
    }
}

/// What the format fixed.
package struct FormatRecord: Hashable, Sendable, WireCodable {
    package var cluster: ClusterID
    /// Nanoseconds since 1970.
    package var createdAt: UInt64
    package var copies: UInt8
    package var objectShift: UInt8
    package var flags: UInt16

    package init(cluster: ClusterID, createdAt: UInt64, copies: UInt8, objectShift: UInt8, flags: UInt16) {
        (self.cluster, self.createdAt, self.copies) = (cluster, createdAt, copies)
        (self.objectShift, self.flags) = (objectShift, flags)
    }

    package init(from reader: inout WireReader) throws(WireError) {
        cluster = try reader.readValue()
        createdAt = try reader.read()
        copies = try reader.readCopies()
        objectShift = try reader.readObjectShift()
        flags = try reader.read()
    }

    package func encode(to writer: inout WireWriter) {
        writer.write(cluster)
        writer.write(createdAt)
        writer.write(copies)
        writer.write(objectShift)
        writer.write(flags)
    }
}

/// A change of placement and who took part from then on.
package struct EpochRecord: Hashable, Sendable, WireCodable {
    package var epoch: Epoch
    /// Nanoseconds since 1970.
    package var time: UInt64
    package var members: [EpochMember]

    package init(epoch: Epoch, time: UInt64, members: [EpochMember]) {
        (self.epoch, self.time, self.members) = (epoch, time, members)
    }

    package init(from reader: inout WireReader) throws(WireError) {
        epoch = try reader.readValue()
        time = try reader.read()
        members = try reader.readArray()
    }

    package func encode(to writer: inout WireWriter) {
        writer.write(epoch)
        writer.write(time)
        writer.write(members)
    }
}

/// A node as an epoch's line shows it: host:port:vnodes.
package struct EpochMember: Hashable, Sendable, WireCodable {
    package var host: String
    package var port: UInt16
    package var virtualNodes: UInt16

    package init(host: String, port: UInt16, virtualNodes: UInt16) {
        (self.host, self.port, self.virtualNodes) = (host, port, virtualNodes)
    }

    package init(from reader: inout WireReader) throws(WireError) {
        host = try reader.readHost()
        port = try reader.read()
        virtualNodes = try reader.read()
    }

    package func encode(to writer: inout WireWriter) {
        writer.write(host)
        writer.write(port)
        writer.write(virtualNodes)
    }
}
