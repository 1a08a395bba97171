package import NIOCore
package import ObjectModel

/// A volume in memory, for tests and measurements; sparse by object. Completions come before the call returns, unless writes are held.
package final class MemoryBlockDevice: BlockDevice {
    /// What all who opened the volume share.
    package final class Volume {
        package static let objectSize = 4 << 20

        package let name: String
        package let identity = UInt64.random(in: 1 ... .max)
        package var description: String
        /// Bytes. May grow at any time.
        package var size: UInt64
        package let isReadOnly: Bool
        /// Counts flushes and durable writes, trims and zeroings.
        package fileprivate(set) var durableRequests = 0
        /// Counts those who have it open.
        package fileprivate(set) var users = 0
        /// When set, every request ends in it.
        package var failure: SheepError?
        /// When set, writes are begun and done no further than ``letGo()`` says.
        package var holdsWrites = false
        fileprivate var held: [() -> Void] = []
        package var heldWrites: Int { held.count }
        fileprivate var objects: [UInt64: MemoryObject]

        package init(name: String, description: String = "", size: UInt64) {
            (self.name, self.description, self.size) = (name, description, size)
            (isReadOnly, objects) = (false, [:])
        }

        /// What was held is done, in the order in which it came, and nothing is held from then on.
        package func letGo() {
            holdsWrites = false
            let writes = held
            held = []
            for write in writes { write() }
        }

        /// A frozen copy; shares objects until they are written to.
        package init(snapshotOf volume: Volume, name: String, description: String = "") {
            (self.name, self.description, size) = (name, description, volume.size)
            (isReadOnly, objects) = (true, volume.objects)
        }
    }

    private let volume: Volume
    private var isOpen = true

    package init(_ volume: Volume) {
        self.volume = volume
        volume.users += 1
    }

    package var information: BlockDeviceInformation {
        BlockDeviceInformation(
            name: volume.name, description: volume.description, size: volume.size, isReadOnly: volume.isReadOnly,
            identity: volume.identity)
    }

    package func close() {
        precondition(isOpen, "closed twice")
        isOpen = false
        volume.users -= 1
    }

    package func flush(completion: @escaping (SheepError?) -> Void) {
        volume.durableRequests += 1
        completion(volume.failure)
    }

    package func prefetch(at offset: UInt64, length: UInt64, completion: @escaping (SheepError?) -> Void) {
        check(offset, length)
        completion(nil)
    }
}

// MARK: Data

extension MemoryBlockDevice {
    package func read(
        at offset: UInt64, length: Int, appendingTo buffer: consuming ByteBuffer,
        completion: @escaping (Result<ByteBuffer, SheepError>) -> Void
    ) {
        check(offset, UInt64(length))
        if let failure = volume.failure { return completion(.failure(failure)) }
        buffer.writeWithUnsafeMutableBytes(minimumWritableBytes: length) { space in
            forEachPiece(offset, UInt64(length)) { index, range, position in
                let target = UnsafeMutableRawBufferPointer(rebasing: space[position..<position + range.count])
                if let object = volume.objects[index] {
                    target.copyMemory(from: UnsafeRawBufferPointer(rebasing: object.bytes[range]))
                } else {
                    target.initializeMemory(as: UInt8.self, repeating: 0)
                }
            }
            return length
        }
        completion(.success(buffer))
    }

    package func write(_ data: ByteBuffer, at offset: UInt64, durable: Bool, completion: @escaping (SheepError?) -> Void) {
        check(offset, UInt64(data.readableBytes))
        guard volume.holdsWrites else { return completion(put(data, at: offset, durable: durable)) }
        volume.held.append { [self] in completion(put(data, at: offset, durable: durable)) }
    }

    private func put(_ data: ByteBuffer, at offset: UInt64, durable: Bool) -> SheepError? {
        if let refusal = refusal(durable) { return refusal }
        data.withUnsafeReadableBytes { source in
            forEachPiece(offset, UInt64(source.count)) { index, range, position in
                let piece = UnsafeRawBufferPointer(rebasing: source[position..<position + range.count])
                UnsafeMutableRawBufferPointer(rebasing: writable(index).bytes[range]).copyMemory(from: piece)
            }
        }
        return nil
    }

    package func trim(at offset: UInt64, length: UInt64, durable: Bool, completion: @escaping (SheepError?) -> Void) {
        zero(at: offset, length: length, mayDeallocate: true, durable: durable, completion: completion)
    }

    package func zero(
        at offset: UInt64, length: UInt64, mayDeallocate: Bool, durable: Bool,
        completion: @escaping (SheepError?) -> Void
    ) {
        check(offset, length)
        if let refusal = refusal(durable) { return completion(refusal) }
        forEachPiece(offset, length) { index, range, _ in
            if mayDeallocate, range.count == Volume.objectSize {
                volume.objects[index] = nil
            } else if !mayDeallocate || volume.objects[index] != nil {
                UnsafeMutableRawBufferPointer(rebasing: writable(index).bytes[range])
                    .initializeMemory(as: UInt8.self, repeating: 0)
            }
        }
        completion(nil)
    }

    /// Whole objects are dropped; anything else is written.
    package func zeroIsFast(at offset: UInt64, length: UInt64, mayDeallocate: Bool) -> Bool { mayDeallocate }

    package func status(
        at offset: UInt64, length: UInt64, limit: Int, completion: @escaping (Result<[BlockExtent], SheepError>) -> Void
    ) {
        precondition(length > 0 && limit > 0)
        check(offset, length)
        if let failure = volume.failure { return completion(.failure(failure)) }
        var extents: [BlockExtent] = []
        forEachPiece(offset, length) { index, range, _ in
            let isAllocated = volume.objects[index] != nil
            if extents.last?.isAllocated == isAllocated {
                extents[extents.count - 1].length += UInt64(range.count)
            } else if extents.count <= limit {
                extents.append(BlockExtent(length: UInt64(range.count), isAllocated: isAllocated, isZero: !isAllocated))
            }
        }
        completion(.success(Array(extents.prefix(limit))))
    }

    private func check(_ offset: UInt64, _ length: UInt64) {
        precondition(isOpen, "used after it was closed")
        precondition(offset <= volume.size && length <= volume.size - offset, "callers refuse what is outside")
    }

    private func refusal(_ durable: Bool) -> SheepError? {
        if durable { volume.durableRequests += 1 }
        return volume.failure ?? (volume.isReadOnly ? SheepError(.readOnly, "\(volume.name) is a snapshot") : nil)
    }

    /// The object at an index, ours alone.
    private func writable(_ index: UInt64) -> MemoryObject {
        if volume.objects[index] == nil { volume.objects[index] = MemoryObject() }
        if !isKnownUniquelyReferenced(&volume.objects[index]!) {
            volume.objects[index] = MemoryObject(copying: volume.objects[index]!)
        }
        return volume.objects[index]!
    }

    /// Calls with the object's index, the range in it, and the position of that range in the request.
    private func forEachPiece(_ offset: UInt64, _ length: UInt64, _ body: (UInt64, Range<Int>, Int) -> Void) {
        let objectSize = UInt64(Volume.objectSize)
        var position: UInt64 = 0
        while position < length {
            let start = (offset + position) % objectSize
            let count = min(objectSize - start, length - position)
            body((offset + position) / objectSize, Int(start)..<Int(start + count), Int(position))
            position += count
        }
    }
}

/// The memory of one object, zeros at first.
private final class MemoryObject {
    let bytes: UnsafeMutableRawBufferPointer

    init() {
        bytes = .allocate(byteCount: MemoryBlockDevice.Volume.objectSize, alignment: blockSize)
        bytes.initializeMemory(as: UInt8.self, repeating: 0)
    }

    init(copying other: MemoryObject) {
        bytes = .allocate(byteCount: MemoryBlockDevice.Volume.objectSize, alignment: blockSize)
        bytes.copyMemory(from: UnsafeRawBufferPointer(other.bytes))
    }

    deinit { bytes.deallocate() }
}
