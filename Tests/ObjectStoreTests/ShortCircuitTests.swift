import Glibc
import ObjectModel
import ObjectStore
import Testing

@Suite struct ShortCircuitTests {
    /// A board of nobody's process.
    private final class Board {
        let memory = UnsafeMutableRawPointer.allocate(byteCount: ReadBoard.size, alignment: 4096)
        let board: ReadBoard
        init() {
            memory.initializeMemory(as: UInt8.self, repeating: 0, count: ReadBoard.size)
            board = ReadBoard(memory: memory, boot: BootID(rawValue: 7))
            board.setLease(until: 100)
        }
        deinit { memory.deallocate() }
    }

    private let family = Family(rawValue: 1)

    @Test("a stamp ends with the object's next change, with whatever ends all stamps, and with the lease")
    func stamps() {
        let shared = Board()
        let board = shared.board
        let (changed, other) = (board.stamp(family: family, index: 1), board.stamp(family: family, index: 2))
        #expect(board.vouches(for: changed, at: 99))
        board.changing(family: family, index: 1)
        #expect(!board.vouches(for: changed, at: 99))
        #expect(board.vouches(for: other, at: 99))
        #expect(!board.vouches(for: other, at: 100))
        board.setLease(until: 200)
        #expect(board.vouches(for: other, at: 100))
        board.invalidate()
        #expect(!board.vouches(for: other, at: 100))
        #expect(board.vouches(for: board.stamp(family: family, index: 1), at: 100))
    }

    @Test("a place that the board does not have vouches for nothing")
    func foreignPlace() {
        let shared = Board()
        var stamp = shared.board.stamp(family: family, index: 1)
        stamp.place = .max
        #expect(!shared.board.vouches(for: stamp, at: 1))
    }

    /// Makes a board on a thread that lives until it is told to end.
    private final class Owner: @unchecked Sendable {
        private let mayEnd = UnsafeMutablePointer<sem_t>.allocate(capacity: 1)
        private let isMade = UnsafeMutablePointer<sem_t>.allocate(capacity: 1)
        private(set) var shared: SharedReadBoard?
        private var thread = pthread_t()

        init(boot: BootID) {
            sem_init(mayEnd, 0, 0)
            sem_init(isMade, 0, 0)
            let body = Unmanaged.passRetained(Body { [unowned self] in
                shared = SharedReadBoard.make(boot: boot)
                sem_post(isMade)
                sem_wait(mayEnd)
            })
            pthread_create(&thread, nil, { argument in
                Unmanaged<Body>.fromOpaque(argument!).takeRetainedValue().run()
                return nil
            }, body.toOpaque())
            sem_wait(isMade)
        }

        private final class Body {
            let run: () -> Void
            init(_ run: @escaping () -> Void) { self.run = run }
        }

        func end() {
            sem_post(mayEnd)
            pthread_join(thread, nil)
        }
    }

    @Test("others find a board by its path, for the run that it is of, and see what its owner notes, until the owner's thread ends")
    func life() throws {
        let owner = Owner(boot: BootID(rawValue: 5))
        let own = try #require(owner.shared)
        #expect(SharedReadBoard.find(own.path, boot: BootID(rawValue: 6)) == nil)
        let found = try #require(SharedReadBoard.find(own.path, boot: BootID(rawValue: 5)))
        let stamp = own.board.stamp(family: family, index: 3)
        #expect(!found.vouches(for: stamp), "there is no lease yet")
        own.board.setLease(until: .max)
        #expect(found.vouches(for: stamp))
        owner.end()
        #expect(!found.isAlive)
        #expect(!found.vouches(for: stamp))
        #expect(SharedReadBoard.find(own.path, boot: BootID(rawValue: 5)) == nil)
    }

    @Test("what is no board is not taken for one", arguments: ["/dev/null", "/dev/zero", "/proc/self/fd/9999", "/etc/passwd", "/"])
    func noBoard(_ path: String) {
        #expect(SharedReadBoard.find(path, boot: BootID(rawValue: 0)) == nil)
    }

    @Test("an object is read from its file in whole blocks, holes as zeros; what does not match its checksums, or is not there, is not")
    func objects() throws {
        let world = try FileWorld()
        defer { world.cleanUp() }
        let driver = try StoreDriver(world)
        #expect(driver.write(name(4), 1, filled(0xAB)) == nil)
        let checksums = try #require(driver.store.openTable(of: name(4)))
        let view = try #require(StoreView(path: world.disk.pathForOthers))
        let stamp = ReadStamp(place: 0, changes: 0, generation: 0)
        let object = try #require(ShortCircuitObject(name(4), in: view, checksums: checksums, stamp: stamp))
        #expect(read(object, at: 0, blocks: 3) == filled(0) + filled(0xAB) + filled(0))
        #expect(read(object, at: 100, blocks: 1) == nil)
        #expect(read(object, at: checksums.count * blockSize, blocks: 1) == nil)
        #expect(read(ShortCircuitObject(nil, checksums: [], stamp: stamp), at: blockSize, blocks: 2) == filled(0, blocks: 2))
        #expect(driver.write(name(4), 1, filled(0xCD)) == nil)
        #expect(read(object, at: blockSize, blocks: 1) == nil, "the bytes are newer than the checksums")
        #expect(ShortCircuitObject(name(5), in: view, checksums: checksums, stamp: stamp) == nil)
        #expect(StoreView(path: "/dev/null") == nil)
        #expect(driver.store.openTable(of: name(5)) == nil)
        #expect(driver.close() == nil)
    }

    private func read(_ object: ShortCircuitObject, at offset: Int, blocks: Int) -> [UInt8]? {
        var bytes = filled(0xEE, blocks: blocks)
        return bytes.withUnsafeMutableBytes { object.read(at: offset, into: $0) } ? bytes : nil
    }
}
