import Glibc
package import ObjectModel

/// A folder of a store, as another process of the machine sees it.
package final class StoreView {
    fileprivate let descriptor: Int32

    /// Nil: it is not there, or not for us to see.
    package init?(path: String) {
        guard let descriptor = try? FileCalls.open(AT_FDCWD, path, O_RDONLY | O_DIRECTORY | O_NONBLOCK) else { return nil }
        self.descriptor = descriptor
    }

    deinit { close(descriptor) }
}

/// A file of the store, open for reading.
private final class ViewedFile {
    let descriptor: Int32
    init(descriptor: Int32) { self.descriptor = descriptor }
    deinit { close(descriptor) }
}

/// What a volume shows at one index, read from its file by another process than the sheep that has it; see ``ReadBoard``.
package final class ShortCircuitObject {
    /// Reads a range that is in memory; false when it is not.
    package typealias Bytes = (_ offset: UInt64, _ buffer: UnsafeMutableRawBufferPointer) -> Bool
    /// Has a range brought into memory.
    package typealias Fetch = (_ offset: UInt64, _ length: Int) -> Void

    package let stamp: ReadStamp
    private let table: ChecksumTable
    /// Nil: nothing is stored there.
    private let bytes: Bytes?
    private let fetch: Fetch?

    /// What its checksums take.
    package var tableBytes: Int { table.byteCount }

    /// - Parameters:
    ///   - bytes: of the file that is shown; nil: all of it reads as zeros.
    ///   - fetch: of the same file; nil: what is not in memory does not come there.
    ///   - checksums: of its blocks, as ``ObjectStore/openTable(of:)`` gives them.
    package init(_ bytes: Bytes?, fetch: Fetch? = nil, checksums: [UInt32], stamp: ReadStamp) {
        (self.bytes, self.fetch, self.stamp) = (bytes, fetch, stamp)
        table = ChecksumTable(values: checksums)
    }

    /// An object of a store; nil when its file cannot be opened.
    package convenience init?(_ name: ObjectName?, in store: StoreView, checksums: [UInt32], stamp: ReadStamp) {
        guard let name else {
            self.init(nil, checksums: checksums, stamp: stamp)
            return
        }
        guard let descriptor = try? FileCalls.open(store.descriptor, ObjectPath.path(name), O_RDONLY | O_NOFOLLOW) else { return nil }
        let file = ViewedFile(descriptor: descriptor)
        self.init({ offset, buffer in
            do throws(DiskError) { try FileCalls.tryRead(file.descriptor, offset, buffer) } catch { return false }
            return true
        }, fetch: { FileCalls.readAhead(file.descriptor, $0, $1) }, checksums: checksums, stamp: stamp)
    }

    /// Has a range brought into memory, soon; may itself wait for the disk. By any thread.
    package func fetch(_ range: Range<Int>) { fetch?(UInt64(range.lowerBound), range.count) }

    /// Whether ``fetch(_:)`` does anything.
    package var canFetch: Bool { fetch != nil }

    /// Reads whole blocks that are in memory and match their checksums; only then is it true. Whether they count the board says, when it is
    /// asked after this. By any thread.
    package func read(at offset: Int, into buffer: UnsafeMutableRawBufferPointer) -> Bool {
        guard (offset | buffer.count) % blockSize == 0 else { return false }
        guard let bytes else { return zero(buffer) }
        let blocks = offset / blockSize..<(offset + buffer.count) / blockSize
        guard blocks.upperBound <= table.blocks else { return false }
        if table.neverWritten(blocks) { return zero(buffer) }
        return bytes(UInt64(offset), buffer) && table.firstMismatch(first: blocks.lowerBound, buffer) == nil
    }

    private func zero(_ buffer: UnsafeMutableRawBufferPointer) -> Bool {
        buffer.initializeMemory(as: UInt8.self, repeating: 0)
        return true
    }
}
