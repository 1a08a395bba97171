import ObjectModel
import ObjectStore

/// A block by its eight sectors; every write fills it with a number of its own, 0 is zeros.
typealias BlockValue = SIMD8<UInt64>

/// The values that one block of one volume has had, oldest first, and what was promised of them.
struct BlockHistory {
    var values: [BlockValue] = [.zero]
    /// The last value whose write was acknowledged: after a kill no older one may be there.
    var acknowledged = 0
    /// The last value made durable: after a power cut no older one may be there.
    var durable = 0

    mutating func issue(_ value: BlockValue) -> Int {
        values.append(value)
        return values.count - 1
    }

    func allowsAfterKill(_ value: BlockValue) -> Bool { values[acknowledged...].contains(value) }

    /// Sectors of unflushed writes may be torn apart.
    func allowsAfterPowerCut(_ value: BlockValue) -> Bool {
        (0..<8).allSatisfy { sector in values[durable...].contains { $0[sector] == value[sector] } }
    }

    mutating func survivedKill(_ value: BlockValue) {
        values = values[durable...] + [value]
        (acknowledged, durable) = (values.count - 1, 0)
    }

    mutating func survivedPowerCut(_ value: BlockValue) { self = BlockHistory(values: [value]) }
}

struct BlockKey: Hashable {
    let index: UInt32
    let block: Int
}

/// A volume of the random test: its births, nearest first, and the history of each block that it looks at.
final class ModelVolume {
    let birth: Birth
    let ancestry: [Birth]
    var isFrozen = false
    var history: [BlockKey: BlockHistory] = [:]
    /// Counts what was done to it and is not acknowledged.
    var pending = 0
    /// A new life: acknowledgements of before do not count.
    var isGone = false

    init(birth: Birth, ancestry: [Birth]) { (self.birth, self.ancestry) = (birth, [birth] + ancestry) }

    func child(_ birth: Birth) -> ModelVolume {
        let child = ModelVolume(birth: birth, ancestry: ancestry)
        child.history = history
        return child
    }
}
