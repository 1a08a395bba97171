import FrontendKit
import NIOCore
import ObjectModel

/// A device that answers when the test says so: every request is kept, in the order of arrival. Also its own provider.
final class HeldDevice: BlockDevice, BlockDeviceProvider {
    struct Held {
        var what: String
        var complete: (SheepError?) -> Void
    }

    private(set) var held: [Held] = []
    private(set) var mostHeld = 0
    private(set) var closes = 0
    var information = BlockDeviceInformation(name: "held", description: "", size: 1 << 40, isReadOnly: false)

    /// Answers the request at an index.
    func complete(_ index: Int, _ error: SheepError? = nil) { held.remove(at: index).complete(error) }

    func completeAll() { while !held.isEmpty { complete(0) } }

    private func hold(_ what: String, _ complete: @escaping (SheepError?) -> Void) {
        held.append(Held(what: what, complete: complete))
        mostHeld = max(mostHeld, held.count)
    }

    func read(
        at offset: UInt64, length: Int, appendingTo buffer: consuming ByteBuffer,
        completion: @escaping (Result<ByteBuffer, SheepError>) -> Void
    ) {
        let buffer = buffer
        hold("read") { error in
            var reply = buffer
            reply.writeRepeatingByte(UInt8(truncatingIfNeeded: offset), count: length)
            completion(error.map { .failure($0) } ?? .success(reply))
        }
    }

    func write(_ data: ByteBuffer, at offset: UInt64, durable: Bool, completion: @escaping (SheepError?) -> Void) {
        hold(durable ? "durable write" : "write", completion)
    }

    func flush(completion: @escaping (SheepError?) -> Void) { hold("flush", completion) }

    func trim(at offset: UInt64, length: UInt64, durable: Bool, completion: @escaping (SheepError?) -> Void) {
        hold("trim", completion)
    }

    func zero(
        at offset: UInt64, length: UInt64, mayDeallocate: Bool, durable: Bool,
        completion: @escaping (SheepError?) -> Void
    ) {
        hold("zero", completion)
    }

    func zeroIsFast(at offset: UInt64, length: UInt64, mayDeallocate: Bool) -> Bool { false }

    func prefetch(at offset: UInt64, length: UInt64, completion: @escaping (SheepError?) -> Void) {
        hold("prefetch", completion)
    }

    func status(
        at offset: UInt64, length: UInt64, limit: Int, completion: @escaping (Result<[BlockExtent], SheepError>) -> Void
    ) {
        hold("status") { error in
            completion(
                error.map { .failure($0) } ?? .success([BlockExtent(length: length, isAllocated: true, isZero: false)]))
        }
    }

    func close() { closes += 1 }

    func list(completion: @escaping (Result<[BlockDeviceInformation], SheepError>) -> Void) { completion(.success([])) }

    func open(_ name: String, completion: @escaping (Result<HeldDevice, SheepError>) -> Void) { completion(.success(self)) }
}
