package import NIOCore

extension ChannelHandlerContext {
    /// To be called for a reply of so many bytes that was written. Replies leave together, but a long one at once: who asked for several
    /// takes it while the next is prepared. Where the connection turns out to be broken NIO reads what is left in its socket meanwhile.
    package func flushIfLong(_ bytes: Int) {
        if bytes >= 128 << 10 { flush() }
    }
}
