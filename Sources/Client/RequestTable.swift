package import NIOCore
import SheepProtocol

/// A reply frame with result 0.
package struct SheepReply: Sendable {
    package var body: [UInt8]
    package var payload: ByteBuffer
}

/// The requests of one connection that wait for their replies, by id. At most 2^32 - 1; an id in use is not given again.
struct RequestTable {
    struct Waiting {
        var operation: Operation
        var completion: (Result<SheepReply, ClientError>) -> Void
        var timeLimit: Scheduled<Void>?
    }

    private var waiting: [UInt32: Waiting] = [:]
    private var lastID: UInt32 = 0

    var count: Int { waiting.count }

    mutating func nextID() -> UInt32 {
        repeat { lastID &+= 1 } while waiting[lastID] != nil
        return lastID
    }

    mutating func insert(_ request: Waiting, id: UInt32) {
        precondition(waiting.updateValue(request, forKey: id) == nil, "request id \(id) is in use")
    }

    /// The request that the reply answers; nil when it gave up waiting, which is harmless.
    mutating func remove(id: UInt32) -> Waiting? {
        guard let request = waiting.removeValue(forKey: id) else { return nil }
        request.timeLimit?.cancel()
        return request
    }

    mutating func removeAll() -> [Waiting] {
        defer { waiting = [:] }
        for request in waiting.values { request.timeLimit?.cancel() }
        return Array(waiting.values)
    }
}
