/// What goes wrong on a ``SimulatedDisk``, as probabilities of each call; changed by the test at any time.
///
/// The faults, each only on files whose name begins with `prefix`:
/// - reads, writes and syncs fail with EIO; a failed sync leaves open which blocks are durable;
/// - a write is lost, or goes to another block of the file, and is reported as done;
/// - a read finds one bit of the medium flipped, for good.
package struct DiskFaults: Sendable {
    package var readFails = 0.0
    package var writeFails = 0.0
    package var syncFails = 0.0
    package var writeLost = 0.0
    package var writeMisdirected = 0.0
    package var bitFlips = 0.0
    /// A read is not in memory and must go the background way; no fault, but seldom otherwise.
    package var readMisses = 0.1
    package var prefix = ""

    package init() {}

    package static let none = DiskFaults()
}
