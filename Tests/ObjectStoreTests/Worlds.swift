import Glibc
import ObjectModel
import ObjectStore

/// What a store's machine is in a test: a disk that outlives processes, and the loop that runs completions.
protocol World: AnyObject {
    associatedtype D: Disk
    var disk: D { get }
    /// Runs completions until the condition holds.
    func run(until condition: () -> Bool)
    /// Ends the process: handles and completions are gone, what was written is there.
    func kill()
    func cleanUp()
}

/// The simulated machine: time passes when something waits.
final class SimulatedWorld: World {
    private final class Queue {
        var events: [(time: UInt64, number: Int, body: () -> Void)] = []
        var now: UInt64 = 0
        var count = 0

        func schedule(_ delay: UInt64, _ body: @escaping () -> Void) {
            count += 1
            events.append((now + delay, count, body))
        }

        func step() -> Bool {
            guard let next = events.indices.min(by: { (events[$0].time, events[$0].number) < (events[$1].time, events[$1].number) })
            else { return false }
            let event = events.remove(at: next)
            now = max(now, event.time)
            event.body()
            return true
        }
    }

    private let queue = Queue()
    let disk: SimulatedDisk

    init(seed: UInt64) {
        let queue = queue
        disk = SimulatedDisk(seed: seed) { queue.schedule($0, $1) }
    }

    func run(until condition: () -> Bool) {
        while !condition() { precondition(queue.step(), "nothing will ever happen") }
    }

    /// One event; false when none is left.
    func step() -> Bool { queue.step() }
    func kill() { disk.killProcess() }
    func cleanUp() {}
}

/// A folder of the machine's own file system.
final class FileWorld: World {
    /// Completions on their way to the test's thread. `@unchecked Sendable`: under the mutex only.
    private final class Mailbox: @unchecked Sendable {
        private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
        private let condition = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
        private var bodies: [@Sendable () -> Void] = []

        init() {
            pthread_mutex_init(mutex, nil)
            pthread_cond_init(condition, nil)
        }

        func post(_ body: @escaping @Sendable () -> Void) {
            pthread_mutex_lock(mutex)
            bodies.append(body)
            pthread_cond_signal(condition)
            pthread_mutex_unlock(mutex)
        }

        func take() -> [@Sendable () -> Void] {
            pthread_mutex_lock(mutex)
            while bodies.isEmpty { pthread_cond_wait(condition, mutex) }
            defer {
                bodies = []
                pthread_mutex_unlock(mutex)
            }
            return bodies
        }
    }

    private var mailbox = Mailbox()
    private let path: String
    private(set) var disk: FileDisk

    init() throws {
        var template = Array("/tmp/objectstore-XXXXXX".utf8CString)
        path = String(cString: mkdtemp(&template)!)
        disk = try Self.makeDisk(path, mailbox)
    }

    private static func makeDisk(_ path: String, _ mailbox: Mailbox) throws -> FileDisk {
        try FileDisk(path: path) { mailbox.post($0) }
    }

    func run(until condition: () -> Bool) {
        while !condition() { for body in mailbox.take() { body() } }
    }

    /// Descriptors of before stay open in this process; their store is never called again.
    func kill() {
        disk.shutDown()
        mailbox = Mailbox()
        disk = try! Self.makeDisk(path, mailbox)
    }

    func cleanUp() {
        disk.shutDown()
        for folder in 0..<256 {
            let name = "objects/" + (folder < 16 ? "0" : "") + String(folder, radix: 16)
            for file in (try? disk.list(name)) ?? [] { try? disk.remove(name + "/" + file) }
            rmdir(path + "/" + name)
        }
        rmdir(path + "/objects")
        for file in (try? disk.list(".")) ?? [] { try? disk.remove(file) }
        rmdir(path)
    }
}

enum DiskKind: String, CaseIterable, Sendable { case simulated, files }
