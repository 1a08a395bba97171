package import NIOCore

/// Decides one connection: cuts the received stream into requests, checks their headers, and bounds how many are under way.
///
/// Invariants:
/// - A write is handed out only with its whole payload; a client that leaves before causes nothing.
/// - Memory for a payload is taken only after its length was found good.
/// - At most `limits.requests` requests are under way, and at most `limits.bytes` and one request more of their data, reads
///   and writes together; then ``next(_:verdict:)`` says ``Action/atLimit`` until ``completed(bytes:)``.
/// - After ``Action/disconnect(_:)`` or ``stop()`` no request is handed out.
package struct RequestStateMachine: Sendable {
    package struct Limits: Hashable, Sendable {
        package var requests: Int
        /// Bytes of data under way.
        package var bytes: Int

        package init(requests: Int, bytes: Int) { (self.requests, self.bytes) = (requests, bytes) }
    }

    package enum Action: Hashable, Sendable {
        /// More bytes are needed.
        case wait
        /// So much is under way that the client has to wait.
        case atLimit
        /// The next request cannot be judged now: ask again soon.
        case notYet
        /// Do it, then call ``completed(bytes:)`` with ``RequestHeader/dataUnderWay``. Without payload the buffer is empty.
        case execute(RequestHeader, Opcode, payload: ByteBuffer)
        case refuse(RequestHeader, ResultCode)
        case disconnect(Violation)
    }

    /// What a client does that leaves no way to go on.
    package enum Violation: Hashable, Sendable {
        /// A refused payload of more than ``longestSkip``.
        case payloadTooLong
    }

    /// The payload of a refused request is skipped up to here; beyond it the client lies. Twice the longest object. Bytes.
    package static let longestSkip = 256 << 20

    private enum Intake: Sendable {
        case header
        case unjudged(RequestHeader)
        case payload(RequestHeader, Opcode)
        case skipping(RequestHeader, ResultCode, bytes: Int)
        case finished
    }

    private let limits: Limits
    private var intake = Intake.header
    /// The beginning of a header that came in pieces; less than 48 bytes.
    private var partialHeader = ByteBuffer()
    /// The payload of the request in ``Intake/payload(_:_:)``, as far as it came, in a buffer of its size.
    private var partialPayload = ByteBuffer()
    package private(set) var requestsUnderWay = 0
    package private(set) var bytesUnderWay = 0
    /// Counts requests begun, so that an observer can tell whether there was progress.
    package private(set) var requestsBegun: UInt64 = 0

    package init(limits: Limits) { self.limits = limits }

    /// A request has begun and is not whole yet.
    package var isInsideRequest: Bool {
        switch intake {
        case .header: partialHeader.readableBytes > 0
        case .unjudged: false
        case .payload: true
        case .skipping: true
        case .finished: false
        }
    }

    /// Bytes that the request being received still lacks, as far as they are known.
    package var missingBytes: Int {
        switch intake {
        case .header: RequestHeader.size - partialHeader.readableBytes
        case .payload: missingPayload
        case .skipping(_, _, let bytes): bytes
        case .unjudged, .finished: 0
        }
    }

    package var isFinished: Bool { if case .finished = intake { true } else { false } }

    /// Takes the next request from the received bytes; to be called again until it says ``Action/wait`` or ``Action/atLimit``.
    package mutating func next(
        _ input: inout ByteBuffer, verdict: (RequestHeader) -> RequestValidator.Verdict
    ) -> Action {
        switch intake {
        case .header: nextRequest(&input, verdict)
        case .unjudged(let request): judge(request, &input, verdict)
        case .payload(let request, let opcode): takePayload(request, opcode, &input)
        case .skipping(let request, let result, let bytes): skip(bytes, request, result, &input)
        case .finished: .wait
        }
    }

    private mutating func nextRequest(_ input: inout ByteBuffer, _ verdict: (RequestHeader) -> RequestValidator.Verdict) -> Action {
        guard requestsUnderWay < limits.requests, bytesUnderWay < limits.bytes else { return .atLimit }
        let request: RequestHeader
        if partialHeader.readableBytes == 0, input.readableBytes >= RequestHeader.size {
            request = input.withUnsafeReadableBytes { RequestHeader(from: $0) }
            input.moveReaderIndex(forwardBy: RequestHeader.size)
        } else {
            guard gatherHeader(&input) else { return .wait }
            request = partialHeader.withUnsafeReadableBytes { RequestHeader(from: $0) }
            partialHeader.clear()
        }
        requestsBegun += 1
        return judge(request, &input, verdict)
    }

    private mutating func judge(
        _ request: RequestHeader, _ input: inout ByteBuffer, _ verdict: (RequestHeader) -> RequestValidator.Verdict
    ) -> Action {
        intake = .header
        switch verdict(request) {
        case .accepted(let opcode): return accept(request, opcode, &input)
        case .refused(let result): return refuse(request, result, &input)
        case .notYet:
            intake = .unjudged(request)
            return .notYet
        }
    }

    private mutating func gatherHeader(_ input: inout ByteBuffer) -> Bool {
        let missing = RequestHeader.size - partialHeader.readableBytes
        if let piece = input.readSlice(length: min(missing, input.readableBytes)) {
            partialHeader.writeImmutableBuffer(piece)
        }
        return partialHeader.readableBytes == RequestHeader.size
    }

    private mutating func accept(_ request: RequestHeader, _ opcode: Opcode, _ input: inout ByteBuffer) -> Action {
        requestsUnderWay += 1
        bytesUnderWay += request.dataUnderWay
        guard request.flags.contains(.write) else { return .execute(request, opcode, payload: ByteBuffer()) }
        if let payload = input.readSlice(length: Int(request.dataLength)) {
            return .execute(request, opcode, payload: payload)
        }
        intake = .payload(request, opcode)
        partialPayload = ByteBufferAllocator().buffer(capacity: Int(request.dataLength))
        return takePayload(request, opcode, &input)
    }

    private mutating func takePayload(_ request: RequestHeader, _ opcode: Opcode, _ input: inout ByteBuffer) -> Action {
        let missing = Int(request.dataLength) - partialPayload.readableBytes
        if let piece = input.readSlice(length: min(missing, input.readableBytes)) {
            partialPayload.writeImmutableBuffer(piece)
        }
        guard partialPayload.readableBytes == Int(request.dataLength) else { return .wait }
        intake = .header
        let payload = partialPayload
        partialPayload = ByteBuffer()
        return .execute(request, opcode, payload: payload)
    }

    private mutating func refuse(_ request: RequestHeader, _ result: ResultCode, _ input: inout ByteBuffer) -> Action {
        guard request.flags.contains(.write) else { return .refuse(request, result) }
        guard request.dataLength <= Self.longestSkip else {
            stop()
            return .disconnect(.payloadTooLong)
        }
        return skip(Int(request.dataLength), request, result, &input)
    }

    private mutating func skip(
        _ bytes: Int, _ request: RequestHeader, _ result: ResultCode, _ input: inout ByteBuffer
    ) -> Action {
        let skipped = min(bytes, input.readableBytes)
        input.moveReaderIndex(forwardBy: skipped)
        guard skipped == bytes else {
            intake = .skipping(request, result, bytes: bytes - skipped)
            return .wait
        }
        intake = .header
        return .refuse(request, result)
    }

    /// A request handed out by ``Action/execute(_:_:payload:)`` is answered.
    package mutating func completed(bytes: Int) {
        precondition(requestsUnderWay > 0 && bytesUnderWay >= bytes)
        requestsUnderWay -= 1
        bytesUnderWay -= bytes
    }

    /// No further request is taken; one that is not whole is forgotten.
    package mutating func stop() {
        if case .payload(let request, _) = intake {
            completed(bytes: request.dataUnderWay)
            partialPayload = ByteBuffer()
        }
        intake = .finished
    }
}

extension RequestHeader {
    /// The bytes that the request keeps in memory while it is under way: its payload, or what is read for it.
    @inline(__always)
    package var dataUnderWay: Int {
        if flags.contains(.write) { return Int(dataLength) }
        return switch Opcode(rawValue: opcode) {
        case .readObject, .readVolumeIDs, .readDeletedVolumeIDs: Int(dataLength)
        default: 0
        }
    }
}

// MARK: Large payloads

extension RequestStateMachine {
    /// The bytes that the payload being received still lacks.
    package var missingPayload: Int {
        guard case .payload(let request, _) = intake else { return 0 }
        return Int(request.dataLength) - partialPayload.readableBytes
    }

    /// Lets the caller receive straight into the payload's own buffer, without a copy in between; `receive` gets the space
    /// that is missing and says how many bytes it filled.
    package mutating func receivePayload(_ receive: (UnsafeMutableRawBufferPointer) -> Int) -> Int {
        let missing = missingPayload
        precondition(missing > 0)
        return partialPayload.writeWithUnsafeMutableBytes(minimumWritableBytes: missing) { space in
            receive(UnsafeMutableRawBufferPointer(rebasing: space[..<missing]))
        }
    }
}
