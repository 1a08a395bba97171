/// A place in the network: its store, which outlives processes, and the process that runs now, if any.
final class LogMachine {
    let address: Int
    var store: LogStore
    var process: LogProcess?

    init(address: Int, store: LogStore) { (self.address, self.store) = (address, store) }

    var running: LogProcess? { process?.isAlive ?? false ? process : nil }
}
