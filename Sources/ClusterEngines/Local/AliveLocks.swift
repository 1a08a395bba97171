import Cluster
import Glibc
package import ObjectModel

/// The liveness locks: each sheep holds an exclusive flock on its `UUID.alive` as long as it runs.
///
/// The kernel frees the lock when the process is gone, however it ended, so who can take it has proof of death.
/// Process ids prove nothing (they are reused) and are not used. The files stay when their sheep ends.
package final class AliveLocks: Sendable {
    /// Others hold a free lock for microseconds when they probe it; a starting sheep waits for them this long.
    private static let patience: UInt64 = 2_000_000_000

    private let folder: LogFolder
    private let own: OpenFile
    private let node: NodeID

    /// Takes this node's lock, for as long as this object lives or until ``release()``.
    package init(_ folder: LogFolder, node: NodeID, loop: some EngineLoop) throws(SheepError) {
        (self.folder, self.node) = (folder, node)
        let isTaken: Bool
        do throws(EngineFailure) {
            own = try folder.directory.openEntry(Self.name(node), O_RDWR | O_CREAT)!
            isTaken = try Self.take(own, loop)
            if isTaken { try Bulletin.write(ProcessMark(of: getpid()).wire, at: Bulletin.markOffset, to: own) }
        } catch {
            throw SheepError(.unavailable, error.text)
        }
        guard isTaken else {
            throw SheepError(
                .busy,
                "another sheep with this node's identity \(node) runs already (it holds the lock \(own.path)): stop it, or give this one a STORE of its own")
        }
    }

    private static func take(_ file: OpenFile, _ loop: some EngineLoop) throws(EngineFailure) -> Bool {
        let start = loop.now()
        while try !file.tryLock(shared: false) {
            guard loop.now() - start < patience else { return false }
            usleep(5_000)
        }
        return true
    }

    /// Gives this node's lock up; from any thread.
    package func release() { own.unlock() }

    private static let suffix = ".alive"
    private static func name(_ node: NodeID) -> String { node.description + suffix }

    /// Proof that no process of `node` runs at this moment. A node whose file is missing is not proven dead.
    /// What cannot be examined proves nothing either.
    package func isFree(_ node: NodeID) -> Bool { node != self.node && Self.isFree(node, in: folder) }

    private static func isFree(_ node: NodeID, in folder: LogFolder) -> Bool {
        guard let file = try? folder.directory.openEntry(name(node), O_RDONLY) else { return false }
        return (try? file.tryLock(shared: true)) ?? false
    }

    /// The nodes whose locks are held, this one too.
    package func alive() throws(EngineFailure) -> Set<NodeID> {
        try Self.alive(in: folder, besides: node).union([node])
    }

    /// The nodes whose locks are held, but for one that is not asked.
    package static func alive(in folder: LogFolder, besides known: NodeID? = nil) throws(EngineFailure) -> Set<NodeID> {
        var nodes: Set<NodeID> = []
        for name in try folder.directory.entryNames() where isAliveFile(name) {
            guard let node = NodeID(String(name.dropLast(suffix.count))), node != known else { continue }
            if !isFree(node, in: folder) { nodes.insert(node) }
        }
        return nodes
    }

    // MARK: What the files say

    /// Replaces this node's report. A failure (the disk is full) leaves the former one, or none that can be read.
    package func show(_ report: [UInt8]) { try? Bulletin.write(report, at: Bulletin.reportOffset, to: own) }

    /// The reports of the other nodes; a node whose report is missing or just being replaced is left out.
    package func shown() -> [NodeID: [UInt8]] {
        guard let names = try? folder.directory.entryNames() else { return [:] }
        var reports: [NodeID: [UInt8]] = [:]
        for name in names where Self.isAliveFile(name) {
            guard let other = NodeID(String(name.dropLast(Self.suffix.count))), other != node,
                let file = try? folder.directory.openEntry(name, O_RDONLY)
            else { continue }
            reports[other] = Bulletin.read(at: Bulletin.reportOffset, maximum: maximumReport, of: file)
        }
        return reports
    }

    /// The process that took the node's lock last is stopped by a signal.
    package func isStopped(_ node: NodeID) -> Bool {
        guard let file = try? folder.directory.openEntry(Self.name(node), O_RDONLY),
            let bytes = Bulletin.read(at: Bulletin.markOffset, maximum: 64, of: file), let mark = try? ProcessMark(wire: bytes)
        else { return false }
        return mark.isStopped
    }

    /// This node's file still has its name; without it others would take a second file for the lock.
    package func checkInPlace() throws(EngineFailure) {
        guard try own.status().links > 0 else { throw .removed(path: own.path) }
    }

    package static func isAliveFile(_ name: String) -> Bool { name.hasSuffix(suffix) }
}
