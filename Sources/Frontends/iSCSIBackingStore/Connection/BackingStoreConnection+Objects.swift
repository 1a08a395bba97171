import FrontendKit
import NIOCore
import ObjectModel

/// Requests on objects: data here, inodes in the neighbouring file.
extension BackingStoreConnection {
    typealias Volume = OpenVolume<Backend.Device>

    /// Finds the volume of the request's object, after a look at the control log when it, or the object, is not known here:
    /// another sheep may have made it just now.
    private func withVolume(of request: RequestHeader, _ body: @escaping (Volume, SheepdogVolume) -> Void) {
        if let open = volume(request.object.vid), let volume = open.volume, UInt64(request.object.index) < volume.objectCount {
            return body(open, volume)
        }
        withCurrentVolume(of: request, body)
    }

    private func withCurrentVolume(of request: RequestHeader, _ body: @escaping (Volume, SheepdogVolume) -> Void) {
        backend.whenCurrent { [self] in
            guard let open = volume(request.object.vid), let volume = open.volume else {
                return completed(request, unknownVolume(request))
            }
            body(open, volume)
        }
    }

    /// Without the inode tgt asks again at once and for ever; this result ends it.
    private func unknownVolume(_ request: RequestHeader) -> ResultCode {
        request.flags.contains(.tgt) && request.object.kind == .inode ? .noVolume : .noObject
    }

    private func device(_ open: Volume, _ request: RequestHeader) -> Backend.Device? {
        if request.flags.contains(.tgt) { attach(open) }
        do throws(SheepError) { return device(of: try open.open(in: backend)) } catch {
            completed(request, ofObject(error))
            return nil
        }
    }

    /// What an error of a volume means for one of its objects.
    private func ofObject(_ error: SheepError) -> ResultCode {
        error.code == .noSuchVolume ? .noObject : ResultCode(error.code)
    }

    // MARK: Reading

    func readObject(_ request: RequestHeader) {
        switch request.object.kind {
        case .data: withVolume(of: request) { [self] open, volume in readData(request, open, volume) }
        case .inode: withCurrentVolume(of: request) { [self] _, volume in readInode(request, volume) }
        // Nobody can have made one.
        case .vmstate, .attribute, .btree, .ledger, nil: completed(request, .noObject)
        }
    }

    private func readData(_ request: RequestHeader, _ open: Volume, _ volume: SheepdogVolume) {
        if request.flags.contains(.tgt), let refusal = staleness(of: volume) { return completed(request, refusal) }
        if let (open, heir) = heir(of: volume, for: request) { return readData(request, open, heir) }
        guard UInt64(request.object.index) < volume.objectCount else { return completed(request, .noObject) }
        guard request.offset <= UInt64(UInt32.max) else { return completed(request, .invalidParameters) }
        guard let device = device(open, request) else { return }
        if isShown(to: request) { return readData(request, volume, from: device) }
        whenThere(request, volume) { [self] in readData(request, volume, from: device) }
    }

    /// QEMU goes on reading what its guest did not write since under the VID that the volume had before a snapshot, also when that is
    /// deleted. Who read the snapshot for its own sake must not get something else, nor
    /// `dog`, which reads slot by slot what an inode named, of a clone too.
    private func heir(of volume: SheepdogVolume, for request: RequestHeader) -> (Volume, SheepdogVolume)? {
        guard let vid = volume.heir, isShown(to: request), !readsSnapshot(volume), let open = self.volume(vid), let heir = open.volume else { return nil }
        return (open, heir)
    }

    /// The volume went on under another VID: tgt loads the inode, sees a snapshot, and asks for the working volume by name.
    private func staleness(of volume: SheepdogVolume) -> ResultCode? {
        switch volume.state {
        case .working: nil
        case .snapshot, .replaced: .inodeInvalidated
        case .deleted: .noObject
        }
    }

    /// What lies past the object's end, or the volume's, reads as zeros.
    private func readData(_ request: RequestHeader, _ volume: SheepdogVolume, from device: Backend.Device) {
        let length = Int(request.dataLength)
        let stored = min(UInt64(length), room(in: volume, at: request))
        server.statistics.bytesRead &+= UInt64(length)
        var reply = readReplyHeader(request)
        guard stored > 0 else {
            reply.writeRepeatingByte(0, count: length)
            return completed(request, whole: reply)
        }
        device.read(at: position(of: request, in: volume), length: Int(stored), appendingTo: reply) { [self] result in
            switch result {
            case .success(var reply):
                if Int(stored) < length { reply.writeRepeatingByte(0, count: length - Int(stored)) }
                completed(request, whole: reply)
            case .failure(let error): readAgain(request, after: error)
            }
        }
    }

    /// It may have been a snapshot that was deleted meanwhile.
    private func readAgain(_ request: RequestHeader, after error: SheepError) {
        guard error.code == .noSuchSnapshot, let open = volume(request.object.vid), let volume = open.volume, heir(of: volume, for: request) != nil else {
            return completed(request, ofObject(error))
        }
        readData(request, open, volume)
    }

    /// Bytes of the volume before the request's.
    @inline(__always)
    private func position(of request: RequestHeader, in volume: SheepdogVolume) -> UInt64 {
        UInt64(request.object.index) << UInt64(volume.objectShift.rawValue) + request.offset
    }

    /// Bytes from the request's first to the end of its object or of the volume.
    @inline(__always)
    private func room(in volume: SheepdogVolume, at request: RequestHeader) -> UInt64 {
        let start = UInt64(request.object.index) << UInt64(volume.objectShift.rawValue)
        let end = min(UInt64(volume.objectShift.objectSize), volume.size - start)
        return end > request.offset ? end - request.offset : 0
    }

    /// tgt and QEMU ask only for what the inode showed them: what another door gave back since reads as zeros, and is made.
    private func isShown(to request: RequestHeader) -> Bool {
        request.flags.contains(.tgt) || request.version < ProtocolVersion.highestPublic
    }

    /// Goes on if the volume shows an object there, its own or an ancestor's; else there is none to read or to write into.
    private func whenThere(_ request: RequestHeader, _ volume: SheepdogVolume, _ body: @escaping () -> Void) {
        let index = request.object.index
        backend.objects(of: volume, indices: index..<index + 1) { [self] result in
            switch result {
            case .failure(let error): completed(request, ofObject(error))
            case .success(let runs): if runs.isEmpty { completed(request, .noObject) } else { body() }
            }
        }
    }

    func objectExists(_ request: RequestHeader) {
        guard request.object.kind == .data || request.object.kind == .inode else { return completed(request, .noObject) }
        withVolume(of: request) { [self] _, volume in
            if request.object.kind == .inode { return completed(request, .success) }
            guard UInt64(request.object.index) < volume.objectCount else { return completed(request, .noObject) }
            whenThere(request, volume) { [self] in completed(request, .success) }
        }
    }

    // MARK: Writing

    func writeObject(_ request: RequestHeader, _ payload: ByteBuffer, mayCreate: Bool) {
        switch request.object.kind {
        case .data:
            withVolume(of: request) { [self] open, volume in writeData(request, payload, open, volume, mayCreate: mayCreate) }
        case .inode where !mayCreate:
            withCurrentVolume(of: request) { [self] open, volume in writeInode(request, payload, open, volume) }
        // Inodes are made with their volumes; the state of a machine, attributes and the rest have no place here.
        case .inode, .vmstate, .attribute, .btree, .ledger, nil: completed(request, .invalidParameters)
        }
    }

    /// An object that is there is never replaced, and one that is not is made, whatever the client believes. So only what is
    /// written changes, and a request that is sent again changes nothing.
    private func writeData(
        _ request: RequestHeader, _ payload: ByteBuffer, _ open: Volume, _ volume: SheepdogVolume, mayCreate: Bool
    ) {
        if let refusal = refusal(ofWrite: request, payload, volume) { return completed(request, refusal) }
        guard payload.readableBytes > 0 else { return completed(request, .success) }
        guard let device = device(open, request) else { return }
        if mayCreate || isShown(to: request) { return writeData(request, payload, volume, to: device) }
        whenThere(request, volume) { [self] in writeData(request, payload, volume, to: device) }
    }

    private func refusal(ofWrite request: RequestHeader, _ payload: ByteBuffer, _ volume: SheepdogVolume) -> ResultCode? {
        guard volume.isWorking else { return .readOnly }
        let end = request.offset.addingReportingOverflow(UInt64(payload.readableBytes))
        guard !end.overflow, end.partialValue <= UInt64(volume.objectShift.objectSize),
            UInt64(request.object.index) < volume.objectCount
        else { return .invalidParameters }
        if request.flags.contains(.copyOnWrite), let refusal = refusal(ofSource: request, volume) { return refusal }
        // The last object may reach past the volume's end; nothing is kept there.
        let room = room(in: volume, at: request)
        if UInt64(payload.readableBytes) > room, !payload.readableBytesView.dropFirst(Int(room)).allSatisfy({ $0 == 0 }) {
            return .invalidParameters
        }
        return nil
    }

    /// What to copy from is known here; the client must only be right about the family. tgt may name what is long gone.
    private func refusal(ofSource request: RequestHeader, _ volume: SheepdogVolume) -> ResultCode? {
        let source = request.copyOnWriteObject
        guard source.kind == .data else { return .invalidParameters }
        if source.vid == volume.vid { return nil }
        guard let other = backend.volume(source.vid) else { return request.flags.contains(.tgt) ? nil : .noObject }
        return other.family == volume.family ? nil : .invalidParameters
    }

    private func writeData(
        _ request: RequestHeader, _ payload: ByteBuffer, _ volume: SheepdogVolume, to device: Backend.Device
    ) {
        let room = room(in: volume, at: request)
        guard room > 0 else { return completed(request, .success) }
        let data = payload.getSlice(at: payload.readerIndex, length: Int(min(UInt64(payload.readableBytes), room)))!
        server.statistics.bytesWritten &+= UInt64(data.readableBytes)
        // tgt asks for write-back always and drops its initiators' wishes, so it gets what any initiator may rely on.
        let durable = request.flags.contains(.tgt) || !request.flags.contains(.cache)
        device.write(data, at: position(of: request, in: volume), durable: durable) { [self] error in
            completed(request, error.map(ofObject) ?? .success)
        }
    }

    // MARK: Discarding and flushing

    func discardObject(_ request: RequestHeader) {
        guard request.object.kind == .data else { return completed(request, .invalidParameters) }
        withVolume(of: request) { [self] open, volume in
            guard volume.isWorking else { return completed(request, .readOnly) }
            guard UInt64(request.object.index) < volume.objectCount else { return completed(request, .noObject) }
            guard let device = device(open, request) else { return }
            let start = UInt64(request.object.index) << UInt64(volume.objectShift.rawValue)
            let length = min(UInt64(volume.objectShift.objectSize), volume.size - start)
            device.trim(at: start, length: length, durable: true) { [self] error in
                completed(request, error.map(ofObject) ?? .success)
            }
        }
    }

    /// A snapshot has nothing to flush: all was made durable when it was taken.
    func flushVolume(_ request: RequestHeader) {
        withVolume(of: request) { [self] open, volume in
            guard volume.isWorking else { return completed(request, .success) }
            guard let device = device(open, request) else { return }
            device.flush { [self] error in completed(request, error.map(ofObject) ?? .success) }
        }
    }
}
