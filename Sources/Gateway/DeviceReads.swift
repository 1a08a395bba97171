import NIOCore
import ObjectModel

/// Reads that wait for this sheep's disk, because their bytes are not in memory.
///
/// A disk may take a read and give no answer. The memory that it fills stays in place until it does; who asked need not wait as long.
struct DeviceReads {
    final class Read {
        let object: ObjectName
        let startedAt: UInt64
        private let buffer: ByteBuffer
        private var completion: ((Result<ByteBuffer, LocalReadFailure>) -> Void)?

        /// What is read will be appended to `buffer`.
        init(of object: ObjectName, at now: UInt64, buffer: ByteBuffer, completion: @escaping (Result<ByteBuffer, LocalReadFailure>) -> Void) {
            (self.object, self.startedAt, self.buffer, self.completion) = (object, now, buffer, completion)
        }

        var isAwaited: Bool { completion != nil }

        func succeed(_ bytes: UnsafeRawBufferPointer) {
            guard let completion = take() else { return }
            var buffer = buffer
            buffer.writeBytes(bytes)
            completion(.success(buffer))
        }

        /// The first outcome counts.
        func fail(_ error: SheepError) { take()?(.failure(LocalReadFailure(error: error, buffer: buffer))) }

        private func take() -> ((Result<ByteBuffer, LocalReadFailure>) -> Void)? {
            defer { completion = nil }
            return completion
        }
    }

    /// In the order of their beginning, by number; those that nobody waits for any more stay until the disk has answered.
    private var reads: [UInt64: Read] = [:]
    private var nextNumber: UInt64 = 0

    mutating func began(_ read: Read) -> UInt64 {
        nextNumber += 1
        reads[nextNumber] = read
        return nextNumber
    }

    mutating func ended(_ number: UInt64) { reads[number] = nil }

    /// Nanoseconds that the disk has owed an answer for.
    func longestWait(at now: UInt64) -> UInt64 {
        reads.values.lazy.map(\.startedAt).min().map { now > $0 ? now - $0 : 0 } ?? 0
    }

    /// Those that somebody has waited for longer than `bound`, first begun first.
    func overdue(at now: UInt64, bound: UInt64) -> [Read] {
        reads.filter { $0.value.isAwaited && now > $0.value.startedAt + bound }.sorted { $0.key < $1.key }.map(\.value)
    }
}
