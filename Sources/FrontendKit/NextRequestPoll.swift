/// Looks for the next request for a moment before the event loop sleeps: a client that keeps one request in flight sends the
/// next within microseconds of its reply, and to wake a sleeping thread takes longer than that.
///
/// Kept up only while it pays: after some misses in a row it is left out for twice as many replies as the time before, up to 1,024, and for four
/// times as many, sixteen at least, when others needed the processor meanwhile. One miss says little: the scheduler needs some turns to find
/// the client's threads a processor beside one that does not sleep any more.
package struct NextRequestPoll {
    /// Nanoseconds; what a client on this machine takes from a reply to its next request, when its own thread must be woken too.
    private static let patience: UInt64 = 150_000
    private static let longestPause = 1024
    private static let missesInARow = 4

    private var pause = 0
    private var skipped = 0
    private var misses = 0

    package init() {}

    /// Returns when a descriptor has something to read, or when waiting does not pay; true in the first case.
    @discardableResult
    package mutating func wait(for descriptors: CInt...) -> Bool { wait(for: descriptors) }

    @discardableResult
    package mutating func wait(for descriptors: [CInt]) -> Bool {
        guard skipped >= pause else {
            skipped += 1
            return false
        }
        let outcome = SystemCall.readability(anyOf: descriptors, within: Self.patience)
        guard outcome != .readable else {
            (pause, misses) = (0, 0)
            return true
        }
        misses = outcome == .interrupted ? Self.missesInARow : misses + 1
        guard misses == Self.missesInARow else { return false }
        (skipped, misses) = (0, 0)
        // On a busy machine who never sleeps is the first to be held up.
        pause = min(outcome == .interrupted ? max(16, 4 * pause) : max(1, 2 * pause), Self.longestPause)
        return false
    }
}

/// Whether one client alone was replied to for a while: more at once are served in turn, which waiting for one would delay.
package struct LoneClient {
    private static let longEnough = 16
    private var last: ObjectIdentifier?
    private var repliesInARow = 0

    package init() {}

    /// To be called for each burst of replies.
    package mutating func isAlone(_ client: AnyObject) -> Bool {
        let identifier = ObjectIdentifier(client)
        repliesInARow = identifier == last ? repliesInARow + 1 : 0
        last = identifier
        return repliesInARow > Self.longEnough
    }
}
