package import NIOCore
import ObjectModel
package import SheepProtocol
import Synchronization

/// An open volume or snapshot of a sheep. Requests may overlap; each is done whole or fails.
///
/// Writes are acknowledged when they survive any process crash; ``flush()`` (or `durable`) makes them survive a power cut.
package final class RemoteVolume: Sendable {
    /// A gateway waits for nodes before it fails a request; this is longer than that.
    package static let requestLimit = TimeAmount.seconds(60)
    /// A flush waits for the disks of all members.
    package static let flushLimit = TimeAmount.minutes(5)

    /// As it was when opened.
    package let information: DeviceOpened
    private let connection: SheepConnection
    private let client = ClientID.random()
    private let lastNumber = Atomic<UInt64>(0)

    init(connection: SheepConnection, opened: DeviceOpened) {
        (self.connection, self.information) = (connection, opened)
    }

    package func read(at offset: UInt64, length: Int) async throws(ClientError) -> ByteBuffer {
        let request = DeviceRead(handle: information.handle, offset: offset, length: UInt32(length))
        let reply = try await connection.request(.deviceRead, body: request.wire, timeLimit: Self.requestLimit)
        guard reply.payload.readableBytes == length else {
            throw .malformed(connection.endpoint, "\(reply.payload.readableBytes) bytes where \(length) were asked for")
        }
        return reply.payload
    }

    package func write(_ data: ByteBuffer, at offset: UInt64, durable: Bool = false) async throws(ClientError) {
        let request = DeviceWrite(
            handle: information.handle, offset: offset, durable: durable, identity: nextIdentity())
        _ = try await connection.request(
            .deviceWrite, body: request.wire, payload: data, timeLimit: Self.requestLimit)
    }

    /// Makes every write durable that was acknowledged before.
    package func flush() async throws(ClientError) {
        let body = DeviceReference(handle: information.handle).wire
        _ = try await connection.request(.deviceFlush, body: body, timeLimit: Self.flushLimit)
    }

    /// Makes the range read as zeros; without `mayDeallocate` it keeps or takes its space.
    package func zero(
        at offset: UInt64, length: UInt64, mayDeallocate: Bool, durable: Bool = false
    ) async throws(ClientError) {
        let request = DeviceZero(
            handle: information.handle, offset: offset, length: length, mayDeallocate: mayDeallocate,
            durable: durable, identity: nextIdentity())
        _ = try await connection.request(.deviceZero, body: request.wire, timeLimit: Self.requestLimit)
    }

    /// Extents from `offset` on, covering `length` bytes or fewer, one at least, `limit` at most.
    package func status(at offset: UInt64, length: UInt64, limit: Int) async throws(ClientError) -> [DeviceExtent] {
        let request = DeviceStatus(
            handle: information.handle, offset: offset, length: length, limit: UInt32(limit))
        let reply = try await connection.request(.deviceStatus, body: request.wire, timeLimit: Self.requestLimit)
        let extents = try DeviceExtents(reply: reply, of: connection.endpoint).extents
        guard !extents.isEmpty else { throw .malformed(connection.endpoint, "no extent") }
        return extents
    }

    package func close() async throws(ClientError) {
        let body = DeviceReference(handle: information.handle).wire
        _ = try await connection.request(.deviceClose, body: body, timeLimit: SheepClient.administrationLimit)
    }

    private func nextIdentity() -> WriteIdentity {
        WriteIdentity(client: client, number: lastNumber.add(1, ordering: .relaxed).newValue)
    }
}
