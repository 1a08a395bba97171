/// Where an NBD server listens.
package enum NBDListener: Hashable, Sendable, CustomStringConvertible {
    /// Host name or address and port; port 0 takes a free one.
    case tcp(host: String, port: Int)
    /// A path of at most 107 bytes.
    case unix(path: String)

    package var description: String {
        switch self {
        case .tcp(let host, let port): "\(host):\(port)"
        case .unix(let path): "unix:\(path)"
        }
    }
}

/// What can be set about the NBD front-end.
package struct NBDConfiguration: Sendable {
    package var listeners: [NBDListener]
    /// The volume that a client gets who names none; nil: such a client is refused.
    package var defaultExport: String?
    package var bounds: NBDBounds

    package init(listeners: [NBDListener], defaultExport: String? = nil, bounds: NBDBounds = NBDBounds()) {
        (self.listeners, self.defaultExport, self.bounds) = (listeners, defaultExport, bounds)
    }
}

/// What clients may cost.
///
/// Memory of one connection: `bytesUnderWay` + `maximumRequest` of payload being served (64 + 32 MiB), of replies not taken
/// `unsentHigh` and what was under way when it was reached, and four receive buffers of 64 KiB at most. A connection that was
/// never busy costs one of 8 KiB.
package struct NBDBounds: Sendable {
    /// Connections over all listeners; further ones are closed at once.
    package var connections = 1024
    /// Requests under way on one connection; beyond it its socket is not read.
    package var requestsUnderWay = 256
    /// Bytes of payload under way on one connection; beyond it its socket is not read.
    package var bytesUnderWay = 64 << 20
    /// The most bytes of one read or write. 64 KiB at least, for clients need not ask for it.
    package var maximumRequest: UInt32 = 32 << 20
    /// Bytes of replies not yet taken by the client, from which on its socket is not read, and until which.
    package var unsentHigh = 1 << 20
    package var unsentLow = 256 << 10
    /// Seconds for the whole handshake, the provider's time not counted.
    package var handshakeSeconds = 10.0
    /// Seconds from the begin of a request, or from replies that are not taken, to progress. Looked at every so often, so
    /// it may take up to twice as long. Between requests a client may be silent for ever.
    package var stallSeconds = 60.0
    /// Seconds for requests under way when the server stops.
    package var drainSeconds = 5.0

    package init() {}
}
