import ObjectModel

/// Page-aligned memory with one owner, for bytes that must outlive the call that brought them.
final class AlignedBytes {
    let buffer: UnsafeMutableRawBufferPointer

    /// The memory is not cleared.
    init(count: Int) { buffer = .allocate(byteCount: count, alignment: blockSize) }

    convenience init(copying bytes: UnsafeRawBufferPointer) {
        self.init(count: bytes.count)
        buffer.copyMemory(from: bytes)
    }

    /// Joins consecutive chunks.
    convenience init(joining chunks: [UnsafeRawBufferPointer]) {
        self.init(count: chunks.reduce(0) { $0 + $1.count })
        var offset = 0
        for chunk in chunks {
            UnsafeMutableRawBufferPointer(rebasing: buffer[offset...]).copyMemory(from: chunk)
            offset += chunk.count
        }
    }

    convenience init(zeros count: Int) {
        self.init(count: count)
        buffer.initializeMemory(as: UInt8.self, repeating: 0)
    }

    deinit { buffer.deallocate() }

    var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(buffer) }
}
