package import NIOCore
import ObjectModel

/// What a client sees of an inode. Each kind of client gets the slots that keep it from harm, see ``SlotView``.
package enum InodeView {
    /// How the slots look.
    package enum SlotView: Hashable, Sendable {
        /// tgt: every slot within the size is the volume's own, so that it sends plain reads and writes and the server
        /// resolves holes and ancestry. It then neither fills a hole into the wrong place of a buffer nor copies anything.
        case own
        /// QEMU: what is visible is the volume's own, for the same reason; holes stay holes, so that copies stay sparse.
        case visible
        /// `dog`: as it is.
        case exact

        /// - Parameter length: Of the read: QEMU reads the inode without its counts, `dog` with them or in parts.
        package init(isTGT: Bool, length: Int) {
            self = isTGT ? .own : length == InodeLayout.sizeWithoutCounts ? .visible : .exact
        }
    }

    /// The slots that a read needs, limited to those that the volume's size has; empty for a header.
    package static func slots(of volume: SheepdogVolume, offset: Int, length: Int) -> Range<UInt32> {
        let end = min(offset + length, InodeLayout.sizeWithoutCounts)
        let limit = Int(min(volume.objectCount, UInt64(InodeLayout.mostSlots)))
        guard end > InodeLayout.headerSize, length > 0, volume.state != .deleted else { return 0..<0 }
        let first = max(0, offset - InodeLayout.headerSize) / 4
        let last = min(limit, (end - InodeLayout.headerSize + 3) / 4)
        return first < last ? UInt32(first)..<UInt32(last) : 0..<0
    }

    /// Appends `length` bytes of the inode from `offset` on; past its end come zeros.
    ///
    /// - Parameters:
    ///   - runs: Of ``slots(of:offset:length:)``; not asked for the view ``SlotView/own``.
    ///   - tag: What the client wrote as the tag of the snapshot to come.
    package static func append(
        _ volume: SheepdogVolume, view: SlotView, runs: [SlotRun], tag: String?, offset: Int, length: Int,
        to buffer: inout ByteBuffer
    ) {
        let needed = slots(of: volume, offset: offset, length: length)
        buffer.writeWithUnsafeMutableBytes(minimumWritableBytes: length) { space in
            let space = UnsafeMutableRawBufferPointer(rebasing: space[..<length])
            space.initializeMemory(as: UInt8.self, repeating: 0)
            if offset < InodeLayout.headerSize {
                let bytes = header(of: volume, tag: tag, view: view)
                let piece = bytes[offset..<min(bytes.count, offset + length)]
                piece.withUnsafeBytes { space.copyMemory(from: $0) }
            }
            switch view {
            case .own: fill(needed, vid: volume.vid, offset: offset, space)
            case .visible: for run in runs { fill(run.indices.clamped(to: needed), vid: volume.vid, offset: offset, space) }
            case .exact: for run in runs { fill(run.indices.clamped(to: needed), vid: run.vid, offset: offset, space) }
            }
            return length
        }
    }

    private static func fill(_ slots: Range<UInt32>, vid: VID, offset: Int, _ space: UnsafeMutableRawBufferPointer) {
        guard !slots.isEmpty else { return }
        let start = InodeLayout.headerSize + Int(slots.lowerBound) * 4 - offset
        let end = start + slots.count * 4
        if start >= 0, end <= space.count, start % 4 == 0 {
            let target = UnsafeMutableRawBufferPointer(rebasing: space[start..<end])
            for position in stride(from: 0, to: target.count, by: 4) {
                target.storeBytes(of: vid.rawValue.littleEndian, toByteOffset: position, as: UInt32.self)
            }
            return
        }
        // A read that begins or ends within a slot.
        for position in max(0, start)..<min(end, space.count) where position >= 0 {
            space[position] = UInt8(truncatingIfNeeded: vid.rawValue >> UInt32((position - start) % 4 * 8))
        }
    }

    /// 4664 bytes.
    package static func header(of volume: SheepdogVolume, tag: String?, view: SlotView) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: InodeLayout.headerSize)
        func put(_ text: String, at offset: Int) {
            bytes.replaceSubrange(offset..<offset + text.utf8.prefix(255).count, with: text.utf8.prefix(255))
        }
        func put<T: FixedWidthInteger>(_ value: T, at offset: Int) {
            withUnsafeBytes(of: value.littleEndian) { bytes.replaceSubrange(offset..<offset + $0.count, with: $0) }
        }
        put(volume.createdAt == 0 ? 0 : SheepdogTime(nanoseconds: volume.createdAt).rawValue, at: InodeLayout.createdAt)
        put(volume.copies, at: InodeLayout.copies)
        put(volume.objectShift.rawValue, at: InodeLayout.objectShift)
        put(volume.snapshotID, at: InodeLayout.snapshotID)
        put(volume.vid.rawValue, at: InodeLayout.vid)
        put(volume.parent?.rawValue ?? 0, at: InodeLayout.parent)
        var (name, snapshotAt, size) = (volume.name, volume.snapshotAt, volume.size)
        switch volume.state {
        case .working, .snapshot: break
        case .replaced(let successor) where view == .own:
            // tgt takes the name from here, and by the time of a snapshot knows that it must ask for the volume of that name.
            (name, snapshotAt) = (successor, max(1, volume.createdAt))
        case .replaced, .deleted: (name, snapshotAt, size) = ("", 0, 0)
        }
        put(name, at: 0)
        put(tag ?? volume.tag, at: InodeLayout.tag)
        put(snapshotAt == 0 ? 0 : SheepdogTime(nanoseconds: snapshotAt).rawValue, at: InodeLayout.snapshotAt)
        put(size, at: InodeLayout.volumeSize)
        return bytes
    }
}

extension SlotRun {
    var indices: Range<UInt32> { first..<first + count }
}
