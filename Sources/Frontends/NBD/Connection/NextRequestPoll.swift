import FrontendKit

/// Looks for the next request for a moment before the event loop sleeps: a client that keeps one request in flight sends the
/// next within microseconds of its reply, and to wake a sleeping thread takes longer than that.
///
/// Kept up only while it pays: after a miss it is left out for twice as many replies as after the one before, up to 1,024.
struct NextRequestPoll {
    /// Nanoseconds; about what waking costs in a virtual machine whose processor went idle.
    private static let patience: UInt64 = 50_000
    private static let longestPause = 1024

    private var pause = 0
    private var skipped = 0

    /// Returns when the socket has something to read, or when waiting does not pay.
    mutating func wait(for socket: CInt) {
        guard skipped >= pause else { return skipped += 1 }
        skipped = 0
        if SystemCall.isReadable(socket, within: Self.patience) { pause = 0 } else { pause = min(max(1, 2 * pause), Self.longestPause) }
    }
}
