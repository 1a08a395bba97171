import CLinux
import Glibc

/// The ``Disk`` on a folder of a real file system.
///
/// Background reads, copies and syncs run on threads of its own; their completions go through `post` to the thread
/// that calls everything else. The system calls stand in ``FileCalls``.
package final class FileDisk: Disk {
    package struct File: Hashable, Sendable {
        let descriptor: Int32
    }

    private struct SyncRequest {
        let files: [File]
        let directories: [String]
        let all: Bool
        let completion: (DiskError?) -> Void
    }

    /// More dirty files and folders than this are synced by one `syncfs`.
    private static let singleSyncsMax = 16

    /// Bytes that a thread in the background reads before it lets others have the processor.
    private static let courteousRead = 64 << 10

    private let root: Int32
    private let post: (@escaping @Sendable () -> Void) -> Void
    private let threads: IOThreads
    private var clonesWork = true
    private var copyRangeWorks = true
    private var syncIsRunning = false
    private var waitingSyncs: [SyncRequest] = []
    /// The first failure of a sync; it is never tried again.
    private var syncFailure: DiskError?

    /// - Parameters:
    ///   - path: a folder that exists.
    ///   - threads: how many for what may block; 2 to 4.
    ///   - post: runs a closure soon on the thread that calls this disk.
    package init(
        path: String, threads: Int = 3, post: @escaping (@escaping @Sendable () -> Void) -> Void
    ) throws(DiskError) {
        root = try FileCalls.open(AT_FDCWD, path, O_RDONLY | O_DIRECTORY)
        self.post = post
        self.threads = IOThreads(count: threads)
    }

    /// Ends the threads after what they have to do; the store is closed before.
    package func shutDown() { threads.stop() }

    deinit { _ = Glibc.close(root) }

    /// Where other processes of this machine find the folder while this one runs, from whatever root they see.
    package var pathForOthers: String { "/proc/\(getpid())/fd/\(root)" }

    // MARK: - Files

    package func open(_ name: String, create: Bool) throws(DiskError) -> File {
        File(descriptor: try FileCalls.open(root, name, O_RDWR | (create ? O_CREAT | O_EXCL : 0)))
    }

    package func close(_ file: File) { _ = Glibc.close(file.descriptor) }

    package func exists(_ name: String) throws(DiskError) -> Bool { try FileCalls.exists(root, name) }

    package func size(of file: File) throws(DiskError) -> UInt64 { try FileCalls.size(file.descriptor) }

    package func read(
        _ file: File, at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer
    ) throws(DiskError) {
        try FileCalls.read(file.descriptor, offset, buffer)
    }

    package func tryRead(
        _ file: File, at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer
    ) throws(DiskError) {
        try FileCalls.tryRead(file.descriptor, offset, buffer)
    }

    package func dropCached(_ file: File, at offset: UInt64, length: UInt64) {
        FileCalls.dropCached(file.descriptor, offset, length)
    }

    package func write(_ file: File, at offset: UInt64, from buffer: UnsafeRawBufferPointer) throws(DiskError) {
        try FileCalls.write(file.descriptor, offset, buffer)
    }

    package func truncate(_ file: File, to size: UInt64) throws(DiskError) {
        try FileCalls.truncate(file.descriptor, size)
    }

    package func punch(_ file: File, at offset: UInt64, length: UInt64) throws(DiskError) {
        try FileCalls.punch(file.descriptor, offset, length)
    }

    package func reserve(_ file: File, at offset: UInt64, length: UInt64) throws(DiskError) {
        try FileCalls.reserve(file.descriptor, offset, length)
    }

    package func dataRanges(of file: File, upTo size: UInt64) throws(DiskError) -> [Range<UInt64>] {
        try FileCalls.dataRanges(file.descriptor, size)
    }

    // MARK: - Names

    package func remove(_ name: String) throws(DiskError) { try FileCalls.unlink(root, name) }
    package func rename(_ old: String, to new: String) throws(DiskError) { try FileCalls.rename(root, old, new) }
    package func makeDirectory(_ name: String) throws(DiskError) { try FileCalls.makeDirectory(root, name) }
    package func list(_ directory: String) throws(DiskError) -> [String] { try FileCalls.list(root, directory) }
    package func space() throws(DiskError) -> (total: UInt64, free: UInt64) { try FileCalls.space(root) }

    // MARK: - In the background

    /// Carries what only the calling thread touches to an I/O thread and back.
    private struct Carried<Value>: @unchecked Sendable {
        let value: Value
    }

    /// Runs the work on an I/O thread and hands its result to the completion on the calling thread.
    private func background<Result: Sendable>(
        _ work: @escaping @Sendable () -> Result, _ completion: @escaping (Result) -> Void
    ) {
        let carried = Carried(value: (post, completion))
        threads.submit {
            let result = work()
            carried.value.0 { carried.value.1(result) }
        }
    }

    package func readInBackground(
        _ file: File, at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer, aheadTo end: UInt64,
        completion: @escaping (DiskError?) -> Void
    ) {
        let target = Carried(value: buffer)
        background({
            if end - offset > UInt64(Self.courteousRead) { FileCalls.readAhead(file.descriptor, offset, Int(end - offset)) }
            return FileCalls.outcome { () throws(DiskError) in
                for start in stride(from: 0, to: target.value.count, by: Self.courteousRead) {
                    if start > 0 { sched_yield() }
                    let piece = target.value[start..<min(start + Self.courteousRead, target.value.count)]
                    try FileCalls.read(file.descriptor, offset + UInt64(start), UnsafeMutableRawBufferPointer(rebasing: piece))
                }
            }
        }, completion)
    }

    /// Linux does not take the processor from a thread for one that wakes up, if that one is not behind in its share, and looks for
    /// another processor only later: an event loop with a client's request would wait for all of a long read.
    package func giveWay() { sched_yield() }

    package func copy(from: File, to: File, length: UInt64) throws(DiskError) {
        let result = FileCalls.copy(from.descriptor, to.descriptor, length, clone: clonesWork, range: copyRangeWorks)
        if let error = note(result) { throw error }
    }

    package func copyInBackground(
        from: File, to: File, length: UInt64, completion: @escaping (DiskError?) -> Void
    ) {
        let (clone, range) = (clonesWork, copyRangeWorks)
        background({ FileCalls.copy(from.descriptor, to.descriptor, length, clone: clone, range: range) }) {
            [self] result in completion(note(result))
        }
    }

    private func note(_ result: FileCalls.CopyResult) -> DiskError? {
        clonesWork = clonesWork && result.cloneWorks
        copyRangeWorks = copyRangeWorks && result.rangeWorks
        return result.error
    }

    // MARK: - Durability

    package func sync(files: [File], directories: [String], completion: @escaping (DiskError?) -> Void) {
        waitingSyncs.append(SyncRequest(files: files, directories: directories, all: false, completion: completion))
        startSync()
    }

    package func syncAll(completion: @escaping (DiskError?) -> Void) {
        waitingSyncs.append(SyncRequest(files: [], directories: [], all: true, completion: completion))
        startSync()
    }

    /// All requests that came while a sync ran share the next one.
    private func startSync() {
        guard !syncIsRunning, !waitingSyncs.isEmpty else { return }
        syncIsRunning = true
        let batch = waitingSyncs
        waitingSyncs = []
        if let syncFailure { return background({ syncFailure }) { [self] in endSync(batch, $0) } }
        let files = Set(batch.flatMap(\.files))
        let directories = Set(batch.flatMap(\.directories))
        if batch.contains(where: \.all) || files.count + directories.count > Self.singleSyncsMax {
            let root = root
            return background({ FileCalls.syncFileSystem(root) }) { [self] in endSync(batch, $0) }
        }
        var remaining = files.count + directories.count
        guard remaining > 0 else { return background({ nil }) { [self] in endSync(batch, $0) } }
        var failure: DiskError?
        let done: (DiskError?) -> Void = { [self] error in
            failure = failure ?? error
            remaining -= 1
            if remaining == 0 { endSync(batch, failure) }
        }
        let root = root
        for file in files { background({ FileCalls.syncData(file.descriptor) }, done) }
        for name in directories { background({ FileCalls.syncDirectory(root, name) }, done) }
    }

    private func endSync(_ batch: [SyncRequest], _ error: DiskError?) {
        syncFailure = syncFailure ?? error
        syncIsRunning = false
        for request in batch { request.completion(error) }
        startSync()
    }
}
