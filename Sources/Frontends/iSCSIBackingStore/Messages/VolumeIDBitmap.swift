package import NIOCore
package import ObjectModel

/// 2^24 bits: those of VIDs in use, or of deleted ones.
package struct VolumeIDBitmap {
    package static let size = 1 << 21

    package private(set) var bytes: ByteBuffer

    package init() { bytes = ByteBuffer(repeating: 0, count: Self.size) }

    package mutating func insert(_ vid: VID) {
        let index = Int(vid.rawValue & 0xFF_FFFF) / 8
        let byte: UInt8 = bytes.getInteger(at: index)!
        bytes.setInteger(byte | 1 << UInt8(vid.rawValue % 8), at: index)
    }

    package func contains(_ vid: VID) -> Bool {
        let byte: UInt8 = bytes.getInteger(at: Int(vid.rawValue & 0xFF_FFFF) / 8)!
        return byte & 1 << UInt8(vid.rawValue % 8) != 0
    }

    /// The bitmaps of the VIDs in use and of those that are deleted, or that nobody has but that stand between a name's own
    /// VID and one that it has: clients look for a name's snapshots from the one up to the first VID not in use.
    package static func maps(of volumes: [SheepdogVolume]) -> (inUse: VolumeIDBitmap, deleted: VolumeIDBitmap) {
        var (inUse, deleted) = (VolumeIDBitmap(), VolumeIDBitmap())
        for volume in volumes {
            inUse.insert(volume.vid)
            if volume.name.isEmpty { deleted.insert(volume.vid) }
        }
        let known = inUse
        for volume in volumes where !volume.name.isEmpty {
            var between = VID.preferred(for: volume.name)
            // Probing is linear and rarely takes more than a few steps; a thousand bound what hostile names cost.
            for _ in 0..<1000 where between != volume.vid {
                if !known.contains(between) {
                    inUse.insert(between)
                    deleted.insert(between)
                }
                between = VID(rawValue: between.rawValue == 0xFF_FFFF ? 1 : between.rawValue + 1)
            }
        }
        return (inUse, deleted)
    }
}
