import CFuse3
import NIOCore
import ObjectModel

/// A request of the kernel that waits for its one answer.
///
/// `@unchecked Sendable`: received and answered on the event loop.
struct FUSERequest: @unchecked Sendable {
    let raw: OpaquePointer
    let session: FUSESession

    /// For how many seconds the kernel may use attributes without asking again.
    private static let attributesValid = 1.0

    private func answer(_ body: (OpaquePointer) -> Void) {
        body(raw)
        session.answered()
    }

    func fail(_ number: Int32) { answer { cfuse_fail($0, number) } }
    func fail(_ error: SheepError) { fail(error.errorNumber) }
    /// 0: success without anything to say.
    func done() { fail(0) }

    /// Names of volumes are asked for each time: they come and go.
    func entry(_ attributes: cfuse_attributes, nameIsFixed: Bool) {
        answer { cfuse_reply_entry($0, attributes, nameIsFixed ? 3600 : 0, Self.attributesValid) }
    }

    func attributes(_ attributes: cfuse_attributes) {
        answer { cfuse_reply_attributes($0, attributes, Self.attributesValid) }
    }

    func opened(handle: UInt64, isDirect: Bool, keepsCache: Bool) {
        answer { cfuse_reply_open($0, handle, isDirect, keepsCache) }
    }

    func openedDirectory(handle: UInt64) { answer { cfuse_reply_directory($0, handle) } }

    func bytes(_ buffer: ByteBuffer) {
        answer { raw in
            buffer.withUnsafeReadableBytes { cfuse_reply_bytes(raw, $0.baseAddress, $0.count) }
        }
    }

    /// The bytes of all, one after the other, without gathering them first.
    func pieces(_ buffers: [ByteBuffer]) {
        answer { raw in
            var pieces: [cfuse_piece] = []
            func add(_ rest: ArraySlice<ByteBuffer>) {
                guard let buffer = rest.first else { return cfuse_reply_pieces(raw, pieces, Int32(pieces.count)) }
                buffer.withUnsafeReadableBytes { bytes in
                    pieces.append(cfuse_piece(bytes: bytes.baseAddress, size: bytes.count))
                    add(rest.dropFirst())
                }
            }
            add(buffers[...])
        }
    }

    func written(_ count: Int) { answer { cfuse_reply_written($0, count) } }
    func space(_ space: FUSESpace) { answer { cfuse_reply_space($0, space.total, space.available) } }
    func offset(_ offset: UInt64) { answer { cfuse_reply_offset($0, offset) } }

    /// As many of the entries as fit into so many bytes, those from `offset` on.
    func entries(_ entries: [DirectoryEntry], from offset: UInt64, length: Int) {
        answer { raw in
            withUnsafeTemporaryAllocation(byteCount: max(1, length), alignment: 8) { space in
                let bytes = space.baseAddress!.assumingMemoryBound(to: CChar.self)
                var used = 0
                for place in Int(clamping: offset)..<max(Int(clamping: offset), entries.count) {
                    let entry = entries[place]
                    let size = cfuse_add_entry(
                        raw, bytes + used, length - used, entry.name, entry.inode, entry.mode, UInt64(place + 1))
                    if size > length - used { break }
                    used += size
                }
                cfuse_reply_bytes(raw, bytes, used)
            }
        }
    }
}

struct DirectoryEntry: Hashable {
    var name: String
    var inode: UInt64
    /// Type and permissions.
    var mode: UInt32
}
