import ObjectModel
import ObjectStore
import Testing

/// A store under test, each call awaited.
final class StoreDriver<W: World> {
    let world: W
    var configuration = StoreConfiguration()
    private(set) var store: ObjectStore<W.D>!
    private(set) var report: StartReport!
    var now: UInt64 = 1

    init(_ world: W, configure: (inout StoreConfiguration) -> Void = { _ in }) throws {
        self.world = world
        configure(&configuration)
        try open()
    }

    func open() throws {
        var result: Result<(ObjectStore<W.D>, StartReport), SheepError>?
        ObjectStore.open(disk: world.disk, configuration: configuration) { result = $0 }
        world.run { result != nil }
        (store, report) = try result!.get()
    }

    func await(_ body: (@escaping (SheepError?) -> Void) -> Void) -> SheepError? {
        var result: SheepError??
        body { result = .some($0) }
        world.run { result != nil }
        return result!
    }

    func await<Value>(_ body: (@escaping (Result<Value, SheepError>) -> Void) -> Void) throws -> Value {
        var result: Result<Value, SheepError>?
        body { result = $0 }
        world.run { result != nil }
        return try result!.get()
    }

    func write(
        _ name: ObjectName, _ block: Int, _ bytes: [UInt8], ancestry: [Birth] = [], version: UInt64 = 1,
        durable: Bool = false
    ) -> SheepError? {
        bytes.withUnsafeBytes { raw in
            self.await {
                store.write(
                    name, objectShift: testShift, ancestry: ancestry, version: LogIndex(rawValue: version),
                    at: block * blockSize, from: raw, copyOnWrite: !ancestry.isEmpty, durable: durable, completion: $0)
            }
        }
    }

    func zero(
        _ name: ObjectName, _ blocks: Range<Int>, ancestry: [Birth] = [], version: UInt64 = 1, deallocate: Bool = true
    ) -> SheepError? {
        self.await {
            store.zero(
                name, objectShift: testShift, ancestry: ancestry, version: LogIndex(rawValue: version),
                at: blocks.lowerBound * blockSize, length: blocks.count * blockSize, deallocate: deallocate,
                completion: $0)
        }
    }

    func read(_ name: ObjectName, at offset: Int, _ count: Int) throws -> [UInt8] {
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: count, alignment: 4096)
        defer { buffer.deallocate() }
        buffer.initializeMemory(as: UInt8.self, repeating: 0xEE)
        if let error = self.await({ store.read(name, at: offset, into: buffer, completion: $0) }) { throw error }
        return Array(buffer)
    }

    func block(_ name: ObjectName, _ block: Int) throws -> [UInt8] {
        try read(name, at: block * blockSize, blockSize)
    }

    func flush() -> SheepError? { self.await { store.flush(completion: $0) } }
    func close() -> SheepError? { self.await { store.close(completion: $0) } }

    /// Ticks, far apart, until the condition holds.
    func tick(until condition: () -> Bool) {
        while !condition() {
            now += configuration.retireAfter + 1
            store.tick(now: now)
            // What the tick began is over when everything written before is durable.
            _ = flush()
            var done = condition()
            if done { return }
            // A file disk's completions come when they come; a sync of nothing waits for those before it.
            world.disk.sync(files: [], directories: ["."]) { _ in done = true }
            world.run { done }
        }
    }

    func killAndOpen() throws {
        world.kill()
        try open()
    }
}

let testShift = ObjectShift(rawValue: 20)!

func name(_ index: UInt32, birth: UInt64 = 1, family: UInt64 = 1) -> ObjectName {
    ObjectName(family: Family(rawValue: family), index: index, birth: Birth(rawValue: birth))
}

func filled(_ byte: UInt8, blocks: Int = 1) -> [UInt8] { [UInt8](repeating: byte, count: blocks * blockSize) }

func births(_ numbers: UInt64...) -> [Birth] { numbers.map(Birth.init(rawValue:)) }
