import CLinux
import Glibc
import NIOCore

/// What the kernel asks of the file system. Offsets and lengths are bytes; numbers without a name are inodes.
enum FUSEOperation {
    case lookup(parent: UInt64, name: String)
    case attributes(UInt64)
    case change(UInt64, FUSEChanges)
    case open(UInt64, flags: Int32)
    case read(UInt64, handle: UInt64, offset: UInt64, length: Int)
    case write(UInt64, handle: UInt64, offset: UInt64, data: ByteBuffer, FUSEWriteAnswer)
    case sync(UInt64, handle: UInt64)
    case allocate(UInt64, mode: Int32, offset: UInt64, length: UInt64)
    case seek(UInt64, offset: UInt64, whence: Int32)
    case release(UInt64, handle: UInt64)
    case openDirectory(UInt64)
    case readDirectory(handle: UInt64, offset: UInt64, length: Int)
    case releaseDirectory(handle: UInt64)
    /// Of the file system.
    case space
}

/// When a write is answered.
enum FUSEWriteAnswer {
    /// When it is on its way: what went wrong is told later.
    case early
    /// When all copies have it: who opens with O_DIRECT wants to know.
    case confirmed
    /// When all disks have it: O_SYNC, O_DSYNC.
    case durable

    /// Flags of the open file, as the kernel hands them on with each write.
    init(openFlags flags: Int32) { self = flags & O_DSYNC != 0 ? .durable : flags & clinux_o_direct() != 0 ? .confirmed : .early }
}

/// What setattr wants to be different.
struct FUSEChanges {
    var size: UInt64?
    var permissions: Bool
    /// By an open file (ftruncate), not by a path.
    var isThroughHandle: Bool
}
