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

/// What a volume shows at one index, read from its file by another process than the sheep that has it; see ``ReadBoard``.
package final class ShortCircuitObject {
    package let stamp: ReadStamp
    private let table: ChecksumTable
    /// Nil: nothing is stored there.
    private let descriptor: Int32?

    /// - Parameters:
    ///   - name: whose bytes are shown; nil: all of it reads as zeros.
    ///   - checksums: of its blocks, as ``ObjectStore/openTable(of:)`` gives them.
    package init?(_ name: ObjectName?, in store: StoreView, checksums: [UInt32], stamp: ReadStamp) {
        self.stamp = stamp
        table = ChecksumTable(values: checksums)
        guard let name else {
            descriptor = nil
            return
        }
        guard let opened = try? FileCalls.open(store.descriptor, ObjectPath.path(name), O_RDONLY | O_NOFOLLOW) else { return nil }
        descriptor = opened
    }

    deinit { if let descriptor { close(descriptor) } }

    /// Reads whole blocks that are in memory and match their checksums; only then is it true. Whether they count the board says, when it is
    /// asked after this.
    package func read(at offset: Int, into buffer: UnsafeMutableRawBufferPointer) -> Bool {
        guard (offset | buffer.count) % blockSize == 0 else { return false }
        guard let descriptor else { return zero(buffer) }
        let blocks = offset / blockSize..<(offset + buffer.count) / blockSize
        guard blocks.upperBound <= table.blocks else { return false }
        if table.neverWritten(blocks) { return zero(buffer) }
        do throws(DiskError) { try FileCalls.tryRead(descriptor, UInt64(offset), buffer) } catch { return false }
        return table.firstMismatch(first: blocks.lowerBound, buffer) == nil
    }

    private func zero(_ buffer: UnsafeMutableRawBufferPointer) -> Bool {
        buffer.initializeMemory(as: UInt8.self, repeating: 0)
        return true
    }
}
