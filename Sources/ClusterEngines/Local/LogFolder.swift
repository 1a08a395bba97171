import CLinux
import Glibc
package import ObjectModel

/// The folder where the sheep of a machine meet, and its segments.
///
///     UUID.alive               held locked by that node's sheep while it runs; says which process, and shows its report
///     log.0000000000000001     a segment: the state before entry 1 and the records from 1 on (hexadecimal)
///     making.UUID              a segment in the making, not yet part of the log
///     old.log.0000000000000001 a segment set aside when the log was rebuilt
///
/// Invariants:
/// - a segment's name appears (by link) only after its header and snapshot are durable;
/// - segments are removed oldest first, and the last two never; so a segment whose predecessor still has its name
///   has not been removed, and the highest name is the log's end.
package final class LogFolder: Sendable {
    package let directory: OpenFile

    package init(_ directory: OpenFile) { self.directory = directory }

    package static func segmentName(_ first: LogIndex) -> String {
        let digits = String(first.rawValue, radix: 16)
        return "log." + String(repeating: "0", count: 16 - digits.count) + digits
    }

    /// The first indices of the segments, ascending.
    package func segments() throws(EngineFailure) -> [LogIndex] {
        try directory.entryNames().compactMap { name in
            guard name.hasPrefix("log."), name.utf8.count == 20 else { return nil }
            return UInt64(name.dropFirst(4), radix: 16).map { LogIndex(rawValue: $0) }
        }.sorted()
    }

    /// Opens a segment for reading and appending; nil when there is none of that name.
    package func open(_ first: LogIndex) throws(EngineFailure) -> Segment? {
        guard let file = try directory.openEntry(Self.segmentName(first), O_RDWR | O_APPEND) else { return nil }
        let segment = try Segment(file)
        guard segment.first == first else { throw .damaged(path: file.path, what: "index \(segment.first)") }
        return segment
    }

    /// The last entry that there is for certain; not whole: something before it is damaged, or cannot be read. Nil: there is no log.
    package func reach() throws(EngineFailure) -> (last: LogIndex, isWhole: Bool)? {
        guard let newest = try segments().last else { return nil }
        let before = LogIndex(rawValue: newest.rawValue - 1)
        guard let segment = try? open(newest) else { return (before, false) }
        let winners = try? segment.readWhatIsWhole()
        let last = max(before, segment.highest, winners?.last?.index ?? .zero)
        let isWhole = winners.map { ($0.last?.index ?? before) == last } ?? false
        return (last, isWhole && (try? segment.readSnapshot()) != nil)
    }

    /// Removes all segments but the last two, oldest first, and makes that durable at some time.
    package func removeOldSegments() throws(EngineFailure) {
        for first in try segments().dropLast(2) { try directory.removeEntry(Self.segmentName(first)) }
    }

    /// Takes all segments out of the log, which must be in use by nobody.
    package func setSegmentsAside() throws(EngineFailure) {
        for first in try segments() {
            let name = Self.segmentName(first)
            try directory.renameEntry(name, to: "old." + name)
        }
        try sync()
    }

    /// Removes what an earlier run of this maker left in the making.
    package func removeDraft(of maker: String) throws(EngineFailure) { try directory.removeEntry(SegmentDraft.name(maker)) }

    /// The path still leads to this folder.
    package func checkInPlace() throws(EngineFailure) {
        guard let now = OpenFile.status(at: directory.path), now.isSameFile(as: try directory.status()) else {
            throw .removed(path: directory.path)
        }
    }

    package func sync() throws(EngineFailure) { try directory.sync() }
}

/// A segment under a temporary name, with its space reserved; ``install(index:snapshot:)`` puts it in place.
package final class SegmentDraft: Sendable {
    private let folder: LogFolder
    private let file: OpenFile
    private let name: String
    private let reserve: UInt64

    /// Makes the file and reserves `reserve` bytes for records besides `snapshotEstimate` for the snapshot.
    /// - Parameter maker: distinguishes drafts; whoever uses it holds that node's liveness lock, so a file of that name
    ///   is left over from an earlier run.
    package init(in folder: LogFolder, maker: String, snapshotEstimate: UInt64, reserve: UInt64) throws(EngineFailure) {
        (self.folder, self.reserve) = (folder, reserve)
        name = Self.name(maker)
        try folder.directory.removeEntry(name)
        file = try folder.directory.openEntry(name, O_RDWR | O_CREAT | O_EXCL | O_APPEND)!
        do throws(EngineFailure) { try file.reserve(snapshotEstimate + reserve) } catch {
            try folder.directory.removeEntry(name)
            throw error
        }
    }

    /// Writes and syncs header and snapshot, then gives the segment its name, unless another draft has it already
    /// (which means the same), and syncs the folder. The draft is used up.
    /// - Returns: this draft became the segment.
    package func install(
        index: LogIndex, snapshot: [UInt8], tag: UInt64 = .random(in: .min ... .max)
    ) throws(EngineFailure) -> Bool {
        defer { discard() }
        let header = SegmentHeader(tag: tag, index: index, snapshot: snapshot)
        try file.writeAll(header.encoded)
        try file.writeAll(snapshot)
        // The snapshot may be larger than estimated; without this reserve the log still works until the disk is full.
        try? file.reserve(header.recordsOffset + reserve)
        try file.sync()
        let linked = try folder.directory.linkEntry(name, as: LogFolder.segmentName(index.next))
        try folder.sync()
        return linked
    }

    fileprivate static func name(_ maker: String) -> String { "making." + maker }

    package func discard() { try? folder.directory.removeEntry(name) }
}
