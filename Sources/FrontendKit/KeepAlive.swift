import Glibc
package import NIOCore

/// How a server finds out that a client's machine vanished: an idle client may stay for ever, such a one may not, for what it
/// had attached would stay so.
package enum KeepAlive {
    /// Of a TCP connection: asked after a minute of silence, given up half a minute later.
    package static func set(on options: any NIOSynchronousChannelOptions) throws {
        try options.setOption(.socketOption(.so_keepalive), value: 1)
        try options.setOption(.tcpOption(.init(rawValue: TCP_KEEPIDLE)), value: 60)
        try options.setOption(.tcpOption(.init(rawValue: TCP_KEEPINTVL)), value: 10)
        try options.setOption(.tcpOption(.init(rawValue: TCP_KEEPCNT)), value: 3)
    }
}

/// What every accepted stream is set to.
package enum StreamOptions {
    /// Of TCP no delay, and keep-alive. Of a unix socket the sender's buffer, which bounds what is in flight; TCP tunes its own.
    package static func set(on channel: any Channel) throws {
        guard let options = channel.syncOptions else { return }
        if channel.localAddress?.protocol == .unix {
            try options.setOption(.socketOption(.so_sndbuf), value: 2 << 20)
        } else {
            try options.setOption(.tcpOption(.tcp_nodelay), value: 1)
            try KeepAlive.set(on: options)
        }
    }
}
