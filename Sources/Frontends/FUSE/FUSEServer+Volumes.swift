import FrontendKit
import Glibc
import Logging
import NIOCore
import ObjectModel

/// Files that are volumes.
extension FUSEServer {
    // MARK: Open and close

    func open(_ inode: UInt64, flags: Int32, _ request: FUSERequest) {
        if let node = StaticNode(rawValue: inode) { return openText(node, flags: flags, request) }
        guard let file = files[inode] else { return request.fail(ENOENT) }
        let isWriter = flags & O_ACCMODE != O_RDONLY
        if isWriter, file.isReadOnly { return request.fail(EROFS) }
        withDevice(file) { [self] error in
            if let error { return request.fail(error) }
            let handle = nextHandle()
            // What others wrote while it was closed here must be seen: cached pages are kept only from one user to the next.
            let keepsCache = file.handles > 0
            file.handles += 1
            file.behind.opened(handle)
            if isWriter {
                file.writers += 1
                writers.insert(handle)
            }
            request.opened(handle: handle, isDirect: !usesPageCache, keepsCache: keepsCache)
        }
    }

    private func withDevice(_ file: File, completion: @escaping (SheepError?) -> Void) {
        if file.device != nil { return completion(nil) }
        file.openers.append(completion)
        guard file.openers.count == 1 else { return }
        backend.open(file.name) { result in
            var failure: SheepError?
            switch result {
            case .failure(let error): failure = error
            case .success(let device):
                file.device = device
                file.size = max(file.size, device.information.size)
                file.isReadOnly = device.information.isReadOnly
            }
            let openers = file.openers
            file.openers = []
            for opener in openers { opener(failure) }
        }
    }

    func released(_ file: File, handle: UInt64, isWriter: Bool) {
        file.handles -= 1
        file.behind.closed(handle)
        if isWriter { file.writers -= 1 }
        guard file.handles == 0, let device = file.device else { return }
        file.device = nil
        let close = { [self] in
            device.close()
            files.dropIfUnused(file)
        }
        // Who closes does not ask for durability; but nobody would be left to ask for it on the way out.
        guard file.isUnflushed || !file.behind.isEmpty else { return close() }
        flush(device, of: file, then: close)
    }

    // MARK: Writes that were answered early

    /// Begins what touches the range when no answered write to it is under way.
    func after(_ range: Range<UInt64>, of file: File, _ body: @escaping () -> Void) {
        if file.behind.mayTouch(range, orLater: body) { body() }
    }

    /// Goes on when all that was answered so far has ended.
    func afterAll(of file: File, _ body: @escaping () -> Void) {
        if file.behind.hasDrained(orLater: body) { body() }
    }

    private func ended(_ number: UInt64, of file: File, at offset: UInt64, _ error: SheepError?) {
        if let error { logger.error("volume \(file.name): a write at \(offset) that was answered failed: \(error.message)") }
        file.isUnflushed = true
        file.behind.ended(number, error)
        while let next = file.behind.next() { next() }
    }

    // MARK: Data

    func read(_ file: File, at offset: UInt64, length: Int, _ request: FUSERequest) {
        guard let device = file.device else { return request.fail(EBADF) }
        guard offset < file.size else { return request.bytes(ByteBuffer()) }
        let count = Int(min(UInt64(length), file.size - offset))
        after(offset..<offset + UInt64(count), of: file) { [self] in read(device, at: offset, count: count, request) }
    }

    private func read(_ device: Backend.Device, at offset: UInt64, count: Int, _ request: FUSERequest) {
        scratch.clear()
        if device.readNow(at: offset, length: count, appendingTo: &scratch, whileWaiting: session.isAskedForNothingElse) { return request.bytes(scratch) }
        guard count > Self.pieceSize else {
            return device.read(at: offset, length: count, appendingTo: ByteBuffer()) { result in
                switch result {
                case .failure(let error): request.fail(error)
                case .success(let data): request.bytes(data)
                }
            }
        }
        readPieces(device, at: offset, length: count, request)
    }

    /// What is longer is done in pieces side by side: the device works on one while another travels. 256 KiB.
    private static var pieceSize: Int { 256 << 10 }

    private func readPieces(_ device: Backend.Device, at start: UInt64, length: Int, _ request: FUSERequest) {
        let offsets = Array(stride(from: 0, to: length, by: Self.pieceSize))
        var pieces = [ByteBuffer](repeating: ByteBuffer(), count: offsets.count)
        var remaining = offsets.count
        var failure: SheepError?
        for (place, offset) in offsets.enumerated() {
            let count = min(Self.pieceSize, length - offset)
            device.read(at: start + UInt64(offset), length: count, appendingTo: ByteBuffer()) { result in
                switch result {
                case .failure(let error): failure = failure ?? error
                case .success(let data): pieces[place] = data
                }
                remaining -= 1
                guard remaining == 0 else { return }
                if let failure { request.fail(failure) } else { request.pieces(pieces) }
            }
        }
    }

    /// Like a block device: what lies past the end is not written, and nothing grows by itself.
    func write(_ file: File, _ data: ByteBuffer, at offset: UInt64, answer: FUSEWriteAnswer, _ request: FUSERequest) {
        guard file.device != nil else { return request.fail(EBADF) }
        guard !file.isReadOnly else { return request.fail(EROFS) }
        let length = UInt64(data.readableBytes)
        guard length > 0 else { return request.written(0) }
        if offset < file.size, length <= file.size - offset {
            return writeInside(file, data, at: offset, answer: answer, request)
        }
        refresh(file) { [self] error in
            if let error { return request.fail(error) }
            guard offset < file.size else { return request.fail(ENOSPC) }
            let count = Int(min(length, file.size - offset))
            writeInside(file, data.getSlice(at: data.readerIndex, length: count)!, at: offset, answer: answer, request)
        }
    }

    private func writeInside(_ file: File, _ data: ByteBuffer, at offset: UInt64, answer: FUSEWriteAnswer, _ request: FUSERequest) {
        let range = offset..<offset + UInt64(data.readableBytes)
        guard answer == .early else {
            return after(range, of: file) { [self] in
                write(data, to: file, at: offset, durable: answer == .durable) { error in
                    if let error { request.fail(error) } else { request.written(data.readableBytes) }
                }
            }
        }
        let begin = { [self] in
            let number = file.behind.began(range)
            write(data, to: file, at: offset, durable: false) { [self] in ended(number, of: file, at: offset, $0) }
            request.written(data.readableBytes)
        }
        if file.behind.mayWrite(range, orLater: begin) { begin() }
    }

    private func write(_ data: ByteBuffer, to file: File, at start: UInt64, durable: Bool, completion: @escaping (SheepError?) -> Void) {
        guard let device = file.device else { return completion(SheepError(.inputOutput, "volume \(file.name) was closed")) }
        file.isUnflushed = true
        let pieces = pieces(of: start..<start + UInt64(data.readableBytes))
        var remaining = pieces.count
        var failure: SheepError?
        for piece in pieces {
            let bytes = data.getSlice(at: data.readerIndex + Int(piece.lowerBound - start), length: piece.count)!
            device.write(bytes, at: piece.lowerBound, durable: durable) { error in
                failure = failure ?? error
                remaining -= 1
                guard remaining == 0 else { return }
                // Not covered by a flush that began before this.
                file.isUnflushed = true
                completion(failure)
            }
        }
    }

    /// What is not a whole block at either end goes by itself, for it is completed with what is there: the rest need not be copied for that.
    private func pieces(of range: Range<UInt64>) -> [Range<UInt64>] {
        let block = UInt64(blockSize)
        guard range.count > Self.pieceSize else { return [range] }
        let body = (range.lowerBound + block - 1) / block * block..<range.upperBound / block * block
        var pieces: [Range<UInt64>] = []
        if range.lowerBound < body.lowerBound { pieces.append(range.lowerBound..<body.lowerBound) }
        for start in stride(from: body.lowerBound, to: body.upperBound, by: Self.pieceSize) {
            pieces.append(start..<min(start + UInt64(Self.pieceSize), body.upperBound))
        }
        if body.upperBound < range.upperBound { pieces.append(body.upperBound..<range.upperBound) }
        return pieces
    }

    /// True durability: every member has it on its disk.
    func sync(_ file: File, handle: UInt64, _ request: FUSERequest) {
        guard let device = file.device else { return request.fail(EBADF) }
        afterAll(of: file) {
            if let failure = file.behind.takeFailure(for: handle) { return request.fail(failure) }
            file.isUnflushed = !file.behind.isEmpty
            device.flush { error in
                guard let error else { return request.done() }
                file.isUnflushed = true
                request.fail(error)
            }
        }
    }

    // MARK: Space

    func allocate(_ file: File, mode: Int32, offset: UInt64, length: UInt64, _ request: FUSERequest) {
        guard let device = file.device else { return request.fail(EBADF) }
        guard !file.isReadOnly else { return request.fail(EROFS) }
        let isPunch = mode == SystemCalls.punchHole | SystemCalls.keepSize
        let isZero = mode & ~SystemCalls.keepSize == SystemCalls.zeroRange
        // Reserving space alone cannot be told from writing zeros over what others write at the same time.
        guard isPunch || isZero else { return request.fail(EOPNOTSUPP) }
        let (end, overflow) = offset.addingReportingOverflow(length)
        guard !overflow, length > 0 else { return request.fail(EINVAL) }
        if end > file.size, mode & SystemCalls.keepSize == 0 { return request.fail(ENOSPC) }
        guard offset < file.size else { return request.done() }
        let count = min(length, file.size - offset)
        file.isUnflushed = true
        let completion = { (error: SheepError?) in
            file.isUnflushed = true
            if let error { request.fail(error) } else { request.done() }
        }
        after(offset..<offset + count, of: file) {
            if isPunch { return device.trim(at: offset, length: count, durable: false, completion: completion) }
            device.zero(at: offset, length: count, mayDeallocate: false, durable: false, completion: completion)
        }
    }

    func seek(_ file: File, from offset: UInt64, whence: Int32, _ request: FUSERequest) {
        guard file.device != nil else { return request.fail(EBADF) }
        guard whence == SystemCalls.seekData || whence == SystemCalls.seekHole else { return request.fail(EINVAL) }
        guard offset < file.size else { return request.fail(ENXIO) }
        let wantsHole = whence == SystemCalls.seekHole
        // Written pages that the kernel still keeps are data, and unknown here: then everything is data.
        if configuration.pageCache, file.writers > 0 { return request.offset(wantsHole ? file.size : offset) }
        after(offset..<UInt64.max, of: file) { [self] in search(file, from: offset, wantsHole: wantsHole, request) }
    }

    /// Extents asked for at once.
    private static var extentLimit: Int { 256 }

    private func search(_ file: File, from start: UInt64, wantsHole: Bool, _ request: FUSERequest) {
        guard let device = file.device else { return request.fail(EBADF) }
        guard start < file.size else {
            return wantsHole ? request.offset(file.size) : request.fail(ENXIO)
        }
        device.status(at: start, length: file.size - start, limit: Self.extentLimit) { [self] result in
            switch result {
            case .failure(let error): request.fail(error)
            case .success(let extents):
                var position = start
                for extent in extents {
                    if extent.isZero == wantsHole { return request.offset(position) }
                    position += extent.length
                }
                search(file, from: position, wantsHole: wantsHole, request)
            }
        }
    }
}
