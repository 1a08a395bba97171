import Client
import ConformanceKit
import Glibc
import ObjectStore
import Synchronization
import Testing

/// Long reads that two threads share, and short ones that one has fetched from the disk.
@Suite struct ReadHelperTests {
    private static let block = 4096
    private static let length = (1 << 20) + 3 * block

    private let content: [UInt8] = (0..<length).map { UInt8(truncatingIfNeeded: $0 / block &* 7 &+ $0) }

    /// An object with this content, of which the byte `missing` cannot be read, and the block `wrong` does not match its checksum.
    private func object(wrong: Int? = nil, missing: UInt64? = nil) -> ShortCircuitObject {
        let checksums = stride(from: 0, to: Self.length, by: Self.block).map { start in
            content[start..<start + Self.block].withUnsafeBytes { ChecksumTable.value(of: $0) } ^ (start / Self.block == wrong ? 1 : 0)
        }
        return ShortCircuitObject({ [content] offset, buffer in
            if let missing, (offset..<offset + UInt64(buffer.count)).contains(missing) { return false }
            buffer.copyBytes(from: content[Int(offset)..<Int(offset) + buffer.count])
            return true
        }, checksums: checksums, stamp: ReadStamp(place: 0, changes: 0, generation: 0))
    }

    private func read(_ object: ShortCircuitObject, with helper: ReadHelper) -> [UInt8]? {
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: Self.length, alignment: 4096)
        defer { buffer.deallocate() }
        buffer.initializeMemory(as: UInt8.self, repeating: 0xEE)
        return helper.read(object, at: 0, into: buffer, whileWaiting: { false }) ? Array(buffer) : nil
    }

    @Test("all of it is read, and a thread that comes too late touches nothing")
    func whole() {
        let helper = ReadHelper()
        // The memory of each is given back at once.
        for _ in 0..<300 { #expect(read(object(), with: helper) == content) }
    }

    @Test("one block that is wrong, or a part that is not there, and nothing counts")
    func failures() {
        let helper = ReadHelper()
        for wrong in stride(from: 0, to: Self.length / Self.block, by: 13) { #expect(read(object(wrong: wrong), with: helper) == nil, "block \(wrong)") }
        for missing in stride(from: UInt64(0), to: UInt64(Self.length), by: 128 << 10) {
            #expect(read(object(missing: missing), with: helper) == nil, "from \(missing)")
        }
        #expect(read(object(), with: helper) == content)
    }

    // MARK: What is not in memory

    /// A file of which nothing is in memory before it is fetched.
    private final class Disk: Sendable {
        let isInMemory = Atomic<Bool>(false)
        let fetches = Atomic<Int>(0)
    }

    private func object(on disk: Disk, fetch: @escaping () -> Void) -> ShortCircuitObject {
        ShortCircuitObject({ _, buffer in
            buffer.initializeMemory(as: UInt8.self, repeating: 7)
            return disk.isInMemory.load(ordering: .acquiring)
        }, fetch: { _, _ in
            disk.fetches.add(1, ordering: .relaxed)
            fetch()
        }, checksums: [UInt8](repeating: 7, count: Self.block).withUnsafeBytes { [ChecksumTable.value(of: $0)] },
            stamp: ReadStamp(place: 0, changes: 0, generation: 0))
    }

    private func readBlock(_ object: ShortCircuitObject, with helper: ReadHelper, whileWaiting mayWait: () -> Bool) -> Bool {
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: Self.block, alignment: 4096)
        defer { buffer.deallocate() }
        return helper.read(object, at: 0, into: buffer, whileWaiting: mayWait)
    }

    /// With one processor nobody could fetch beside the loop.
    private static var hasTwoProcessors: Bool { sysconf(Int32(_SC_NPROCESSORS_ONLN)) > 1 }

    @Test("a block is fetched and waited for while nobody else waits, and only then", .enabled(if: hasTwoProcessors))
    func fetched() {
        let (helper, disk) = (ReadHelper(), Disk())
        let object = object(on: disk) { disk.isInMemory.store(true, ordering: .releasing) }
        #expect(!readBlock(object, with: helper) { false })
        #expect(disk.fetches.load(ordering: .relaxed) == 0)
        // Where the thread has no processor it comes too late for the first ones.
        #expect(waitUntil { readBlock(object, with: helper) { true } })
        #expect(disk.fetches.load(ordering: .relaxed) > 0)
    }

    @Test("of a disk that is slow ever fewer reads are waited for")
    func slowDisk() {
        let (helper, disk) = (ReadHelper(), Disk())
        let object = object(on: disk) {}
        for _ in 0..<5000 { #expect(!readBlock(object, with: helper) { true }) }
        #expect(disk.fetches.load(ordering: .relaxed) <= 15)
    }

    @Test("a disk that hangs holds up no other read, and nothing piles up behind it", .enabled(if: hasTwoProcessors))
    func hangingDisk() {
        let (helper, disk) = (ReadHelper(), Disk())
        let end = Atomic<Bool>(false)
        let object = object(on: disk) { while !end.load(ordering: .acquiring) { usleep(100) } }
        for _ in 0..<5000 { #expect(!readBlock(object, with: helper) { true }) }
        for _ in 0..<50 { #expect(read(self.object(), with: helper) == content) }
        end.store(true, ordering: .releasing)
        // The thread does one after the other: what had piled up comes before this.
        let other = Disk()
        let later = self.object(on: other) { other.isInMemory.store(true, ordering: .releasing) }
        #expect(waitUntil { readBlock(later, with: helper) { true } })
        #expect((1...2).contains(disk.fetches.load(ordering: .relaxed)))
    }
}
