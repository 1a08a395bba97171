import CNbd
import NIOCore

/// One command in libnbd's hands, with the memory that it reads or fills; lives on the connection's thread.
final class NbdCommandUnderWay {
    private let command: NbdConnection.Command
    private let completion: NbdConnection.Completion
    private let memory: UnsafeMutableRawBufferPointer
    private var extents: [ImageExtent] = []

    init(_ command: NbdConnection.Command, _ completion: @escaping NbdConnection.Completion) {
        (self.command, self.completion) = (command, completion)
        switch command {
        case .read(_, let length): memory = .allocate(byteCount: length, alignment: 4096)
        case .write(_, let data):
            memory = .allocate(byteCount: data.readableBytes, alignment: 4096)
            data.withUnsafeReadableBytes { memory.copyMemory(from: $0) }
        case .zero, .extents, .flush: memory = .init(start: nil, count: 0)
        }
    }

    deinit { memory.deallocate() }

    /// The command's cookie, or -1. The object must live until the command is finished.
    func start(on handle: OpaquePointer) -> Int64 {
        let none = nbd_completion_callback(callback: nil, user_data: nil, free: nil)
        switch command {
        case .read(let offset, _):
            return nbd_aio_pread(handle, memory.baseAddress, memory.count, offset, none, 0)
        case .write(let offset, _):
            return nbd_aio_pwrite(handle, memory.baseAddress, memory.count, offset, none, 0)
        case .zero(let offset, let length):
            return nbd_aio_zero(handle, length, offset, none, 0)
        case .extents(let offset, let length):
            return nbd_aio_block_status(handle, length, offset, extentCallback(), none, 0)
        case .flush:
            return nbd_aio_flush(handle, none, 0)
        }
    }

    /// Entries are pairs of length and flags; bit 1 of base:allocation's flags says "reads as zeros" (NBD protocol,
    /// "Metadata querying").
    private func extentCallback() -> nbd_extent_callback {
        nbd_extent_callback(
            callback: { user, _, _, entries, count, _ in
                let owner = Unmanaged<NbdCommandUnderWay>.fromOpaque(user!).takeUnretainedValue()
                for index in stride(from: 0, to: count - count % 2, by: 2) where entries![index] > 0 {
                    owner.extents.append(
                        ImageExtent(length: UInt64(entries![index]), isZero: entries![index + 1] & 2 != 0))
                }
                return 0
            }, user_data: Unmanaged.passUnretained(self).toOpaque(), free: nil)
    }

    func finish(_ result: Result<Void, NbdError>) {
        completion(result.map {
            var answer = NbdConnection.Answer(extents: extents)
            if case .read = command { answer.data = ByteBuffer(bytes: memory) }
            return answer
        })
    }
}
