import FrontendKit
import Logging
import NIOCore
import ObjectModel

/// Runs the actions of ``TransmissionStateMachine``.
extension NBDConnection {
    /// Payloads that lack so much are worth a system call of their own. Bytes.
    private static var directReceiveThreshold: Int { 32 << 10 }

    func serve(_ received: inout ByteBuffer) -> Progress {
        guard let device, let context, let action = transmission?.next(&received, currentSize: { device.information.size })
        else { return .mustWait }
        switch action {
        case .wait:
            guard transmission!.missingPayload >= Self.directReceiveThreshold else { return .needsBytes }
            receiveDirectly(context)
            return transmission!.missingPayload == 0 ? .goesOn : .needsBytes
        case .atLimit:
            return .mustWait
        case .execute(let request, let command, let payload):
            execute(request, command, payload, on: device)
        case .refuse(let request, let error, let reason):
            server.statistics.requestsRefused += 1
            writeError(error, reason.rawValue, to: request.cookie)
        case .finish:
            finish()
        case .disconnect(let violation):
            server.logger.debug("NBD client broke the protocol", metadata: ["reason": "\(violation)"])
            close(counting: \.protocolErrors)
        }
        return .goesOn
    }

    private func execute(_ request: RequestHeader, _ command: Command, _ payload: ByteBuffer?, on device: Provider.Device) {
        server.statistics.requests &+= 1
        let (offset, length, durable) = (request.offset, UInt64(request.length), request.flags.contains(.forceUnitAccess))
        switch command {
        case .read:
            read(request, from: device)
        case .write:
            guard let payload else { preconditionFailure("a write without payload") }
            server.statistics.bytesWritten &+= length
            device.write(payload, at: offset, durable: durable) { [self] error in completed(request, error) }
        case .flush:
            device.flush { [self] error in completed(request, error) }
        case .trim:
            device.trim(at: offset, length: length, durable: durable) { [self] error in completed(request, error) }
        case .cache:
            device.prefetch(at: offset, length: length) { [self] error in completed(request, error) }
        case .writeZeroes:
            zero(request, on: device, durable: durable)
        case .blockStatus:
            status(request, of: device)
        case .disconnect:
            preconditionFailure("a disconnection is not executed")
        }
    }

    private func read(_ request: RequestHeader, from device: Provider.Device) {
        server.statistics.bytesRead &+= UInt64(request.length)
        guard request.length > 0 else { return completed(request, nil) }
        device.read(at: request.offset, length: Int(request.length), appendingTo: readReplyHeader(request)) {
            [self] result in
            switch result {
            case .success(let reply):
                transmission?.completed(bytes: Int(request.length))
                write(reply)
                repliedLater()
            case .failure(let error):
                completed(request, error)
            }
        }
    }

    /// The header of a successful read's reply, with room for its data.
    private func readReplyHeader(_ request: RequestHeader) -> ByteBuffer {
        let length = Int(request.length)
        guard transmission!.session.structuredReplies else {
            var buffer = ByteBufferAllocator().buffer(capacity: SimpleReply.size + length)
            SimpleReply(cookie: request.cookie).encode(into: &buffer)
            return buffer
        }
        var buffer = ByteBufferAllocator().buffer(capacity: StructuredReplyHeader.sizeWithOffset + length)
        StructuredReplyHeader(kind: .offsetData, cookie: request.cookie, length: 8 + request.length).encode(into: &buffer)
        buffer.writeInteger(request.offset)
        return buffer
    }

    private func zero(_ request: RequestHeader, on device: Provider.Device, durable: Bool) {
        let (offset, length) = (request.offset, UInt64(request.length))
        let mayDeallocate = !request.flags.contains(.noHole)
        if request.flags.contains(.fastZero),
            !device.zeroIsFast(at: offset, length: length, mayDeallocate: mayDeallocate)
        {
            return completed(request, SheepError(.notSupported, "zeroing here is no faster than writing"))
        }
        device.zero(at: offset, length: length, mayDeallocate: mayDeallocate, durable: durable) { [self] error in
            completed(request, error)
        }
    }
}

// MARK: Block status

extension NBDConnection {
    /// The most descriptors of one reply: 32 KiB. The client asks again for the rest.
    private static var mostDescriptors: Int { 4096 }

    private func status(_ request: RequestHeader, of device: Provider.Device) {
        let limit = request.flags.contains(.requestOne) ? 1 : Self.mostDescriptors
        device.status(at: request.offset, length: UInt64(request.length), limit: limit) { [self] result in
            switch result {
            case .success(let extents):
                writeStatus(extents.prefix(limit), of: request)
            case .failure(let error):
                completed(request, error)
            }
        }
    }

    private func writeStatus(_ extents: ArraySlice<BlockExtent>, of request: RequestHeader) {
        var descriptors = ByteBuffer()
        var remaining = UInt64(request.length)
        for extent in extents where remaining > 0 {
            let length = min(extent.length, remaining)
            precondition(length > 0)
            BlockDescriptor(length: UInt32(length), isHole: !extent.isAllocated, isZero: extent.isZero)
                .encode(into: &descriptors)
            remaining -= length
        }
        precondition(descriptors.readableBytes > 0)
        var reply = ByteBuffer()
        StructuredReplyHeader(
            kind: .blockStatus, cookie: request.cookie, length: UInt32(4 + descriptors.readableBytes)
        ).encode(into: &reply)
        reply.writeInteger(MetaContext.allocation.identifier)
        reply.writeBuffer(&descriptors)
        transmission?.completed(bytes: request.payloadUnderWay)
        write(reply)
        repliedLater()
    }
}

// MARK: Replies without data

extension NBDConnection {
    private func completed(_ request: RequestHeader, _ error: SheepError?) {
        transmission?.completed(bytes: request.payloadUnderWay)
        if let error {
            server.statistics.requestsFailed += 1
            let offset = request.command == Command.read.rawValue ? request.offset : nil
            writeError(NBDErrorCode(error.code), error.message, to: request.cookie, offset: offset)
        } else if request.command == Command.read.rawValue, transmission?.session.structuredReplies == true {
            // An empty read: a chunk of data must have data.
            StructuredReplyHeader(kind: .none, cookie: request.cookie, length: 0).encode(into: &smallReplies)
        } else {
            SimpleReply(cookie: request.cookie).encode(into: &smallReplies)
        }
        repliedLater()
    }

    private func writeError(_ error: NBDErrorCode, _ text: String, to cookie: UInt64, offset: UInt64? = nil) {
        guard transmission?.session.structuredReplies == true else {
            return SimpleReply(cookie: cookie, error: error).encode(into: &smallReplies)
        }
        let chunk = ErrorChunk(error: error, text: text, offset: offset)
        StructuredReplyHeader(kind: chunk.kind, cookie: cookie, length: chunk.length).encode(into: &smallReplies)
        chunk.encode(into: &smallReplies)
    }
}
