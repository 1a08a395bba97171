import Cluster
import Glibc
package import ObjectModel

/// A sheep's own copy of the control log, in its store's folder: what remains when the log is lost or damaged.
///
///     control       the state after some entry, and the entries since: a file like a segment
///     control.new   the next such file in the making
///
/// Entries come here after they were applied, and are durable a moment later: so the copy never has what the log has not, and
/// lacks little of it. A file that cannot be written ends the copy with what it has, until the next ``begin(after:snapshot:)``.
///
/// `@unchecked Sendable`: `work`, `isWorking` and `hasFailed` are only touched under the lock, `file` by the worker alone.
package final class LogCopy: ControlLogCopy, @unchecked Sendable {
    /// The state after entry `index`, and the entries that follow it.
    package struct Contents: Sendable {
        package let index: LogIndex
        package let snapshot: [UInt8]
        package let entries: [LogRecord]
        package var last: LogIndex { entries.last?.index ?? index }
    }

    private enum Work {
        case begin(LogIndex, [UInt8])
        case append(LogRecord)
    }

    private static let fileName = "control"
    private static let draftName = "control.new"

    private let folder: OpenFile
    /// Told once for each file that could not be written, from any thread.
    private let failed: @Sendable (String) -> Void
    private let worker = WorkerThread()
    private let lock = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private var work: [Work] = []
    private var isWorking = false
    private var hasFailed = false
    private var file: (file: OpenFile, tag: UInt64)?

    /// Where the copy ended that an earlier run left; nil: there is none that can be read.
    package let last: LogIndex?

    package init(in path: String, failed: @escaping @Sendable (String) -> Void) throws(EngineFailure) {
        folder = try OpenFile.open(path, O_RDONLY | O_DIRECTORY)
        self.failed = failed
        do throws(EngineFailure) { last = try Self.read(folder)?.last } catch {
            last = nil
            failed("the store's copy of the control log cannot be read, a new one is begun: \(error.reason)")
        }
        pthread_mutex_init(lock, nil)
    }

    deinit {
        worker.stop()
        pthread_mutex_destroy(lock)
        lock.deallocate()
    }

    /// What is whole of it, up to the first entry that is not. Nil: there is none. `damaged`: its beginning cannot be read.
    package static func read(in path: String) throws(EngineFailure) -> Contents? {
        try read(try OpenFile.open(path, O_RDONLY | O_DIRECTORY))
    }

    private static func read(_ folder: OpenFile) throws(EngineFailure) -> Contents? {
        guard let file = try folder.openEntry(fileName, O_RDONLY) else { return nil }
        let segment = try Segment(file)
        return Contents(index: segment.header.index, snapshot: try segment.readSnapshot(), entries: try segment.readWhatIsWhole())
    }

    // MARK: Writing

    package var isBroken: Bool {
        pthread_mutex_lock(lock)
        defer { pthread_mutex_unlock(lock) }
        return hasFailed
    }

    private func note(failed: Bool) {
        pthread_mutex_lock(lock)
        hasFailed = failed
        pthread_mutex_unlock(lock)
    }

    package func begin(after index: LogIndex, snapshot: [UInt8]) {
        note(failed: false)
        add(.begin(index, snapshot))
    }

    package func append(_ payload: [UInt8], at index: LogIndex) { add(.append(LogRecord(index: index, payload: payload))) }

    /// Whatever comes while the worker writes and syncs is written and synced together.
    private func add(_ item: Work) {
        pthread_mutex_lock(lock)
        defer { pthread_mutex_unlock(lock) }
        // A state has all that was before, which must not pile up while a disk hangs.
        if case .begin = item { work = [] }
        work.append(item)
        if isWorking { return }
        isWorking = true
        worker.run { [self] in
            while let items = take() { perform(items) }
        }
    }

    private func take() -> [Work]? {
        pthread_mutex_lock(lock)
        defer { pthread_mutex_unlock(lock) }
        isWorking = !work.isEmpty
        defer { work = [] }
        return isWorking ? work : nil
    }

    private func perform(_ items: [Work]) {
        do throws(EngineFailure) {
            var bytes: [UInt8] = []
            for item in items {
                switch item {
                case .begin(let index, let snapshot):
                    file = try make(index, snapshot)
                case .append(let record):
                    if let file { bytes += record.encoded(tag: file.tag) }
                }
            }
            guard let file, !bytes.isEmpty else { return }
            try file.file.writeAll(bytes)
            try file.file.syncData()
        } catch {
            file = nil
            note(failed: true)
            try? folder.removeEntry(Self.draftName)
            failed("the store's copy of the control log is not written on: \(error.reason)")
        }
    }

    /// Durable, and in the place of the former one, on return.
    private func make(_ index: LogIndex, _ snapshot: [UInt8]) throws(EngineFailure) -> (file: OpenFile, tag: UInt64) {
        let header = SegmentHeader(tag: .random(in: .min ... .max), index: index, snapshot: snapshot)
        try folder.removeEntry(Self.draftName)
        let file = try folder.openEntry(Self.draftName, O_RDWR | O_CREAT | O_EXCL | O_APPEND)!
        try file.writeAll(header.encoded)
        try file.writeAll(snapshot)
        try file.sync()
        try folder.renameEntry(Self.draftName, to: Self.fileName)
        try folder.sync()
        return (file, header.tag)
    }
}
