package import Authentication
package import NIOCore
import ObjectModel
package import SheepProtocol

/// Administration of a cluster and its volumes, through one sheep.
package final class SheepClient: Sendable {
    /// The longest that administration may take: a snapshot holds writes for 5 s at most, everything else is faster.
    package static let administrationLimit = TimeAmount.seconds(30)

    private let connection: SheepConnection

    private init(connection: SheepConnection) { self.connection = connection }

    package static func connect(to endpoint: SheepEndpoint, key: ClusterKey? = nil) async throws(ClientError) -> SheepClient {
        SheepClient(connection: try await SheepConnection.connect(to: endpoint, key: key))
    }

    package static func connect(host: String, port: UInt16) async throws(ClientError) -> SheepClient {
        try await connect(to: .tcp(host: host, port: port))
    }

    package var endpoint: SheepEndpoint { connection.endpoint }

    /// Asks once; never repeated by itself, for a command may have been done although its reply was lost.
    package func administer(_ request: AdministrationRequest) async throws(ClientError) -> AdministrationReply {
        let reply = try await connection.request(.administer, body: request.wire, timeLimit: Self.administrationLimit)
        return try AdministrationReply(reply: reply, of: endpoint)
    }

    /// Opens `NAME`, or `NAME@TAG` or `NAME@ID` (snapshots are read-only).
    package func openVolume(_ name: String, readOnly: Bool) async throws(ClientError) -> RemoteVolume {
        let reply = try await connection.request(
            .deviceOpen, body: DeviceOpen(name: name, readOnly: readOnly).wire, timeLimit: Self.administrationLimit)
        return RemoteVolume(connection: connection, opened: try DeviceOpened(reply: reply, of: endpoint))
    }

    package func close() async { await connection.close() }
}

extension WireCodable {
    /// Decodes a reply's body.
    init(reply: SheepReply, of endpoint: SheepEndpoint) throws(ClientError) {
        do throws(WireError) {
            self = try Self(wire: reply.body)
        } catch {
            throw .malformed(endpoint, error.text)
        }
    }
}
