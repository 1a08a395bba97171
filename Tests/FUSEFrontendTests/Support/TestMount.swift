import CLinux
import FUSEFrontend
import FrontendKit
import Glibc
import Logging
import NIOCore
import NIOPosix
import ObjectModel
import Synchronization

/// Tests that mount need the kernel's door and the right to use it.
let canMount = access("/dev/fuse", R_OK | W_OK) == 0 && getuid() == 0

/// A tree over volumes in memory, mounted on a folder of its own.
///
/// `@unchecked Sendable`: the backend is used on the loop only, through ``onLoop(_:)``.
final class TestMount: @unchecked Sendable {
    let path: String
    private let server: FUSEServer<MemoryBackend>
    private let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    private let backend: MemoryBackend
    private let hasEnded = Flag()

    /// Unmounted and removed however the body ends.
    static func with(
        prepare: (MemoryBackend) -> Void, configure: (inout FUSEConfiguration) -> Void, _ body: (TestMount) throws -> Void
    ) throws {
        let mount = try TestMount(prepare: prepare, configure: configure)
        defer { mount.finish() }
        try body(mount)
    }

    private init(prepare: (MemoryBackend) -> Void, configure: (inout FUSEConfiguration) -> Void) throws {
        var template = Array("/tmp/fuse-test-XXXXXX".utf8CString)
        precondition(mkdtemp(&template) != nil, "no temporary directory")
        path = String(decoding: template.dropLast().map(UInt8.init(bitPattern:)), as: UTF8.self)
        backend = MemoryBackend()
        prepare(backend)
        var configuration = FUSEConfiguration(mountPoint: path)
        configure(&configuration)
        var logger = Logger(label: "test")
        logger.logLevel = .critical
        server = FUSEServer(eventLoop: group.next(), backend: backend, configuration: configuration, logger: logger)
        let hasEnded = hasEnded
        server.unmounted = { hasEnded.set() }
        try server.start()
    }

    /// Runs on the server's loop and waits.
    func onLoop<Result: Sendable>(_ body: @escaping @Sendable (MemoryBackend) -> Result) -> Result {
        nonisolated(unsafe) let backend = backend
        return try! group.next().submit { body(backend) }.wait()
    }

    func stop() {
        let server = server
        let stopped = group.next().makePromise(of: Void.self)
        group.next().execute { server.stop { stopped.succeed() } }
        try! stopped.futureResult.wait()
    }

    /// The session ended because somebody else unmounted.
    var endedByItself: Bool { hasEnded.isSet }

    private func finish() {
        if !endedByItself { stop() }
        try! group.syncShutdownGracefully()
        rmdir(path)
    }

    // MARK: As a user

    func read(_ name: String) -> String? {
        let file = clinux_open("\(path)/\(name)", O_RDONLY | O_CLOEXEC, 0)
        guard file >= 0 else { return nil }
        defer { close(file) }
        var bytes: [UInt8] = []
        var piece = [UInt8](repeating: 0, count: 4096)
        while case let count = Glibc.read(file, &piece, piece.count), count > 0 { bytes += piece[..<count] }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// What `echo TEXT > NAME` ends with: 0 or an error number.
    func echo(_ text: String, to name: String) -> Int32 {
        let file = clinux_open("\(path)/\(name)", O_WRONLY | O_TRUNC | O_CLOEXEC, 0)
        guard file >= 0 else { return clinux_errno() }
        defer { close(file) }
        let bytes = Array((text + "\n").utf8)
        return Glibc.write(file, bytes, bytes.count) == bytes.count ? 0 : clinux_errno()
    }

    func list(_ name: String) -> [String] {
        guard let directory = opendir("\(path)/\(name)") else { return [] }
        defer { closedir(directory) }
        var names: [String] = []
        while let entry = readdir(directory) {
            names.append(
                withUnsafePointer(to: &entry.pointee.d_name) {
                    $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
                })
        }
        return names.filter { $0 != "." && $0 != ".." }.sorted()
    }

    func status(_ name: String) -> (size: Int, mode: UInt32)? {
        var status = stat()
        guard stat("\(path)/\(name)", &status) == 0 else { return nil }
        return (status.st_size, status.st_mode)
    }
}

/// A flag between threads.
final class Flag: Sendable {
    private let value = Atomic(false)
    var isSet: Bool { value.load(ordering: .acquiring) }
    func set() { value.store(true, ordering: .releasing) }
}

/// Waits for a condition; false when it does not hold within ten seconds.
func waitUntil(_ condition: () -> Bool) -> Bool {
    let deadline = ContinuousClock.now + .seconds(10)
    while !condition() {
        guard ContinuousClock.now < deadline else { return false }
        usleep(2000)
    }
    return true
}
