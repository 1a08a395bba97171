package import FrontendKit
package import NIOCore
package import ObjectModel
import SheepProtocol

/// An open volume or snapshot of a cluster. Its requests outlive the sheep that had them, see ``ClusterClient``.
package final class ClusterVolume: BlockDevice {
    private unowned let client: ClusterClient
    /// The last that it was known by; the origin is what counts.
    private(set) var name: String
    private(set) var origin: DeviceOrigin
    let objectShift: ObjectShift
    package internal(set) var information: BlockDeviceInformation
    private let identity = ClientID.random()
    private var lastNumber: UInt64 = 0
    /// On the present connection; nil until it is opened there.
    var handle: DeviceHandle?
    var isOpening = false
    /// Wait until it is open on the present connection.
    var pending: [ClusterRequest] = []
    private(set) var isClosed = false

    init(client: ClusterClient, name: String, opened: DeviceOpened) {
        (self.client, self.name, handle, origin) = (client, name, opened.handle, opened.origin)
        // Its decoding has looked at it.
        objectShift = ObjectShift(rawValue: opened.objectShift)!
        information = Self.information(opened)
    }

    private static func information(_ opened: DeviceOpened) -> BlockDeviceInformation {
        BlockDeviceInformation(
            name: opened.name, description: opened.description, size: opened.size, isReadOnly: opened.isReadOnly,
            preferredBlockSize: opened.preferredBlockSize, maximumRequest: opened.maximumRequest,
            identity: opened.origin.birth.rawValue)
    }

    /// What it is by now; its handle stays.
    func renewed(_ opened: DeviceOpened) {
        (name, origin) = (opened.name, opened.origin)
        information = Self.information(opened)
    }

    func opened(_ opened: DeviceOpened) {
        (handle, isOpening, name, origin) = (opened.handle, false, opened.name, opened.origin)
        information = Self.information(opened)
    }

    /// The connection is gone, and the handle with it.
    func lost() { (handle, isOpening) = (nil, false) }

    private func nextIdentity() -> WriteIdentity {
        lastNumber += 1
        return WriteIdentity(client: identity, number: lastNumber)
    }

    package func read(
        at offset: UInt64, length: Int, appendingTo buffer: consuming ByteBuffer,
        completion: @escaping (Result<ByteBuffer, SheepError>) -> Void
    ) {
        var buffer = buffer
        client.submit(.deviceRead, volume: self) { handle in
            DeviceRead(handle: handle, offset: offset, length: UInt32(length)).wire
        } completion: { result in
            completion(
                result.flatMap { reply in
                    guard reply.payload.readableBytes == length else {
                        return .failure(SheepError(.unknown, "\(reply.payload.readableBytes) bytes came where \(length) were asked for"))
                    }
                    if buffer.readableBytes == 0 { return .success(reply.payload) }
                    var payload = reply.payload
                    buffer.writeBuffer(&payload)
                    return .success(buffer)
                })
        }
    }

    package func readNow(at offset: UInt64, length: Int, appendingTo buffer: inout ByteBuffer, whileWaiting mayWait: () -> Bool) -> Bool {
        client.readShortCircuit(self, at: offset, length: length, appendingTo: &buffer, whileWaiting: mayWait)
    }

    package func write(_ data: ByteBuffer, at offset: UInt64, durable: Bool, completion: @escaping (SheepError?) -> Void) {
        let identity = nextIdentity()
        client.submitWrite(data, volume: self) { handle, place in
            DeviceWrite(handle: handle, offset: offset, durable: durable, identity: identity, place: place).wire
        } completion: { completion($0.error) }
    }

    package func flush(completion: @escaping (SheepError?) -> Void) {
        client.submit(.deviceFlush, volume: self) { DeviceReference(handle: $0).wire } completion: { completion($0.error) }
    }

    package func trim(at offset: UInt64, length: UInt64, durable: Bool, completion: @escaping (SheepError?) -> Void) {
        zero(at: offset, length: length, mayDeallocate: true, durable: durable, completion: completion)
    }

    package func zero(
        at offset: UInt64, length: UInt64, mayDeallocate: Bool, durable: Bool, completion: @escaping (SheepError?) -> Void
    ) {
        let identity = nextIdentity()
        client.submit(.deviceZero, volume: self) { handle in
            DeviceZero(
                handle: handle, offset: offset, length: length, mayDeallocate: mayDeallocate, durable: durable,
                identity: identity
            ).wire
        } completion: { completion($0.error) }
    }

    package func zeroIsFast(at offset: UInt64, length: UInt64, mayDeallocate: Bool) -> Bool { mayDeallocate }

    package func prefetch(at offset: UInt64, length: UInt64, completion: @escaping (SheepError?) -> Void) { completion(nil) }

    package func status(
        at offset: UInt64, length: UInt64, limit: Int, completion: @escaping (Result<[BlockExtent], SheepError>) -> Void
    ) {
        client.submit(.deviceStatus, volume: self) { handle in
            DeviceStatus(handle: handle, offset: offset, length: length, limit: UInt32(clamping: limit)).wire
        } completion: { result in
            completion(
                result.flatMap { reply in
                    guard let answer = try? DeviceExtents(wire: reply.body), !answer.extents.isEmpty else {
                        return .failure(SheepError(.unknown, "the sheep's extents cannot be read"))
                    }
                    return .success(
                        answer.extents.map { BlockExtent(length: $0.length, isAllocated: $0.isAllocated, isZero: $0.isZero) })
                })
        }
    }

    package func close() {
        guard !isClosed else { return }
        isClosed = true
        client.closed(self)
    }
}

extension Result where Failure == SheepError {
    fileprivate var error: SheepError? {
        if case .failure(let error) = self { error } else { nil }
    }
}
