import ObjectModel

/// What every node of a voting group tells every other, again and again: that it is there, whom it hears, what all show.
struct Presence {
    /// Higher with every presence of a node, its former runs included: an older one that comes late says nothing.
    let number: UInt64
    let sender: NodeID
    let boot: BootID
    /// The number of the newest presence of each node that the sender hears.
    let hears: [NodeID: UInt64]
    let reports: ShownReports
}

/// What each node showed last, as far as is known here. Passed on by whoever knows it, so that two nodes whose link is cut hear of
/// each other by way of a third.
struct ShownReports {
    private var newest: [NodeID: (number: UInt64, report: [UInt8])] = [:]

    /// `number` is higher with every report of a node, its former runs included.
    mutating func show(_ report: [UInt8], of node: NodeID, number: UInt64) {
        if number > newest[node]?.number ?? 0 { newest[node] = (number, report) }
    }

    mutating func merge(_ other: ShownReports) {
        for (node, entry) in other.newest { show(entry.report, of: node, number: entry.number) }
    }

    func shown(toAllBut node: NodeID) -> [NodeID: [UInt8]] { newest.filter { $0.key != node }.mapValues(\.report) }
}
