package import NIOCore
package import ObjectModel

/// What a write to an inode means. Decided from the bytes alone, before anything is done.
///
/// | slots written          | meaning                                                                              |
/// |------------------------|--------------------------------------------------------------------------------------|
/// | several                | nothing, if each is 0 or a VID of the family: clients write neighbours from memory    |
/// | one, not 0             | nothing, if it is a VID of the family: the object's own write made it                  |
/// | one, 0                 | discard of the object                                                                 |
/// | any, by tgt            | nothing: its table is stale by design                                                  |
/// | any of another family  | refused                                                                               |
///
/// In the header name, tag and size mean something: rename, the tag of the snapshot to come, resize. A write of a whole header
/// renames only if nothing else in it changes, and with a tag its size counts only if it is a larger one.
package enum InodeChange: Hashable, Sendable {
    case nothing
    case discard(index: UInt32)
    case header(name: String?, tag: String?, size: UInt64?)
    case refused(ResultCode)

    /// - Parameters:
    ///   - tag: The tag that was written before, for the snapshot to come.
    ///   - isFamily: Tells whether a VID is one of the volume's snapshots, clones or ancestors.
    package init(
        _ data: ByteBuffer, offset: Int, volume: SheepdogVolume, tag: String?, isTGT: Bool, isFamily: (VID) -> Bool
    ) {
        let end = offset + data.readableBytes
        if data.readableBytes == 0 {
            self = .nothing
        } else if end <= InodeLayout.headerSize {
            self = Self.headerChange(data, offset: offset, volume: volume, tag: tag)
        } else if offset >= InodeLayout.headerSize, end <= InodeLayout.sizeWithoutCounts {
            self = isTGT ? .nothing : Self.slotChange(data, offset: offset, volume: volume, isFamily: isFamily)
        } else {
            self = .refused(.invalidParameters)
        }
    }

    private static func slotChange(
        _ data: ByteBuffer, offset: Int, volume: SheepdogVolume, isFamily: (VID) -> Bool
    ) -> InodeChange {
        let position = offset - InodeLayout.headerSize
        guard position % 4 == 0, data.readableBytes % 4 == 0 else { return .refused(.invalidParameters) }
        let index = UInt32(position / 4)
        if data.readableBytes == 4, data.getInteger(at: data.readerIndex, as: UInt32.self) == 0 {
            let isWithin = UInt64(index) < volume.objectCount
            return volume.isWorking && isWithin ? .discard(index: index) : .nothing
        }
        var known = volume.vid.rawValue
        let isFamilyOnly = data.withUnsafeReadableBytes { raw in
            stride(from: 0, to: raw.count, by: 4).allSatisfy { offset in
                let slot = UInt32(littleEndian: raw.loadUnaligned(fromByteOffset: offset, as: UInt32.self))
                if slot == 0 || slot == known { return true }
                guard isFamily(VID(rawValue: slot)) else { return false }
                known = slot
                return true
            }
        }
        return isFamilyOnly ? .nothing : .refused(.invalidParameters)
    }

    private static func headerChange(_ data: ByteBuffer, offset: Int, volume: SheepdogVolume, tag: String?) -> InodeChange {
        let before = ByteBuffer(bytes: InodeView.header(of: volume, tag: tag, view: .exact))
        var after = before
        after.setBuffer(data, at: offset)
        let field = NamePayload.fieldSize
        guard let name = after.sheepdogText(at: 0, length: field), let newTag = after.sheepdogText(at: field, length: field),
            let size = after.getInteger(at: InodeLayout.volumeSize, endianness: .little, as: UInt64.self)
        else { return .refused(.invalidParameters) }
        // QEMU writes all of a header that it read long ago, to give a tag or a size; the rest of it is no wish.
        let isWhole = offset == 0 && data.readableBytes == InodeLayout.headerSize
        let isStaleSize = isWhole && newTag != volume.tag && size < volume.size
        let change = InodeChange.header(
            name: name == volume.name ? nil : name, tag: newTag == (tag ?? volume.tag) ? nil : newTag,
            size: size == volume.size || isStaleSize ? nil : size)
        if change == .header(name: nil, tag: nil, size: nil) { return .nothing }
        if isWhole, name != volume.name, change != .header(name: name, tag: nil, size: nil) { return .refused(.invalidParameters) }
        return volume.isWorking ? change : .refused(.readOnly)
    }
}
