import FrontendKit
import NIOCore
import ObjectModel

/// Requests on inodes, which exist in the eyes of clients only.
extension BackingStoreConnection {
    // MARK: Reading

    func readInode(_ request: RequestHeader, _ volume: SheepdogVolume) {
        let (isTGT, length) = (request.flags.contains(.tgt), Int(request.dataLength))
        guard request.offset <= UInt64(InodeLayout.size) else { return completed(request, .invalidParameters) }
        let offset = Int(request.offset)
        let isFull = offset == 0 && length >= InodeLayout.sizeWithoutCounts
        // Its table has no room for all of the objects; the client would take what is missing for holes.
        if isFull, volume.objectCount > UInt64(InodeLayout.mostSlots) { return completed(request, .invalidParameters) }
        // tgt asks by a byte whether its copy is still good, and gets a new one by name; the whole of an old one it must get,
        // for that tells it that the volume went on.
        if isTGT, length < InodeLayout.headerSize, !volume.isWorking { return completed(request, .inodeInvalidated) }
        let view = InodeView.SlotView(isTGT: isTGT, length: length)
        let slots = InodeView.slots(of: volume, offset: offset, length: length)
        guard view != .own, !slots.isEmpty, !volume.isDeleted else { return replyInode(request, volume, view, [], offset: offset) }
        backend.objects(of: volume, indices: slots) { [self] result in
            switch result {
            case .failure(let error): completed(request, error)
            case .success(let runs): replyInode(request, volume, view, runs, offset: offset)
            }
        }
    }

    private func replyInode(
        _ request: RequestHeader, _ volume: SheepdogVolume, _ view: InodeView.SlotView, _ runs: [SlotRun], offset: Int
    ) {
        var reply = readReplyHeader(request)
        InodeView.append(
            volume, view: view, runs: runs, tag: server.volumes.tag(of: volume), offset: offset,
            length: Int(request.dataLength), to: &reply)
        completed(request, whole: reply)
    }

    // MARK: Writing

    func writeInode(_ request: RequestHeader, _ payload: ByteBuffer, _ open: Volume, _ volume: SheepdogVolume) {
        guard request.offset <= UInt64(InodeLayout.size) else { return completed(request, .invalidParameters) }
        let change = InodeChange(
            payload, offset: Int(request.offset), volume: volume, tag: server.volumes.tag(of: volume),
            isTGT: request.flags.contains(.tgt)
        ) { [backend] vid in backend.volume(vid)?.family == volume.family }
        switch change {
        case .nothing: completed(request, .success)
        case .refused(let result): completed(request, result)
        case .discard(let index): discardLater(index, open, volume, request)
        case .header(let name, let tag, let size): changeHeader(volume, name: name, tag: tag, size: size, request)
        }
    }

    private func discardLater(_ index: UInt32, _ open: Volume, _ volume: SheepdogVolume, _ request: RequestHeader) {
        do throws(SheepError) {
            let start = UInt64(index) << UInt64(volume.objectShift.rawValue)
            device(of: try open.open(in: backend)).trimUnlessChanged(
                at: start, length: min(UInt64(volume.objectShift.objectSize), volume.size - start),
                afterNanoseconds: UInt64(bounds.discardSeconds * 1e9)
            ) { [self] in completed(request, .success) }
        } catch {
            completed(request, error)
        }
    }

    /// The tag waits for the snapshot that the client takes next.
    private func changeHeader(_ volume: SheepdogVolume, name: String?, tag: String?, size: UInt64?, _ request: RequestHeader) {
        if let size {
            guard size > volume.size else { return completed(request, .invalidParameters) }
            return backend.resize(volume, to: size) { [self] error in
                if let error { return completed(request, error) }
                changeHeader(volume, name: name, tag: tag, size: nil, request)
            }
        }
        if let name {
            return backend.rename(volume, to: name) { [self] error in
                if let error { return completed(request, error) }
                changeHeader(volume, name: nil, tag: tag, size: nil, request)
            }
        }
        if let tag { server.volumes.setTag(tag, of: volume) }
        completed(request, .success)
    }
}
