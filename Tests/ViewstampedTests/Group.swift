import ObjectModel
import Viewstamped

/// A few nodes whose disks are at once and whose messages arrive when the test lets them.
struct Group {
    let log = LogID(high: 0, low: 1)
    var nodes: [ViewstampedLog] = []
    /// Sent and not yet delivered, in order.
    var wire: [Envelope] = []
    /// What each was told to deliver, and whatever else it ordered.
    var delivered: [[LogEntry]] = []
    var others: [[Action]] = []
    /// Those whose disks have stopped confirming.
    var stalled: Set<Int> = []

    static func id(_ place: Int) -> NodeID { NodeID(high: 0, low: UInt64(place) + 1) }

    /// `founders` with the founded log, then as many with empty stores.
    init(founders: Int, others count: Int = 0) {
        let voters = (0..<founders).map(Self.id)
        for place in 0..<founders + count {
            let stored = place < founders ? StoredLog(founding: log, voters: voters) : StoredLog()
            nodes.append(ViewstampedLog(node: Self.id(place), boot: BootID(rawValue: UInt64(place)), stored: stored))
            delivered.append([])
            others.append([])
        }
    }

    mutating func run(_ place: Int, _ event: (inout ViewstampedLog) -> [Action]) {
        for action in event(&nodes[place]) {
            switch action {
            case .persist(_, let number):
                if !stalled.contains(place) { run(place) { $0.persisted(number) } }
            case .send(let envelope): wire.append(envelope)
            case .committed(_, let entry): delivered[place].append(entry)
            default: others[place].append(action)
            }
        }
    }

    mutating func meet(_ places: [Int]) {
        for place in places { run(place) { $0.groupChanged(to: places.map(Self.id)) } }
    }

    /// Delivers all that is on its way, and what follows from it, to and among these.
    mutating func settle(among places: [Int]) {
        while !wire.isEmpty {
            let envelope = wire.removeFirst()
            guard places.contains(where: { Self.id($0) == envelope.sender }) else { continue }
            for place in places where envelope.receiver == nil || envelope.receiver == Self.id(place) {
                run(place) { $0.received(envelope) }
            }
        }
    }

    mutating func tick(_ places: [Int], times: Int = 1) {
        for _ in 0..<times {
            for place in places { run(place) { $0.ticked() } }
            settle(among: places)
        }
    }

    mutating func propose(_ byte: UInt8, by place: Int, among places: [Int]) {
        run(place) { $0.proposed(.payload([byte]), at: $0.delivered.next) }
        settle(among: places)
    }

    var leaders: [Int] { nodes.indices.filter { nodes[$0].isLeading } }
}
