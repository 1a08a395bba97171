import CLinux
import Glibc
import Synchronization

/// Tells at once when the log has grown or a sheep may have died, by inotify(7) and a thread that waits for it.
///
/// Only a hint: when inotify is not to be had, or events are lost, the engine's timer sees the same a little later.
package final class FolderWatcher: Sendable {
    package struct Changes: OptionSet, Sendable {
        package let rawValue: UInt8
        package init(rawValue: UInt8) { self.rawValue = rawValue }
        /// A segment was written to or put in place, or the folder itself changed.
        package static let log = Changes(rawValue: 1)
        /// A sheep closed its liveness file (it may have died), or made one.
        package static let liveness = Changes(rawValue: 2)
    }

    private let descriptor: Int32
    private let watch: Int32
    private let pending = Mutex(Changes())
    private let notify: @Sendable () -> Void

    /// Calls `notify` on a thread of its own when there are changes to ``take()``; once until they are taken.
    /// - Returns: nil when the system has no inotify instance left.
    package init?(path: String, notify: @escaping @Sendable () -> Void) {
        self.notify = notify
        let events = IN_MODIFY | IN_CREATE | IN_CLOSE_WRITE | IN_DELETE_SELF | IN_MOVE_SELF
        descriptor = inotify_init1(Int32(IN_CLOEXEC))
        watch = inotify_add_watch(descriptor, path, UInt32(events))
        guard watch >= 0 else { return nil }
        startThread { self.readEvents() }
    }

    // Only here, when the thread has ended: a number closed earlier may be somebody else's when `stop` uses it.
    deinit { if descriptor >= 0 { close(descriptor) } }

    package func take() -> Changes {
        pending.withLock { changes in
            defer { changes = [] }
            return changes
        }
    }

    /// Ends the thread: the kernel answers the removal of the watch by an IN_IGNORED event.
    package func stop() { inotify_rm_watch(descriptor, watch) }

    private func readEvents() {
        var buffer = [UInt8](repeating: 0, count: 4096)
        while true {
            let count = Glibc.read(descriptor, &buffer, buffer.count)
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { break }
            let (changes, ended) = Self.parse(buffer[..<count])
            if !changes.isEmpty { add(changes) }
            if ended { break }
        }
    }

    private func add(_ changes: Changes) {
        let isFirst = pending.withLock { pending in
            defer { pending.formUnion(changes) }
            return pending.isEmpty
        }
        if isFirst { notify() }
    }

    /// `struct inotify_event`: watch, mask, cookie, name length (32 bits each), then the name padded with zeros.
    private static func parse(_ bytes: ArraySlice<UInt8>) -> (changes: Changes, ended: Bool) {
        var changes = Changes()
        var rest = bytes
        while rest.count >= 16 {
            let (mask, length) = rest.withUnsafeBytes {
                ($0.loadUnaligned(fromByteOffset: 4, as: UInt32.self), Int($0.loadUnaligned(fromByteOffset: 12, as: UInt32.self)))
            }
            if mask & UInt32(IN_IGNORED) != 0 { return (changes, true) }
            let name = String(decoding: rest.dropFirst(16).prefix(length).prefix { $0 != 0 }, as: UTF8.self)
            changes.formUnion(changesMeant(byEventOn: name, mask: mask))
            rest = rest.dropFirst(16 + length)
        }
        return (changes, false)
    }

    private static func changesMeant(byEventOn name: String, mask: UInt32) -> Changes {
        if name.isEmpty { return [.log, .liveness] }
        // What is written there are reports; who wants them looks by itself.
        if AliveLocks.isAliveFile(name) { return mask & UInt32(IN_MODIFY) == 0 ? .liveness : [] }
        // Closing a segment for writing changes nothing in it.
        return name.hasPrefix("log.") && mask & UInt32(IN_CLOSE_WRITE) == 0 ? .log : []
    }
}
