package import NIOCore
import ObjectStore
package import SheepProtocol

/// Places in memory that is shared with a sheep on this machine, for the data of long writes: it crosses no socket then. Of one connection.
///
/// A place is taken until its write is answered. When the connection is lost those that are taken stay so for ever: a sheep that still has the
/// requests in its buffers may copy from there at any time.
package final class SharedPayloads {
    /// Shorter data goes with its request. Bytes.
    private static var shortest: Int { 32 << 10 }
    /// Bytes of a place; longer data goes with its request. What sheepfs sends at a time is as long.
    private static var placeSize: Int { 256 << 10 }

    private let memory: SharedMemory
    private var free: [UInt32]

    /// Nil when this process cannot see what is offered.
    package init?(_ offer: PayloadMemory) {
        guard let memory = SharedMemory.find(offer.path, size: Int(offer.size), identity: offer.identity, isWritable: true) else { return nil }
        self.memory = memory
        // The lowest is the next: what is in use often stays in the processors' caches.
        free = stride(from: 0, through: Int(offer.size) - Self.placeSize, by: Self.placeSize).map { UInt32($0) }.reversed()
    }

    /// Puts data there; nil: it has to go with its request.
    package func put(_ data: ByteBuffer) -> PayloadPlace? {
        let length = data.readableBytes
        guard length >= Self.shortest, length <= Self.placeSize, let offset = free.popLast() else { return nil }
        data.withUnsafeReadableBytes { UnsafeMutableRawBufferPointer(rebasing: memory.bytes[Int(offset)...]).copyMemory(from: $0) }
        return PayloadPlace(offset: offset, length: UInt32(length))
    }

    /// The write of what is there was answered.
    package func done(_ place: PayloadPlace) { free.append(place.offset) }
}
