/// What can be set about the front-end for Sheepdog's own clients.
package struct BackingStoreConfiguration: Sendable {
    /// Where clients of this machine connect, a path of at most 107 bytes; nil: nowhere. TCP connections are handed in by the
    /// sheep's own listener.
    package var socket: String?
    package var bounds: BackingStoreBounds

    package init(socket: String?, bounds: BackingStoreBounds = BackingStoreBounds()) {
        (self.socket, self.bounds) = (socket, bounds)
    }
}

/// What clients may cost.
///
/// Memory of one connection: `bytesUnderWay` and one request more (64 + 32 MiB) of payload being served, of replies not taken
/// `unsentHigh` and what was under way when it was reached, and four receive buffers of 64 KiB at most. A connection that was
/// never busy costs one of 8 KiB.
package struct BackingStoreBounds: Sendable {
    /// Connections over both listeners; further ones are closed at once. tgt takes 17 for each logical unit.
    package var connections = 4096
    /// Requests under way on one connection; beyond it its socket is not read.
    package var requestsUnderWay = 256
    /// Bytes of payload under way on one connection; beyond it its socket is not read.
    package var bytesUnderWay = 64 << 20
    /// The most bytes of one read or write of data. Objects may be larger. Bytes.
    package var maximumRequest = 32 << 20
    /// Bytes of replies not yet taken by the client, from which on its socket is not read, and until which.
    package var unsentHigh = 1 << 20
    package var unsentLow = 256 << 10
    /// Seconds from the begin of a request, or from replies that are not taken, to progress. Looked at every so often, so
    /// it may take up to twice as long. Between requests a client may be silent for ever.
    package var stallSeconds = 60.0
    /// Seconds that a request waits while the sheep joins the cluster.
    package var joinSeconds = 30.0
    /// Seconds for requests under way when the server stops.
    package var drainSeconds = 5.0
    /// Seconds from the answer to a client's zeroing of one slot of an inode to the discard that it means. In it QEMU's deletion of a
    /// snapshot, which zeroes slots of the working volume by mistake, comes to its end.
    package var discardSeconds = 10.0

    package init() {}
}
