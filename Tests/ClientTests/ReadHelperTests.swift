import Client
import Glibc
import ObjectStore
import Testing

/// Long reads that two threads share.
@Suite struct ReadHelperTests {
    private static let block = 4096
    private static let length = (1 << 20) + 3 * block

    private let content: [UInt8] = (0..<length).map { UInt8(truncatingIfNeeded: $0 / block &* 7 &+ $0) }

    /// An object with this content, of which what `isThere` refuses cannot be read, and `wrong` does not match its checksum.
    private func object(wrong: Int? = nil, isThere: @escaping (UInt64) -> Bool = { _ in true }) -> ShortCircuitObject {
        let checksums = stride(from: 0, to: Self.length, by: Self.block).map { start in
            content[start..<start + Self.block].withUnsafeBytes { ChecksumTable.value(of: $0) } ^ (start / Self.block == wrong ? 1 : 0)
        }
        return ShortCircuitObject({ [content] offset, buffer in
            guard isThere(offset) else { return false }
            buffer.copyBytes(from: content[Int(offset)..<Int(offset) + buffer.count])
            return true
        }, checksums: checksums, stamp: ReadStamp(place: 0, changes: 0, generation: 0))
    }

    private func read(_ object: ShortCircuitObject, with helper: ReadHelper) -> [UInt8]? {
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: Self.length, alignment: 4096)
        defer { buffer.deallocate() }
        buffer.initializeMemory(as: UInt8.self, repeating: 0xEE)
        return helper.read(object, at: 0, into: buffer) ? Array(buffer) : nil
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
            #expect(read(object(isThere: { $0 != missing }), with: helper) == nil, "from \(missing)")
        }
        #expect(read(object(), with: helper) == content)
    }
}
