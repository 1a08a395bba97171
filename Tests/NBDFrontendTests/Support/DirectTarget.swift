import FrontendKit
import NIOCore
import NIOPosix
import ObjectModel

/// A memory device, used on an event loop as front-ends use it.
///
/// `@unchecked Sendable`: the device is used on the loop only.
final class DirectTarget: ConformanceTarget, @unchecked Sendable {
    private let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    private let volume = MemoryBlockDevice.Volume(name: "direct", size: BlockDeviceConformance.deviceSize)
    private var device: MemoryBlockDevice

    init() { device = MemoryBlockDevice(volume) }
    deinit {
        device.close()
        try! group.syncShutdownGracefully()
    }

    var size: UInt64 { volume.size }
    var maximumRequest: Int { Int(device.information.maximumRequest) }

    private func wait<Value: Sendable>(
        _ start: @escaping @Sendable (MemoryBlockDevice, @escaping (Result<Value, SheepError>) -> Void) -> Void
    ) throws(SheepError) -> Value {
        let promise = group.next().makePromise(of: Result<Value, SheepError>.self)
        // Not `self`: its last reference must not be dropped on the loop.
        nonisolated(unsafe) let device = device
        group.next().execute { start(device) { promise.succeed($0) } }
        return try! promise.futureResult.wait().get()
    }

    private func wait(
        _ start: @escaping @Sendable (MemoryBlockDevice, @escaping (SheepError?) -> Void) -> Void
    ) throws(SheepError) {
        let promise = group.next().makePromise(of: SheepError?.self)
        nonisolated(unsafe) let device = device
        group.next().execute { start(device) { promise.succeed($0) } }
        if let error = try! promise.futureResult.wait() { throw error }
    }

    func read(at offset: UInt64, length: Int) throws(SheepError) -> [UInt8] {
        let header: [UInt8] = [0xAA, 0xBB]
        let buffer: ByteBuffer = try wait { device, done in
            device.read(at: offset, length: length, appendingTo: ByteBuffer(bytes: header), completion: done)
        }
        guard buffer.readableBytesView.starts(with: header) else { throw SheepError(.damaged, "the header is gone") }
        return Array(buffer.readableBytesView.dropFirst(2))
    }

    func write(_ data: [UInt8], at offset: UInt64, durable: Bool) throws(SheepError) {
        try wait { device, done in device.write(ByteBuffer(bytes: data), at: offset, durable: durable, completion: done) }
    }

    func flush() throws(SheepError) { try wait { device, done in device.flush(completion: done) } }

    func trim(at offset: UInt64, length: UInt64, durable: Bool) throws(SheepError) {
        try wait { device, done in device.trim(at: offset, length: length, durable: durable, completion: done) }
    }

    func zero(at offset: UInt64, length: UInt64, mayDeallocate: Bool, onlyIfFast: Bool, durable: Bool) throws(SheepError) {
        try wait { device, done in
            if onlyIfFast, !device.zeroIsFast(at: offset, length: length, mayDeallocate: mayDeallocate) {
                return done(SheepError(.notSupported, "slow"))
            }
            device.zero(at: offset, length: length, mayDeallocate: mayDeallocate, durable: durable, completion: done)
        }
    }

    func status(at offset: UInt64, length: UInt64, onlyOne: Bool) throws(SheepError) -> [BlockExtent] {
        try wait { device, done in
            device.status(at: offset, length: length, limit: onlyOne ? 1 : 1000, completion: done)
        }
    }

    func reopen() throws(SheepError) {
        device.close()
        device = MemoryBlockDevice(volume)
    }
}
