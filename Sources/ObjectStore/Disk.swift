/// What a disk answered instead of doing what it was asked.
package enum DiskError: Error, Hashable, Sendable {
    /// No file of that name.
    case missing(String)
    /// A file of that name is there already.
    case exists(String)
    /// The file system is full (ENOSPC, EDQUOT).
    case full
    /// The disk failed (EIO and everything unexpected), with the call and its errno.
    case failed(call: StaticString, errno: Int32)
    /// `tryRead` only: the bytes are not in memory.
    case wouldBlock

    package static func == (a: DiskError, b: DiskError) -> Bool { a.text == b.text }
    package func hash(into hasher: inout Hasher) { hasher.combine(text) }
    package var text: String {
        switch self {
        case .missing(let name): "no file \(name)"
        case .exists(let name): "file \(name) is there already"
        case .full: "no space left on the file system"
        case .failed(let call, let errno): "\(call) failed with errno \(errno)"
        case .wouldBlock: "not in memory"
        }
    }

    /// The medium does not give these bytes back, though the disk may do everything else: EIO, ENODATA, EBADMSG, EILSEQ,
    /// EUCLEAN. Writing the place anew may heal it.
    package var isUnreadable: Bool {
        if case .failed(_, let errno) = self { [5, 61, 74, 84, 117].contains(errno) } else { false }
    }
}

/// The port to one file system. Two doers: ``FileDisk`` on real files, and the simulated disk.
///
/// Names are relative paths ("objects/1f/0000…"). Reads and writes go through the page cache and are seen at once by
/// every later read, also after the process was killed; only `sync` makes them outlive a power cut.
/// All calls come from one thread; completions are called on it.
package protocol Disk: AnyObject {
    /// An open file. Closed by ``close(_:)`` exactly once.
    associatedtype File

    /// Opens for reading and writing; `create`: it must not exist yet.
    func open(_ name: String, create: Bool) throws(DiskError) -> File
    func close(_ file: File)
    func exists(_ name: String) throws(DiskError) -> Bool
    /// Bytes in the file (its size, not its blocks).
    func size(of file: File) throws(DiskError) -> UInt64

    /// Reads exactly the buffer's length; what lies past the end of the file reads as zeros.
    func read(_ file: File, at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws(DiskError)
    /// The same, but throws ``DiskError/wouldBlock`` rather than wait for the device.
    func tryRead(_ file: File, at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws(DiskError)
    /// The same off the calling thread; the buffer stays valid until the completion, which comes on the calling thread. What lies from the
    /// buffer's end to `end` is wanted next: the device may begin with it.
    func readInBackground(
        _ file: File, at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer, aheadTo end: UInt64,
        completion: @escaping (DiskError?) -> Void)

    /// Between the pieces of long work on the calling thread: who waits for the processor goes first.
    func giveWay()

    /// What is in memory of the range and durable leaves it, so that the next read comes from the medium. Only a hint.
    func dropCached(_ file: File, at offset: UInt64, length: UInt64)

    func write(_ file: File, at offset: UInt64, from buffer: UnsafeRawBufferPointer) throws(DiskError)
    func truncate(_ file: File, to size: UInt64) throws(DiskError)
    /// Frees the range's blocks; it reads as zeros; the size stays.
    func punch(_ file: File, at offset: UInt64, length: UInt64) throws(DiskError)
    /// Reserves blocks for the range; the size stays.
    func reserve(_ file: File, at offset: UInt64, length: UInt64) throws(DiskError)
    /// Copies a range, sharing extents where the file system can, keeping holes.
    func copy(from: File, to: File, length: UInt64) throws(DiskError)
    /// The same off the calling thread; both files stay open until the completion.
    func copyInBackground(from: File, to: File, length: UInt64, completion: @escaping (DiskError?) -> Void)
    /// The ranges that hold data, ascending; between them are holes.
    func dataRanges(of file: File, upTo size: UInt64) throws(DiskError) -> [Range<UInt64>]

    func remove(_ name: String) throws(DiskError)
    /// Replaces `new` if it is there.
    func rename(_ old: String, to new: String) throws(DiskError)
    func makeDirectory(_ name: String) throws(DiskError)
    /// Names in a folder, in no order.
    func list(_ directory: String) throws(DiskError) -> [String]

    /// Makes the files' contents and the folders' names durable, then calls back with nil or the failure.
    /// A failed sync is final: the caller must not count on anything written since the last one that succeeded.
    func sync(files: [File], directories: [String], completion: @escaping (DiskError?) -> Void)
    /// Makes everything written so far durable.
    func syncAll(completion: @escaping (DiskError?) -> Void)

    /// Bytes in all, and free, of the file system.
    func space() throws(DiskError) -> (total: UInt64, free: UInt64)
}

extension Disk {
    package func giveWay() {}

    /// Nothing is known to be wanted next.
    func readInBackground(
        _ file: File, at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer, completion: @escaping (DiskError?) -> Void
    ) {
        readInBackground(file, at: offset, into: buffer, aheadTo: offset + UInt64(buffer.count), completion: completion)
    }
}
