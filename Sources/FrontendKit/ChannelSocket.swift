package import NIOCore

/// The descriptor of a channel's socket. NIO is asked for it once: its answer is a cast at run time, which takes longer than a system call.
package struct ChannelSocket {
    private var known: CInt?

    package init() {}

    /// Nil when the channel has none, or is closed: then the number may be another file's.
    package mutating func descriptor(_ context: ChannelHandlerContext) -> CInt? {
        guard context.channel.isActive else { return nil }
        if known == nil { known = try? context.pipeline.syncOperations.withUnsafeTransportIfAvailable(of: CInt.self) { $0 } }
        return known
    }
}
