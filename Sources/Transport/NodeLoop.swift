package import Gateway
package import NIOCore
import CLinux

/// The sheep's one event loop as its clock and timer.
///
/// All of a sheep runs here; `@unchecked Sendable` because the reference crosses to other threads only to post to the loop.
package final class NodeLoop: NodeClock, @unchecked Sendable {
    package let eventLoop: any EventLoop

    package init(eventLoop: any EventLoop) { self.eventLoop = eventLoop }

    package func now() -> UInt64 { clinux_boottime_ns() }
    package func wallClock() -> UInt64 { clinux_realtime_ns() }

    @discardableResult
    package func schedule(after nanoseconds: UInt64, _ action: @escaping () -> Void) -> Timer {
        let timer = Timer()
        eventLoop.assumeIsolated().scheduleTask(in: .nanoseconds(Int64(clamping: nanoseconds))) {
            if !timer.isCancelled { action() }
        }
        return timer
    }

    /// From any thread.
    package func post(_ action: @escaping @Sendable () -> Void) { eventLoop.execute(action) }
}
