package import FrontendKit
package import NIOCore
package import ObjectModel

/// A block device used on its event loop as front-ends use it, one request at a time.
///
/// `@unchecked Sendable`: the device is used on the loop only.
package final class DirectTarget<Device: BlockDevice & SendableMetatype>: ConformanceTarget, @unchecked Sendable {
    private let eventLoop: any EventLoop
    package typealias Open = (@escaping (Result<Device, SheepError>) -> Void) -> Void
    private let open: Open
    private var device: Device

    /// `open` is called on the loop, for a device that shows the same bytes each time.
    package init(eventLoop: any EventLoop, open: @escaping Open) throws(SheepError) {
        (self.eventLoop, self.open) = (eventLoop, open)
        device = try Self.opened(on: eventLoop, open)
    }

    deinit {
        nonisolated(unsafe) let device = device
        eventLoop.execute { device.close() }
    }

    private static func opened(
        on eventLoop: any EventLoop, _ open: @escaping Open
    ) throws(SheepError) -> Device {
        nonisolated(unsafe) let open = open
        nonisolated(unsafe) var result: Result<Device, SheepError>?
        let promise = eventLoop.makePromise(of: Void.self)
        eventLoop.execute {
            open {
                result = $0
                promise.succeed()
            }
        }
        try! promise.futureResult.wait()
        return try result!.get()
    }

    package var size: UInt64 { try! wait { device, done in done(.success(device.information.size)) } }
    package var maximumRequest: Int { try! wait { device, done in done(.success(Int(device.information.maximumRequest))) } }

    private func wait<Value: Sendable>(
        _ start: @escaping @Sendable (Device, @escaping (Result<Value, SheepError>) -> Void) -> Void
    ) throws(SheepError) -> Value {
        let promise = eventLoop.makePromise(of: Result<Value, SheepError>.self)
        // Not `self`: its last reference must not be dropped on the loop.
        nonisolated(unsafe) let device = device
        eventLoop.execute { start(device) { promise.succeed($0) } }
        return try (try! promise.futureResult.wait()).get()
    }

    private func wait(
        _ start: @escaping @Sendable (Device, @escaping (SheepError?) -> Void) -> Void
    ) throws(SheepError) {
        let promise = eventLoop.makePromise(of: SheepError?.self)
        nonisolated(unsafe) let device = device
        eventLoop.execute { start(device) { promise.succeed($0) } }
        if let error = try! promise.futureResult.wait() { throw error }
    }

    package func read(at offset: UInt64, length: Int) throws(SheepError) -> [UInt8] {
        let header: [UInt8] = [0xAA, 0xBB]
        let buffer: ByteBuffer = try wait { device, done in
            device.read(at: offset, length: length, appendingTo: ByteBuffer(bytes: header), completion: done)
        }
        guard buffer.readableBytesView.starts(with: header) else { throw SheepError(.damaged, "the header is gone") }
        return Array(buffer.readableBytesView.dropFirst(2))
    }

    package func write(_ data: [UInt8], at offset: UInt64, durable: Bool) throws(SheepError) {
        try wait { device, done in device.write(ByteBuffer(bytes: data), at: offset, durable: durable, completion: done) }
    }

    package func flush() throws(SheepError) { try wait { device, done in device.flush(completion: done) } }

    package func trim(at offset: UInt64, length: UInt64, durable: Bool) throws(SheepError) {
        try wait { device, done in device.trim(at: offset, length: length, durable: durable, completion: done) }
    }

    package func zero(
        at offset: UInt64, length: UInt64, mayDeallocate: Bool, onlyIfFast: Bool, durable: Bool
    ) throws(SheepError) {
        try wait { device, done in
            if onlyIfFast, !device.zeroIsFast(at: offset, length: length, mayDeallocate: mayDeallocate) {
                return done(SheepError(.notSupported, "slow"))
            }
            device.zero(at: offset, length: length, mayDeallocate: mayDeallocate, durable: durable, completion: done)
        }
    }

    package func status(at offset: UInt64, length: UInt64, onlyOne: Bool) throws(SheepError) -> [BlockExtent] {
        try wait { device, done in
            device.status(at: offset, length: length, limit: onlyOne ? 1 : 1000, completion: done)
        }
    }

    package func reopen() throws(SheepError) {
        nonisolated(unsafe) let old = device
        eventLoop.execute { old.close() }
        device = try Self.opened(on: eventLoop, open)
    }
}
