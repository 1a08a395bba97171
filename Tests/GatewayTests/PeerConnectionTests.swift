import ObjectModel
import SheepProtocol
import Testing

/// A run of a peer is listened to by its newest connection alone: what is left of the one before was sent again, or given up.
@Suite struct PeerConnectionTests {
    private func ping(_ number: UInt64) -> [UInt8] { Ping(logIndex: LogIndex(rawValue: number), load: .none).wire }

    @Test("a second connection of the same run ends the first, and what that one still brings is not answered; another run's does not")
    func superseded() throws {
        let cluster = try LiveCluster(sheep: 1, copies: 1)
        let peer = NodeID(high: 7, low: 7)
        let (run, nextRun) = (Hello(node: peer, boot: BootID(rawValue: 1)), Hello(node: peer, boot: BootID(rawValue: 2)))
        let connections = try (0..<3).map { _ in try RawConnection(port: cluster.members[0].port) }
        connections[0].send(.hello, id: 1, body: run.wire)
        #expect(try connections[0].reply()?.id == 1)
        connections[1].send(.hello, id: 2, body: nextRun.wire)
        #expect(try connections[1].reply()?.id == 2)
        connections[0].send(.ping, id: 3, body: ping(0))
        #expect(try connections[0].reply()?.id == 3, "another run's connection ended it")
        connections[2].send(.hello, id: 4, body: run.wire)
        #expect(try connections[2].reply()?.id == 4)
        connections[0].send(.ping, id: 5, body: ping(0))
        #expect(try connections[0].reply() == nil, "a superseded connection is listened to")
        for (id, connection) in [(6, connections[1]), (7, connections[2])] as [(UInt32, RawConnection)] {
            connection.send(.ping, id: id, body: ping(0))
            #expect(try connection.reply()?.id == id)
        }
    }
}
