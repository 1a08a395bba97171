import NIOCore
import ObjectModel

/// Reads that wait for this sheep's disk, because their bytes are not in memory.
///
/// A disk may take reads and answer none. The memory that they fill stays in place until it does; who asked need not wait as long.
struct DeviceReads {
    /// How long who asks waits for a disk that has fallen silent.
    enum Patience {
        /// Not, for there is somebody else to ask.
        case none
        /// Until another member that is in sync can be reached.
        case whileAlone
        /// As long as for anything: everybody else was asked.
        case full
    }

    final class Read {
        let object: ObjectName
        let patience: Patience
        /// By its volume or snapshot, and not by another sheep that copies the object.
        let isForClient: Bool
        let startedAt: UInt64
        private var buffer: ByteBuffer
        private var completion: ((Result<ByteBuffer, LocalReadFailure>) -> Void)?

        /// What is read will be appended to `buffer`.
        init(
            of object: ObjectName, at now: UInt64, patience: Patience, isForClient: Bool, buffer: ByteBuffer,
            completion: @escaping (Result<ByteBuffer, LocalReadFailure>) -> Void
        ) {
            (self.object, startedAt, self.patience, self.isForClient) = (object, now, patience, isForClient)
            (self.buffer, self.completion) = (buffer, completion)
        }

        var isAwaited: Bool { completion != nil }

        /// The first outcome counts.
        func succeed(_ bytes: UnsafeRawBufferPointer) {
            guard let completion else { return }
            var buffer = takeBuffer()
            buffer.writeBytes(bytes)
            completion(.success(buffer))
        }

        func fail(_ error: SheepError) {
            guard let completion else { return }
            completion(.failure(LocalReadFailure(error: error, buffer: takeBuffer())))
        }

        /// Kept here as well it would be copied by who appends to it.
        private func takeBuffer() -> ByteBuffer {
            var taken = ByteBuffer()
            swap(&taken, &buffer)
            completion = nil
            return taken
        }
    }

    /// In the order of their beginning, by number; those that nobody waits for any more stay until the disk has answered.
    private var reads: [UInt64: Read] = [:]
    private var nextNumber: UInt64 = 0
    private var lastAnswer: UInt64 = 0

    mutating func began(_ read: Read) -> UInt64 {
        nextNumber += 1
        reads[nextNumber] = read
        return nextNumber
    }

    mutating func ended(_ number: UInt64, at now: UInt64) {
        reads[number] = nil
        lastAnswer = now
    }

    /// The disk has owed answers, and given none, for longer than so many nanoseconds; a busy one, with a long queue, gives them all the time.
    func isSilent(at now: UInt64, longerThan bound: UInt64) -> Bool {
        now > lastAnswer + bound && reads.values.contains { now > $0.startedAt + bound }
    }

    /// Those that somebody has waited for longer than `bound`, first begun first.
    func overdue(at now: UInt64, bound: UInt64) -> [Read] {
        reads.filter { $0.value.isAwaited && now > $0.value.startedAt + bound }.sorted { $0.key < $1.key }.map(\.value)
    }
}
