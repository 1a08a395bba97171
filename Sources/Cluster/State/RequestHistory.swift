package import ObjectModel

/// The results of the last requests, so that a proposal that comes twice is executed once.
///
/// 4096 are kept: a proposer repeats within seconds, and a cluster commits a few hundred entries a second at most.
package struct RequestHistory: Sendable {
    static let kept = 4096
    /// In the order of the log.
    private var requests: [RequestID] = []
    private var results: [RequestID: ControlResult] = [:]

    var count: Int { requests.count }
    func result(of request: RequestID) -> ControlResult? { results[request] }

    mutating func record(_ request: RequestID, _ result: ControlResult) {
        precondition(results[request] == nil)
        requests.append(request)
        results[request] = result
        // Forget a batch at a time, so that the array is not moved for each.
        if requests.count > Self.kept + 512 {
            for old in requests.prefix(512) { results[old] = nil }
            requests.removeFirst(512)
        }
    }
}

extension RequestHistory: WireCodable {
    package init(from reader: inout WireReader) throws(WireError) {
        for _ in 0..<(try reader.read(UInt32.self)) {
            let request: RequestID = try reader.readValue()
            guard results.updateValue(try reader.readValue(), forKey: request) == nil else { throw .invalid("request id") }
            requests.append(request)
        }
    }

    package func encode(to writer: inout WireWriter) {
        writer.write(UInt32(requests.count))
        for request in requests {
            writer.write(request)
            writer.write(results[request]!)
        }
    }
}
