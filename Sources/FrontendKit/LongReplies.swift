package import NIOCore

extension ChannelHandlerContext {
    /// To be called for each reply that was written. Replies leave together, but a long one at once: who asked for several takes it
    /// while the next is prepared.
    package func wrote(_ bytes: Int) {
        if bytes >= 128 << 10 { flush() }
    }
}
