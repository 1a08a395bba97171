import CLinux
import FUSEFrontend
import FrontendKit
import Glibc
import ObjectModel
import Synchronization
import Testing

@Suite("Writes that are answered before they are confirmed", .enabled(if: canMount), .timeLimit(.minutes(15)))
struct WritesBehindTests {
    private static let failure = SheepError(.inputOutput, "no")

    /// A mounted volume whose writes are held, open with these flags besides O_RDWR.
    private func withHeld(_ flags: Int32 = 0, _ body: (TestMount, Int32) throws -> Void) throws {
        try TestMount.with { $0.provider.create("alice", size: 16 << 20).holdsWrites = true } configure: { $0.autoMount = true } _: { mount in
            let file = clinux_open("\(mount.path)/volume/alice", O_RDWR | O_CLOEXEC | flags, 0)
            #expect(file >= 0)
            defer { close(file) }
            // Whatever fails above, nothing may be held when the tree ends.
            defer { mount.onLoop { $0.provider.volumes["alice"]!.letGo() } }
            try body(mount, file)
        }
    }

    private func held(_ mount: TestMount) -> Int { mount.onLoop { $0.provider.volumes["alice"]!.heldWrites } }
    private func letGo(_ mount: TestMount, failing: Bool = false) {
        mount.onLoop { backend in
            let volume = backend.provider.volumes["alice"]!
            volume.failure = failing ? Self.failure : nil
            volume.letGo()
            volume.failure = nil
        }
    }

    /// Runs what blocks on another thread; true when it has ended within ten seconds of `release`.
    private func blocks(_ body: @escaping @Sendable () -> Void, until release: () -> Void) -> Bool {
        let started = Flag(), ended = Flag()
        let thread = Thread {
            started.set()
            body()
            ended.set()
        }
        defer { thread.join() }
        guard waitUntil({ started.isSet }) else { return false }
        // It cannot be seen that something waits, only that it has not ended.
        usleep(50_000)
        let waited = !ended.isSet
        release()
        return waited && waitUntil { ended.isSet }
    }

    @Test("a write returns when it is on its way; fsync and what touches the same bytes wait for it")
    func early() throws {
        try withHeld { mount, file in
            #expect(pwrite(file, "abcd", 4, 4096) == 4)
            #expect(held(mount) == 1)
            let bytes = Mutex<[UInt8]>([])
            let waited = blocks {
                var found = [UInt8](repeating: 0, count: 6)
                pread(file, &found, 6, 4095)
                bytes.withLock { [found] in $0 = found }
            } until: { letGo(mount) }
            #expect(waited)
            #expect(bytes.withLock { $0 } == [0] + Array("abcd".utf8) + [0])
        }
    }

    @Test("fsync waits for what was answered")
    func syncing() throws {
        try withHeld { mount, file in
            #expect(pwrite(file, "a", 1, 0) == 1)
            #expect(pwrite(file, "b", 1, 8192) == 1)
            #expect(held(mount) == 2)
            let fsyncWaited = blocks { fsync(file) } until: { letGo(mount) }
            #expect(fsyncWaited)
            #expect(mount.onLoop { $0.provider.volumes["alice"]!.durableRequests } == 1)
        }
    }

    @Test("overlapping writes are begun one after the other, in order")
    func overlapping() throws {
        try withHeld { mount, file in
            #expect(pwrite(file, "aaaa", 4, 0) == 4)
            let waited = blocks { pwrite(file, "bb", 2, 1) } until: {
                #expect(held(mount) == 1)
                letGo(mount)
            }
            #expect(waited)
            var found = [UInt8](repeating: 0, count: 4)
            #expect(pread(file, &found, 4, 0) == 4)
            #expect(found == Array("abba".utf8))
        }
    }

    @Test("no more than a few are answered early")
    func limit() throws {
        try withHeld { mount, file in
            for write in 0..<WritesBehind.mostWrites { #expect(pwrite(file, "x", 1, write * 4096) == 1) }
            let waited = blocks { pwrite(file, "y", 1, 1 << 20) } until: {
                #expect(held(mount) == WritesBehind.mostWrites)
                letGo(mount)
            }
            #expect(waited)
        }
    }

    @Test("fsync tells a failure once to each who had the file open then, whatever others heard; a write tells none")
    func failing() throws {
        try withHeld { mount, file in
            let other = clinux_open("\(mount.path)/volume/alice", O_RDWR | O_CLOEXEC, 0)
            defer { close(other) }
            #expect(pwrite(file, "a", 1, 0) == 1)
            letGo(mount, failing: true)
            #expect(pwrite(other, "b", 1, 4096) == 1)
            letGo(mount)
            for handle in [other, file] {
                #expect(fsync(handle) == -1)
                #expect(clinux_errno() == EIO)
                #expect(fsync(handle) == 0)
            }
            let later = clinux_open("\(mount.path)/volume/alice", O_RDWR | O_CLOEXEC, 0)
            #expect(fsync(later) == 0)
            close(later)
        }
    }

    @Test("a failure that nobody was told is told to who opens the file next")
    func untold() throws {
        try withHeld { mount, file in
            #expect(pwrite(file, "a", 1, 0) == 1)
            letGo(mount, failing: true)
            let later = clinux_open("\(mount.path)/volume/alice", O_RDWR | O_CLOEXEC, 0)
            defer { close(later) }
            #expect(fsync(later) == -1)
            #expect(fsync(later) == 0)
        }
    }

    @Test("who opens with O_DIRECT or O_DSYNC is answered when it is done", arguments: [clinux_o_direct(), O_DSYNC])
    func waiting(flags: Int32) throws {
        try withHeld(flags) { mount, file in
            let waited = blocks {
                let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: 4096, alignment: 4096)
                memory.initializeMemory(as: UInt8.self, repeating: 7)
                pwrite(file, memory.baseAddress, 4096, 4096)
                memory.deallocate()
            } until: { letGo(mount) }
            #expect(waited)
        }
    }
}

/// A thread that may block.
private final class Thread {
    private var thread = pthread_t()

    init(_ body: @escaping @Sendable () -> Void) {
        let box = Unmanaged.passRetained(Box(body))
        pthread_create(&thread, nil, { context in
            Unmanaged<Box>.fromOpaque(context!).takeRetainedValue().body()
            return nil
        }, box.toOpaque())
    }

    func join() { pthread_join(thread, nil) }

    private final class Box {
        let body: @Sendable () -> Void
        init(_ body: @escaping @Sendable () -> Void) { self.body = body }
    }
}
