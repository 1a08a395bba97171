package import ObjectModel

/// What a sheep tells another of itself, for `dog`.
package struct NodeReport: Hashable, Sendable, WireCodable {
    /// Bytes of the file system that holds the store; 0 for a gateway.
    package var size: UInt64
    package var free: UInt64
    package var waitingRequests: UInt64
    package var isRecovering: Bool
    package var recovery: RecoveryTotals
    package var scrub: ScrubState
    /// What an operator should know of this sheep's disk, a line each.
    package var warnings: [String]

    package init(
        size: UInt64 = 0, free: UInt64 = 0, waitingRequests: UInt64 = 0, isRecovering: Bool = false,
        recovery: RecoveryTotals = RecoveryTotals(), scrub: ScrubState = ScrubState(), warnings: [String] = []
    ) {
        self.warnings = warnings
        (self.size, self.free, self.waitingRequests) = (size, free, waitingRequests)
        (self.isRecovering, self.recovery, self.scrub) = (isRecovering, recovery, scrub)
    }

    package init(from reader: inout WireReader) throws(WireError) {
        size = try reader.read()
        free = try reader.read()
        waitingRequests = try reader.read()
        isRecovering = try reader.readBool()
        recovery = try reader.readValue()
        scrub = try reader.readValue()
        warnings = try reader.readStrings()
    }

    package func encode(to writer: inout WireWriter) {
        writer.write(size)
        writer.write(free)
        writer.write(waitingRequests)
        writer.write(isRecovering)
        writer.write(recovery)
        writer.write(scrub)
        writer.write(strings: warnings)
    }
}
