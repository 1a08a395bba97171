/// What the front-end for Sheepdog's own clients did since it started.
package struct BackingStoreStatistics: Hashable, Sendable {
    /// Connections as of now.
    package var connections = 0
    package var connectionsAccepted: UInt64 = 0
    /// Closed at once, for there were too many.
    package var connectionsRefused: UInt64 = 0
    /// Connections closed because the client broke the protocol.
    package var protocolErrors: UInt64 = 0
    /// Connections closed because the client was silent in the middle of a request, or took no replies.
    package var timeLimits: UInt64 = 0
    /// Requests taken, refused ones included.
    package var requests: UInt64 = 0
    /// Of these: served past NIO.
    package var requestsLookedAt: UInt64 = 0
    /// Requests answered with another result than success.
    package var requestsFailed: UInt64 = 0
    /// Bytes of reads and writes handed to a volume.
    package var bytesRead: UInt64 = 0
    package var bytesWritten: UInt64 = 0

    package init() {}
}
