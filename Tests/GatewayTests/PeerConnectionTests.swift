import Glibc
import ObjectModel
import SheepProtocol
import Testing

/// A run of a peer is listened to by its newest connection alone: what is left of the one before was sent again, or given up.
@Suite struct PeerConnectionTests {
    /// Frames over a socket of its own; every wait ends after ten seconds.
    private final class Connection {
        private let descriptor: Int32

        init(port: UInt16) throws {
            descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
            var limit = timeval(tv_sec: 10, tv_usec: 0)
            setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
            // struct sockaddr_in
            let address: [UInt8] = [UInt8(AF_INET), 0, UInt8(port >> 8), UInt8(truncatingIfNeeded: port), 127, 0, 0, 1] + [UInt8](repeating: 0, count: 8)
            let result = address.withUnsafeBytes {
                connect(descriptor, $0.baseAddress!.assumingMemoryBound(to: sockaddr.self), socklen_t($0.count))
            }
            try #require(result == 0, "errno \(errno)")
        }

        deinit { close(descriptor) }

        func send(_ operation: SheepProtocol.Operation, id: UInt32, body: [UInt8]) {
            var frame = [UInt8](repeating: 0, count: FrameHeader.size)
            let header = FrameHeader(operation: operation, id: id, bodyLength: body.count, payloadLength: 0)
            frame.withUnsafeMutableBytes { header.encode(into: $0) }
            frame += body
            // To one that was closed it may fail.
            _ = Glibc.send(descriptor, frame, frame.count, Int32(MSG_NOSIGNAL))
        }

        /// Nil: the other side has closed the connection.
        func reply() throws -> FrameHeader? {
            guard let head = try receive(FrameHeader.size) else { return nil }
            let header = try head.withUnsafeBytes { raw throws(WireError) in try FrameHeader(from: raw) }
            _ = try receive(header.bodyLength + header.payloadLength)
            return header
        }

        private func receive(_ count: Int) throws -> [UInt8]? {
            var bytes = [UInt8](repeating: 0, count: count)
            var have = 0
            while have < count {
                let got = bytes.withUnsafeMutableBytes { recv(descriptor, $0.baseAddress! + have, count - have, 0) }
                if got == 0 || got < 0 && errno == ECONNRESET { return nil }
                try #require(got > 0, "nothing came for ten seconds: errno \(errno)")
                have += got
            }
            return bytes
        }
    }

    private func ping(_ number: UInt64) -> [UInt8] { Ping(logIndex: LogIndex(rawValue: number), load: .none).wire }

    @Test("a second connection of the same run ends the first, and what that one still brings is not answered; another run's does not")
    func superseded() throws {
        let cluster = try LiveCluster(sheep: 1, copies: 1)
        let peer = NodeID(high: 7, low: 7)
        let (run, nextRun) = (Hello(node: peer, boot: BootID(rawValue: 1)), Hello(node: peer, boot: BootID(rawValue: 2)))
        let connections = try (0..<3).map { _ in try Connection(port: cluster.members[0].port) }
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
        for (id, connection) in [(6, connections[1]), (7, connections[2])] as [(UInt32, Connection)] {
            connection.send(.ping, id: id, body: ping(0))
            #expect(try connection.reply()?.id == id)
        }
    }
}
