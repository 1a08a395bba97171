/// Looks for the next request for a moment before the event loop sleeps: a client that keeps one request in flight sends the
/// next within microseconds of its reply, and to wake a sleeping thread takes longer than that.
///
/// Kept up only while it pays: after a miss it is left out for twice as many replies as after the one before, up to 1,024, and for four times
/// as many, sixteen at least, when others needed the processor meanwhile.
package struct NextRequestPoll {
    /// Nanoseconds; what a client on this machine takes from a reply to its next request, when its own thread must be woken too.
    private static let patience: UInt64 = 150_000
    private static let longestPause = 1024

    private var pause = 0
    private var skipped = 0

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
        skipped = 0
        switch SystemCall.readability(anyOf: descriptors, within: Self.patience) {
        case .readable:
            pause = 0
            return true
        case .notReadable: pause = min(max(1, 2 * pause), Self.longestPause)
        // On a busy machine who never sleeps is the first to be held up.
        case .interrupted: pause = min(max(16, 4 * pause), Self.longestPause)
        }
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
