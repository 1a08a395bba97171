import Glibc
import ObjectModel
import ObjectStore
import Testing

/// Costs of the fast paths; only when asked, for numbers of a debug build say nothing:
/// `OBJECTSTORE_BENCHMARK=1 swift test -c release --filter BenchmarkTests`.
@Suite(.enabled(if: getenv("OBJECTSTORE_BENCHMARK") != nil)) struct BenchmarkTests {
    private func cpu() -> Double {
        var time = timespec()
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
        return Double(time.tv_sec) * 1e6 + Double(time.tv_nsec) / 1e3
    }

    private func report(_ what: String, _ count: Int, _ body: () -> Void) {
        let start = cpu()
        body()
        print("\(what): \((cpu() - start) / Double(count)) µs of CPU")
    }

    @Test("4 KiB overwrites and reads in memory")
    func blocks() throws {
        let world = try FileWorld()
        defer { world.cleanUp() }
        let driver = try StoreDriver(world)
        for index in 0..<8 as Range<UInt32> { #expect(driver.write(name(index), 0, filled(1, blocks: 256)) == nil) }
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: blockSize, alignment: blockSize)
        defer { buffer.deallocate() }
        let (count, version) = (200_000, LogIndex(rawValue: 1))
        let store = driver.store!
        let names = (0..<8).map { name(UInt32($0)) }
        var errors = 0
        let completion: (SheepError?) -> Void = { if $0 != nil { errors += 1 } }
        let file = try world.disk.open("scratch", create: true)
        report("pwrite", count) {
            for round in 0..<count { try? world.disk.write(file, at: UInt64(round % 256 * blockSize), from: .init(buffer)) }
        }
        report("write", count) {
            for round in 0..<count {
                store.write(
                    names[round / 3 % 8], objectShift: testShift, version: version, at: round % 256 * blockSize,
                    from: UnsafeRawBufferPointer(buffer), completion: completion)
            }
        }
        report("preadv2", count) {
            for round in 0..<count { try? world.disk.tryRead(file, at: UInt64(round % 256 * blockSize), into: buffer) }
        }
        report("read", count) {
            for round in 0..<count {
                store.read(names[round / 3 % 8], at: round % 256 * blockSize, into: buffer, completion: completion)
            }
        }
        #expect(errors == 0)
        world.disk.close(file)
        #expect(driver.close() == nil)
    }
}
