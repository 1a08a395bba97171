import CFuse3
import FrontendKit
import Glibc
package import Logging
package import NIOCore
import NIOPosix
package import ObjectModel

/// The FUSE front-end: one mounted tree.
///
/// Everything happens on the one event loop given, which is the backend's as well; only what may block has threads of its own.
/// ``start()`` alone is called from elsewhere.
/// `@unchecked Sendable`: all state is touched on the event loop only, but for `start`, which comes before all.
package final class FUSEServer<Backend: FUSEBackend>: Frontend, @unchecked Sendable {
    package static var name: String { "FUSE" }
    typealias File = VolumeFile<Backend.Device>

    package let configuration: FUSEConfiguration
    let backend: Backend
    let logger: Logger
    let eventLoop: any EventLoop
    /// Where the tree is mounted, without symbolic links.
    package private(set) var mountPoint: String
    /// Called on the loop when the file system was unmounted by somebody else, after everything is durable and closed.
    package var unmounted: (() -> Void)?

    var session: FUSESession!
    var files = VolumeFiles<Backend.Device>()
    /// Shown without ``FUSEConfiguration/autoMount``; see ``withMounted(_:)``.
    var mounted: Set<String> = []
    /// Of a read that is answered at once; the memory is kept for the next.
    var scratch = ByteBuffer()
    /// For files opened from now on.
    var usesPageCache: Bool
    var texts: [UInt64: ByteBuffer] = [:]
    var directories: [UInt64: [DirectoryEntry]] = [:]
    /// Handles that may write to volumes.
    var writers: Set<UInt64> = []
    private var lastHandle: UInt64 = 0
    let startedAt = SystemCalls.now()
    private var stopped: (() -> Void)?
    private var isServing = false
    /// Unmounted, and what was written is made durable.
    private var isEnding = false
    /// Of volumes whose last writer closed them, and at the end; and who waits for all of these.
    private var flushesUnderWay = 0
    private var durable: [() -> Void] = []

    package init(eventLoop: any EventLoop, backend: Backend, configuration: FUSEConfiguration, logger: Logger) {
        (self.eventLoop, self.backend, self.configuration, self.logger) = (eventLoop, backend, configuration, logger)
        (mountPoint, usesPageCache) = (configuration.mountPoint, configuration.pageCache)
    }

    /// Mounts; requests are served from then on.
    package func start() throws(SheepError) {
        guard let path = SystemCalls.directory(configuration.mountPoint) else {
            throw SheepError(.invalidArgument, "cannot mount on \(configuration.mountPoint): there is no such directory")
        }
        mountPoint = path
        session = try FUSESession(configuration: configuration, eventLoop: eventLoop) { [unowned self] operation, request in
            handle(operation, request)
        } forget: { [unowned self] inode, count in
            files.forget(inode, count)
        } awaitAnswer: { [unowned self] in
            backend.awaitAnswer()
        }
        do throws(SheepError) {
            try session.mount(on: path)
        } catch {
            session.discard()
            throw error
        }
        isServing = true
        session.serve { [self] in
            isServing = false
            sessionEnded()
        }
        logger.info("mounted on \(path)")
    }

    func nextHandle() -> UInt64 {
        lastHandle += 1
        return lastHandle
    }

    // MARK: The end

    /// Nobody asks any more: what was written becomes durable, then the volumes are closed.
    private func sessionEnded() {
        logger.info("unmounted from \(mountPoint)")
        isEnding = true
        makeDurable { [self] in
            isEnding = false
            for file in files.all { file.device?.close() }
            files = VolumeFiles()
            if stopped != nil { return endStop() }
            unmounted?()
        }
    }

    private func makeDurable(completion: @escaping () -> Void) {
        for file in files.all where file.isUnflushed || !file.behind.isEmpty {
            guard let device = file.device else { continue }
            flush(device, of: file) {}
        }
        if flushesUnderWay == 0 { return completion() }
        durable.append(completion)
    }

    /// Nobody waits for the answer but the end of this server.
    func flush(_ device: Backend.Device, of file: File, then: @escaping () -> Void) {
        flushesUnderWay += 1
        afterAll(of: file) { [self] in
            file.isUnflushed = !file.behind.isEmpty
            device.flush { [self] error in
                if let error { logger.error("volume \(file.name) may have lost what was written lately: \(error.message)") }
                then()
                flushesUnderWay -= 1
                guard flushesUnderWay == 0 else { return }
                let waiting = durable
                durable = []
                for completion in waiting { completion() }
            }
        }
    }

    private func endStop() {
        guard let completion = stopped else { return }
        stopped = nil
        completion()
    }

    /// Unmounts. A tree that is in use is detached when what was written there is durable, after the drain time at the latest;
    /// those who use it get errors when the process ends. To be called on the event loop, once.
    package func stop(completion: @escaping () -> Void) {
        eventLoop.preconditionInEventLoop()
        precondition(stopped == nil, "stopped twice")
        guard isServing || isEnding else { return completion() }
        stopped = completion
        let path = mountPoint
        eventLoop.assumeIsolated().scheduleTask(in: .milliseconds(Int64(configuration.drainSeconds * 1000))) { [self] in
            guard stopped != nil else { return }
            // A process that ends without this leaves a mount that nobody serves.
            if isServing { detach(path) } else { endStop() }
        }
        // Somebody else unmounted it a moment ago.
        if isEnding { return }
        session.onThread { [self] in
            let error = cfuse_unmount(path, false)
            // 0: the session's own end does the rest.
            guard error != 0 else { return }
            guard error == EBUSY else {
                return eventLoop.execute { [self] in
                    logger.error("cannot unmount \(path): \(String(cString: strerror(error)))")
                    endStop()
                }
            }
            SystemCalls.syncFileSystem(path)
            eventLoop.execute { [self] in
                logger.warning("\(path) is in use: it is detached as soon as what was written is durable")
                makeDurable { [self] in detach(path) }
            }
        }
    }

    /// On a thread of its own: others may be held up by a request that nobody answers.
    private func detach(_ path: String) {
        let thread = NIOThreadPool(numberOfThreads: 1)
        thread.start()
        thread.submit { [self] _ in
            _ = cfuse_unmount(path, true)
            eventLoop.execute { [self] in endStop() }
            thread.shutdownGracefully { _ in }
        }
    }

    // MARK: Requests

    private func handle(_ operation: FUSEOperation, _ request: FUSERequest) {
        switch operation {
        case .lookup(let parent, let name): lookup(name, in: parent, request)
        case .attributes(let inode): attributes(of: inode, request)
        case .change(let inode, let changes): change(inode, changes, request)
        case .open(let inode, let flags): open(inode, flags: flags, request)
        case .read(let inode, let handle, let offset, let length):
            if let file = files[inode] { return read(file, at: offset, length: length, request) }
            readText(handle, at: offset, length: length, request)
        case .write(let inode, _, let offset, let data, let answer):
            if let file = files[inode] { return write(file, data, at: offset, answer: answer, request) }
            guard let node = StaticNode(rawValue: inode) else { return request.fail(ENOENT) }
            set(node, data, request)
        case .sync(let inode, let handle):
            guard let file = files[inode] else { return request.done() }
            sync(file, handle: handle, request)
        case .allocate(let inode, let mode, let offset, let length):
            guard let file = files[inode] else { return request.fail(EOPNOTSUPP) }
            allocate(file, mode: mode, offset: offset, length: length, request)
        case .seek(let inode, let offset, let whence):
            guard let file = files[inode] else { return request.fail(EINVAL) }
            seek(file, from: offset, whence: whence, request)
        case .release(let inode, let handle):
            texts[handle] = nil
            if let file = files[inode] { released(file, handle: handle, isWriter: writers.remove(handle) != nil) }
            request.done()
        case .openDirectory(let inode): openDirectory(inode, request)
        case .readDirectory(let handle, let offset, let length):
            request.entries(directories[handle] ?? [], from: offset, length: length)
        case .releaseDirectory(let handle):
            directories[handle] = nil
            request.done()
        case .space:
            backend.space { result in
                switch result {
                case .failure(let error): request.fail(error)
                case .success(let space): request.space(space)
                }
            }
        }
    }
}
