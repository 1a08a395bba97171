package import NIOCore
package import ObjectModel

/// What a volume is to those who attach it.
package struct BlockDeviceInformation: Hashable, Sendable {
    /// The export name: `NAME`, `NAME@TAG` or `NAME@ID`.
    package var name: String
    /// One line for people.
    package var description: String
    /// Bytes.
    package var size: UInt64
    package var isReadOnly: Bool
    /// Bytes; a power of two. Smaller requests are served, at the cost of a read.
    package var preferredBlockSize: UInt32
    /// The most bytes that one request may read or write.
    package var maximumRequest: UInt32
    /// Tells volumes apart whatever their names are; 0: not known. A volume gets another one with each snapshot of it.
    package var identity: UInt64

    package init(
        name: String, description: String, size: UInt64, isReadOnly: Bool, preferredBlockSize: UInt32 = 4096,
        maximumRequest: UInt32 = 32 << 20, identity: UInt64 = 0
    ) {
        (self.name, self.description, self.size, self.isReadOnly) = (name, description, size, isReadOnly)
        (self.preferredBlockSize, self.maximumRequest, self.identity) = (preferredBlockSize, maximumRequest, identity)
    }
}

/// A run of bytes of one kind, as block status tells it.
package struct BlockExtent: Hashable, Sendable {
    package var length: UInt64
    /// False: a hole, nothing is stored.
    package var isAllocated: Bool
    /// Reads as zeros for certain.
    package var isZero: Bool
    package init(length: UInt64, isAllocated: Bool, isZero: Bool) {
        (self.length, self.isAllocated, self.isZero) = (length, isAllocated, isZero)
    }
}

/// An open volume or snapshot, as front-ends see it: the one port of all block front-ends.
///
/// Everything happens on the sheep's event loop: calls are made there and completions come there, perhaps before the
/// call returns, in any order. Any byte range within the size is served; callers refuse ranges outside of it first.
/// Each sector is linearizable over all gateways. A request that cannot be served now waits, up to the gateway's time
/// limit, then fails; it is never half acknowledged.
package protocol BlockDevice: AnyObject {
    /// As of now; the size grows when the volume is resized.
    var information: BlockDeviceInformation { get }

    /// Reads `length` bytes and hands back `buffer` with them appended (its earlier content, such as a reply header, stays).
    func read(
        at offset: UInt64, length: Int, appendingTo buffer: consuming ByteBuffer,
        completion: @escaping (Result<ByteBuffer, SheepError>) -> Void)

    /// Appends the bytes when they are here for the taking, without asking anybody. False: nothing is appended, and ``read`` is the way.
    /// While `mayWait` says so, a disk may be waited for, a quarter of a millisecond at most for each object, instead of others being woken.
    func readNow(at offset: UInt64, length: Int, appendingTo buffer: inout ByteBuffer, whileWaiting mayWait: () -> Bool) -> Bool

    /// Writes the readable bytes. Acknowledged writes survive any process crash; `durable`: a power cut too.
    func write(_ data: ByteBuffer, at offset: UInt64, durable: Bool, completion: @escaping (SheepError?) -> Void)

    /// Makes every write durable that was acknowledged before this call, through whatever connection or gateway.
    func flush(completion: @escaping (SheepError?) -> Void)

    /// Gives the range's space back; it reads as zeros afterwards.
    func trim(at offset: UInt64, length: UInt64, durable: Bool, completion: @escaping (SheepError?) -> Void)

    /// Makes the range read as zeros; `mayDeallocate` false keeps its space reserved.
    func zero(
        at offset: UInt64, length: UInt64, mayDeallocate: Bool, durable: Bool,
        completion: @escaping (SheepError?) -> Void)

    /// Zeroing the range is no slower than writing it would be (for NBD's FAST_ZERO).
    func zeroIsFast(at offset: UInt64, length: UInt64, mayDeallocate: Bool) -> Bool

    /// Reads ahead into memory where that makes sense; does not fail.
    func prefetch(at offset: UInt64, length: UInt64, completion: @escaping (SheepError?) -> Void)

    /// Extents from `offset` on, covering `length` bytes or fewer (at least one, at least one byte), neighbours merged;
    /// at most `limit` of them.
    func status(
        at offset: UInt64, length: UInt64, limit: Int, completion: @escaping (Result<[BlockExtent], SheepError>) -> Void)

    /// The user is gone. Requests under way are completed. No call may follow.
    func close()
    /// The same of a user who waits for nothing any more, and may come back through another gateway: changes that have not begun need not.
    func abandon()
}

extension BlockDevice {
    package func abandon() { close() }
    package func readNow(at offset: UInt64, length: Int, appendingTo buffer: inout ByteBuffer, whileWaiting mayWait: () -> Bool) -> Bool { false }
}

/// Where front-ends find volumes.
package protocol BlockDeviceProvider: AnyObject {
    associatedtype Device: BlockDevice

    /// Every volume and snapshot that can be opened, sorted by name, with descriptions.
    func list(completion: @escaping (Result<[BlockDeviceInformation], SheepError>) -> Void)

    /// Opens `NAME`, or `NAME@TAG` or `NAME@ID` read-only. A volume created later is found without restart.
    func open(_ name: String, completion: @escaping (Result<Device, SheepError>) -> Void)
}
