import Cluster
import Glibc
import LocalEngine
import ObjectModel
import Synchronization

struct Unchecked<Value>: @unchecked Sendable {
    let value: Value
}

/// A loop on the real clock, turned by the test by hand or by a thread of its own.
final class TestLoop: EngineLoop, Sendable {
    private struct State {
        var ready: [Unchecked<() -> Void>] = []
        var timers: [(due: UInt64, work: Unchecked<() -> Void>)] = []
    }
    private let state = Mutex(State())

    func now() -> UInt64 {
        var time = timespec()
        clock_gettime(CLOCK_BOOTTIME, &time)
        return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
    }

    func post(_ work: @escaping @Sendable () -> Void) {
        let work = Unchecked<() -> Void>(value: work)
        state.withLock { $0.ready.append(work) }
    }

    func schedule(afterNanoseconds delay: UInt64, _ work: @escaping () -> Void) {
        let timer = (due: now() + delay, work: Unchecked(value: work))
        state.withLock { $0.timers.append(timer) }
    }

    /// Runs what is due now, not what that makes due; returns whether there was anything.
    @discardableResult func turn() -> Bool {
        let now = now()
        let due = state.withLock { state in
            let timers = state.timers.filter { $0.due <= now }.sorted { $0.due < $1.due }
            state.timers.removeAll { $0.due <= now }
            defer { state.ready = [] }
            return state.ready + timers.map(\.work)
        }
        for work in due { work.value() }
        return !due.isEmpty
    }
}

/// Turns the loops until the condition holds; false after 30 seconds without it.
func turn(_ loops: [TestLoop], until condition: () throws -> Bool) rethrows -> Bool {
    let deadline = TestLoop().now() + 30_000_000_000
    while try !condition() {
        let busy = loops.map { $0.turn() }.contains(true)
        if !busy { usleep(200) }
        if TestLoop().now() > deadline { return false }
    }
    return true
}

/// A folder that is removed with everything in it when the last reference goes.
final class TemporaryFolder {
    let path: String

    init() {
        var template = Array("/tmp/local-engine-test.XXXXXX".utf8CString)
        path = String(cString: mkdtemp(&template)!)
    }

    /// A stopped engine's last job may still make a file, so it is tried again.
    deinit {
        for _ in 0..<1000 where access(path, F_OK) == 0 {
            Self.remove(path)
            usleep(1000)
        }
    }

    var directory: LocalEngineDirectory {
        get throws { try LocalEngineDirectory.resolve(option: path, store: path + "/store") }
    }

    static func remove(_ path: String) {
        if let stream = opendir(path) {
            while let entry = readdir(stream) {
                let name = withUnsafePointer(to: &entry.pointee.d_name) {
                    $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
                }
                if name != ".", name != ".." { remove(path + "/" + name) }
            }
            closedir(stream)
            rmdir(path)
        } else {
            unlink(path)
        }
    }
}

func node(_ number: Int) -> NodeID { NodeID(high: 0xA, low: UInt64(number)) }

/// Appends raw bytes to a file, as a dying process or a power cut leaves them.
func appendRaw(_ bytes: [UInt8], to path: String) {
    let file = fopen(path, "a")!
    fwrite(bytes, 1, bytes.count, file)
    fclose(file)
}

/// Small segments, so that tests go through many.
let smallSegments = LocalEngine.Limits(sealAfter: 1500, reserve: 65_536)

/// A control state machine that is its own history, and proposes payloads until each has been committed.
final class Recorder: ClusterEngineDelegate {
    struct Entry: Hashable { var index: UInt64; var payload: [UInt8] }

    private(set) var history: [Entry] = []
    private(set) var restoredAt: [UInt64] = []
    private(set) var caughtUpCount = 0
    private(set) var suspected: [NodeID] = []
    private(set) var failure: String?
    private(set) var outOfOrder = false
    var onCommit: (Recorder) -> Void = { _ in }
    private(set) var proposals: [[UInt8]] = []
    weak var engine: (any ClusterEngine)?

    var last: LogIndex { LogIndex(rawValue: history.last?.index ?? 0) }
    /// What was committed, without the indices that the engine took for itself.
    var payloads: [[UInt8]] { history.map(\.payload).filter { !$0.isEmpty } }

    func attach(to engine: some ClusterEngine) {
        self.engine = engine
        engine.delegate = self
    }

    func propose(_ payloads: [[UInt8]]) {
        proposals += payloads
        proposeNext()
    }

    private func proposeNext() {
        guard caughtUpCount > 0, let first = proposals.first else { return }
        engine?.append(first, at: last.next)
    }

    func committed(index: LogIndex, payload: [UInt8]) {
        if index != last.next { outOfOrder = true }
        history.append(Entry(index: index.rawValue, payload: payload))
        if payload == proposals.first { proposals.removeFirst() }
        onCommit(self)
        proposeNext()
    }

    func restored(index: LogIndex, snapshot: [UInt8]) {
        restoredAt.append(index.rawValue)
        if index < last { outOfOrder = true }
        var reader = WireReader(snapshot)
        history = []
        while reader.remaining > 0 {
            history.append(Entry(index: try! reader.read(), payload: try! reader.readBytes()))
        }
        if last != index { outOfOrder = true }
        let done = Set(history.map(\.payload))
        proposals.removeAll { done.contains($0) }
        proposeNext()
    }

    func snapshot() -> [UInt8] {
        var writer = WireWriter()
        for entry in history {
            writer.write(entry.index)
            writer.write(bytes: entry.payload)
        }
        return writer.bytes
    }

    func caughtUp() {
        caughtUpCount += 1
        proposeNext()
    }
    func suspects(_ node: NodeID) { suspected.append(node) }
    func engineFailed(_ reason: String) { failure = reason }
}

/// One sheep's engine with its delegate and loop.
final class Member {
    let recorder = Recorder()
    let loop: TestLoop
    let engine: LocalEngine

    init(
        _ number: Int, in folder: TemporaryFolder, loop: TestLoop = TestLoop(), limits: LocalEngine.Limits = .init()
    ) throws {
        self.loop = loop
        engine = try LocalEngine(node: node(number), directory: folder.directory, loop: loop, limits: limits)
        recorder.attach(to: engine)
        engine.start()
    }

    deinit { engine.stop() }
}

/// Payloads that nobody else proposes.
func payloads(of member: Int, count: Int, length: Int = 40) -> [[UInt8]] {
    (0..<count).map { number in
        var writer = WireWriter()
        writer.write(UInt32(member))
        writer.write(UInt32(number))
        writer.append([UInt8](repeating: UInt8(truncatingIfNeeded: number), count: length))
        return writer.bytes
    }
}

/// The seeded generator of the tests.
struct TestGenerator: RandomNumberGenerator {
    private var state: UInt64
    init(seed: UInt64) { state = seed &+ 0x9E37_79B9_7F4A_7C15 }
    mutating func next() -> UInt64 {
        // xorshift64* (Marsaglia 2003, Vigna 2014)
        state ^= state >> 12
        state ^= state << 25
        state ^= state >> 27
        return state &* 0x2545_F491_4F6C_DD1D
    }
}
