import CNbd
package import FrontendKit
import Glibc
package import ObjectModel

/// A device through libnbd, the reference client.
package final class LibnbdTarget: ConformanceTarget {
    package enum Address {
        case unix(String)
        case tcp(port: Int)
    }

    private let address: Address
    private let export: String
    private let structuredReplies: Bool
    package private(set) var handle: OpaquePointer!

    package init(_ address: Address, export: String, structuredReplies: Bool = true) throws(SheepError) {
        (self.address, self.export, self.structuredReplies) = (address, export, structuredReplies)
        try connect()
    }

    deinit { nbd_close(handle) }

    private func connect() throws(SheepError) {
        handle = nbd_create()
        nbd_set_export_name(handle, export)
        nbd_add_meta_context(handle, "base:allocation")
        nbd_set_request_structured_replies(handle, structuredReplies)
        switch address {
        case .unix(let path): try check(nbd_connect_unix(handle, path))
        case .tcp(let port): try check(nbd_connect_tcp(handle, "127.0.0.1", String(port)))
        }
    }

    private func check(_ result: CInt) throws(SheepError) {
        guard result == -1 else { return }
        let code: SheepError.Code = switch nbd_get_errno() {
        case EPERM: .readOnly
        case EINVAL: .invalidArgument
        case ENOSPC: .noSpace
        case ENOTSUP: .notSupported
        case ESHUTDOWN: .shuttingDown
        default: .inputOutput
        }
        throw SheepError(code, "\(nbd_get_errno()): \(nbd_get_error().map { String(cString: $0) } ?? "")")
    }

    package var size: UInt64 { UInt64(nbd_get_size(handle)) }
    package var maximumRequest: Int {
        Int(nbd_get_block_size(handle, LIBNBD_SIZE_MAXIMUM))
    }

    package func read(at offset: UInt64, length: Int) throws(SheepError) -> [UInt8] {
        var bytes = [UInt8](repeating: 0xEE, count: length)
        try check(nbd_pread(handle, &bytes, length, offset, 0))
        return bytes
    }

    package func write(_ data: [UInt8], at offset: UInt64, durable: Bool) throws(SheepError) {
        try check(nbd_pwrite(handle, data, data.count, offset, durable ? Flag.forceUnitAccess : 0))
    }

    package func flush() throws(SheepError) { try check(nbd_flush(handle, 0)) }

    package func trim(at offset: UInt64, length: UInt64, durable: Bool) throws(SheepError) {
        try check(nbd_trim(handle, length, offset, durable ? Flag.forceUnitAccess : 0))
    }

    package func zero(at offset: UInt64, length: UInt64, mayDeallocate: Bool, onlyIfFast: Bool, durable: Bool) throws(SheepError) {
        let flags =
            (mayDeallocate ? 0 : Flag.noHole) | (onlyIfFast ? Flag.fastZero : 0) | (durable ? Flag.forceUnitAccess : 0)
        try check(nbd_zero(handle, length, offset, flags))
    }

    /// Without structured replies nothing is known of any byte.
    package func status(at offset: UInt64, length: UInt64, onlyOne: Bool) throws(SheepError) -> [BlockExtent] {
        guard structuredReplies else { return [BlockExtent(length: length, isAllocated: true, isZero: false)] }
        final class Extents { var extents: [BlockExtent] = [] }
        let found = Extents()
        let callback = nbd_extent_callback(
            callback: { user, _, _, entries, count, _ in
                let found = Unmanaged<Extents>.fromOpaque(user!).takeUnretainedValue()
                for index in stride(from: 0, to: count, by: 2) {
                    let (length, flags) = (entries![index], entries![index + 1])
                    found.extents.append(
                        BlockExtent(length: UInt64(length), isAllocated: flags & 1 == 0, isZero: flags & 2 != 0))
                }
                return 0
            }, user_data: Unmanaged.passUnretained(found).toOpaque(), free: nil)
        try check(nbd_block_status(handle, length, offset, callback, onlyOne ? Flag.requestOne : 0))
        return found.extents
    }

    package func writeTogether(_ writes: [(offset: UInt64, data: [UInt8])]) throws(SheepError) {
        var buffers: [UnsafeMutableRawBufferPointer] = []
        defer { for buffer in buffers { buffer.deallocate() } }
        var cookies: [Int64] = []
        for write in writes {
            let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: write.data.count, alignment: 1)
            buffer.copyBytes(from: write.data)
            buffers.append(buffer)
            let cookie = nbd_aio_pwrite(
                handle, buffer.baseAddress, buffer.count, write.offset, nbd_completion_callback(), 0)
            try check(cookie < 0 ? -1 : 0)
            cookies.append(cookie)
        }
        for cookie in cookies {
            var result = nbd_aio_command_completed(handle, UInt64(cookie))
            while result == 0 {
                try check(nbd_poll(handle, -1) < 0 ? -1 : 0)
                result = nbd_aio_command_completed(handle, UInt64(cookie))
            }
            try check(result)
        }
    }

    package func reopen() throws(SheepError) {
        try check(nbd_shutdown(handle, 0))
        nbd_close(handle)
        try connect()
    }

    /// `LIBNBD_CMD_FLAG_*`, which are casts and so are not imported.
    enum Flag {
        static let forceUnitAccess: UInt32 = 1
        static let noHole: UInt32 = 2
        static let dontFragment: UInt32 = 4
        static let requestOne: UInt32 = 8
        static let fastZero: UInt32 = 16
    }
}
