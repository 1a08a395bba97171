import ObjectModel
import Viewstamped

/// One node's disk, as far as the control log is on it: records become durable in order, a crash keeps a beginning.
final class LogStore {
    let identity: NodeID
    private(set) var durable: StoredLog
    private var waiting: [(number: UInt64, record: StoreRecord)] = []
    private let planted: PlantedLogFault?

    init(identity: NodeID, log: StoredLog, planted: PlantedLogFault?) {
        (self.identity, durable, self.planted) = (identity, log, planted)
    }

    func put(_ record: StoreRecord, number: UInt64) { waiting.append((number, record)) }

    /// Everything up to the record is durable from here on.
    func sync(upTo number: UInt64) {
        while let next = waiting.first, next.number <= number {
            if planted != .forgottenPromise || !next.record.isPromise { durable.apply(next.record) }
            waiting.removeFirst()
        }
    }

    /// The process or the machine ends: `kept` of the records that wait reached the disk all the same.
    func crash(keeping kept: (Int) -> Int) {
        if let last = waiting.prefix(kept(waiting.count)).last { sync(upTo: last.number) }
        waiting = []
        // What is read back is what was written.
        do { durable = try StoredLog(wire: durable.wire) } catch { preconditionFailure("the stored log cannot be read: \(error)") }
    }
}

extension StoreRecord {
    var isPromise: Bool { if case .promise = self { true } else { false } }
}
