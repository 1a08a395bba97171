/// What the NBD front-end did since it started.
package struct NBDStatistics: Hashable, Sendable {
    /// Connections as of now.
    package var connections = 0
    package var connectionsAccepted: UInt64 = 0
    /// Closed at once, for there were too many.
    package var connectionsRefused: UInt64 = 0
    /// Connections closed because the client broke the protocol, in the handshake or later.
    package var protocolErrors: UInt64 = 0
    /// Connections closed because the client was silent in the middle of a handshake or request, or took no replies.
    package var timeLimits: UInt64 = 0
    /// Requests handed to a volume.
    package var requests: UInt64 = 0
    /// Requests refused before a volume saw them.
    package var requestsRefused: UInt64 = 0
    /// Requests that a volume answered with an error.
    package var requestsFailed: UInt64 = 0
    /// Bytes of reads and writes handed to a volume.
    package var bytesRead: UInt64 = 0
    package var bytesWritten: UInt64 = 0

    package init() {}
}
