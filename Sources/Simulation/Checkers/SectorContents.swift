import NIOCore

/// The unit that is checked: protocols may write half a block.
let sectorSize = 512

/// A sector's bytes are its stamp and its own number, over and over, so that torn and misplaced data show.
enum SectorContents {
    static func bytes(_ stamp: Stamp, sector: UInt64) -> [UInt8] {
        if stamp == 0 { return [UInt8](repeating: 0, count: sectorSize) }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(sectorSize)
        for _ in 0..<sectorSize / 16 {
            withUnsafeBytes(of: stamp.littleEndian) { bytes.append(contentsOf: $0) }
            withUnsafeBytes(of: sector.littleEndian) { bytes.append(contentsOf: $0) }
        }
        return bytes
    }

    /// Nil: torn, misplaced or garbage.
    static func stamp(of bytes: ArraySlice<UInt8>, sector: UInt64) -> Stamp? {
        let (stamp, number) = bytes.withUnsafeBytes {
            (
                UInt64(littleEndian: $0.loadUnaligned(fromByteOffset: 0, as: UInt64.self)),
                UInt64(littleEndian: $0.loadUnaligned(fromByteOffset: 8, as: UInt64.self))
            )
        }
        guard stamp == 0 || number == sector else { return nil }
        return bytes.elementsEqual(Self.bytes(stamp, sector: sector)) ? stamp : nil
    }
}
