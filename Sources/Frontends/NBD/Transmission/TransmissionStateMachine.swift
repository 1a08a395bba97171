package import NIOCore

/// Decides the transmission phase of one connection: cuts the received stream into requests, checks them, and bounds how
/// many are under way.
///
/// Invariants:
/// - A write is handed out only with its whole payload; a client that leaves before causes nothing.
/// - At most `limits.requests` requests are under way, and at most `limits.bytes` + `maximumRequest` bytes of their payload,
///   reads and writes together; then ``next(_:currentSize:)`` says ``Action/atLimit`` until ``completed(bytes:)``.
/// - After ``Action/disconnect(_:)``, ``Action/finish`` or ``stop()`` no request is handed out.
package struct TransmissionStateMachine: Sendable {
    package struct Limits: Hashable, Sendable {
        package var requests: Int
        /// Bytes of payload under way.
        package var bytes: Int

        package init(requests: Int, bytes: Int) { (self.requests, self.bytes) = (requests, bytes) }
    }

    package enum Action: Hashable, Sendable {
        /// More bytes are needed.
        case wait
        /// So much is under way that the client has to wait.
        case atLimit
        /// Do it, then call ``completed(bytes:)`` with ``RequestHeader/payloadUnderWay``. The payload is that of a write.
        case execute(RequestHeader, Command, payload: ByteBuffer?)
        case refuse(RequestHeader, NBDErrorCode, RequestValidator.Reason)
        /// The client asked to part: finish what is under way, then close.
        case finish
        case disconnect(Violation)
    }

    /// What a client does that leaves no way to go on: the next request cannot be found in the stream.
    package enum Violation: Hashable, Sendable {
        case wrongMagic
        case writeTooLong
    }

    /// Payload of a refused write is skipped up to here; beyond it the client lies. Twice the longest request. Bytes.
    package static let longestSkip = 64 << 20

    private enum Intake: Sendable {
        case header
        case payload(RequestHeader)
        case skipping(RequestHeader, NBDErrorCode, RequestValidator.Reason, bytes: Int)
        case finished
    }

    package private(set) var export: ExportLimits
    package let session: NegotiatedSession
    private let limits: Limits
    private var intake = Intake.header
    /// The beginning of a header that came in pieces; less than 28 bytes.
    private var partialHeader = ByteBuffer()
    /// The payload of the write in ``Intake/payload(_:)``, as far as it came, in a buffer of its size.
    private var partialPayload = ByteBuffer()
    package private(set) var requestsUnderWay = 0
    package private(set) var bytesUnderWay = 0
    /// Counts requests begun, so that an observer can tell whether there was progress.
    package private(set) var requestsBegun: UInt64 = 0

    package init(export: ExportLimits, session: NegotiatedSession, limits: Limits) {
        (self.export, self.session, self.limits) = (export, session, limits)
    }

    /// A request has begun and is not whole yet.
    package var isInsideRequest: Bool {
        switch intake {
        case .header: partialHeader.readableBytes > 0
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
        case .skipping(_, _, _, let bytes): bytes
        case .finished: 0
        }
    }

    package var isFinished: Bool { if case .finished = intake { true } else { false } }

    /// Takes the next request from the received bytes; to be called again until it says ``Action/wait`` or ``Action/atLimit``.
    package mutating func next(_ input: inout ByteBuffer, currentSize: () -> UInt64) -> Action {
        switch intake {
        case .header: nextRequest(&input, currentSize)
        case .payload(let request): takePayload(request, &input)
        case .skipping(let request, let error, let reason, let bytes): skip(bytes, request, error, reason, &input)
        case .finished: .wait
        }
    }

    private mutating func nextRequest(_ input: inout ByteBuffer, _ currentSize: () -> UInt64) -> Action {
        guard requestsUnderWay < limits.requests, bytesUnderWay < limits.bytes else { return .atLimit }
        let header: RequestHeader?
        if partialHeader.readableBytes == 0, input.readableBytes >= RequestHeader.size {
            header = input.withUnsafeReadableBytes { RequestHeader(from: $0) }
            input.moveReaderIndex(forwardBy: RequestHeader.size)
        } else {
            guard gatherHeader(&input) else { return .wait }
            header = partialHeader.withUnsafeReadableBytes { RequestHeader(from: $0) }
            partialHeader.clear()
        }
        guard let header else { return violated(.wrongMagic) }
        requestsBegun += 1
        let verdict = RequestValidator.verdict(on: header, export: &export, session: session, currentSize: currentSize)
        switch verdict {
        case .accepted(let command): return accept(header, command, &input)
        case .refused(let error, let reason): return refuse(header, error, reason, &input)
        }
    }

    private mutating func gatherHeader(_ input: inout ByteBuffer) -> Bool {
        let missing = RequestHeader.size - partialHeader.readableBytes
        if let piece = input.readSlice(length: min(missing, input.readableBytes)) {
            partialHeader.writeImmutableBuffer(piece)
        }
        return partialHeader.readableBytes == RequestHeader.size
    }

    private mutating func accept(_ request: RequestHeader, _ command: Command, _ input: inout ByteBuffer) -> Action {
        guard command != .disconnect else {
            intake = .finished
            return .finish
        }
        requestsUnderWay += 1
        bytesUnderWay += request.payloadUnderWay
        guard command == .write else { return .execute(request, command, payload: nil) }
        if let payload = input.readSlice(length: Int(request.length)) {
            return .execute(request, command, payload: payload)
        }
        intake = .payload(request)
        partialPayload = ByteBufferAllocator().buffer(capacity: Int(request.length))
        return takePayload(request, &input)
    }

    private mutating func takePayload(_ request: RequestHeader, _ input: inout ByteBuffer) -> Action {
        let missing = Int(request.length) - partialPayload.readableBytes
        if let piece = input.readSlice(length: min(missing, input.readableBytes)) {
            partialPayload.writeImmutableBuffer(piece)
        }
        guard partialPayload.readableBytes == Int(request.length) else { return .wait }
        intake = .header
        let payload = partialPayload
        partialPayload = ByteBuffer()
        return .execute(request, .write, payload: payload)
    }

    private mutating func refuse(
        _ request: RequestHeader, _ error: NBDErrorCode, _ reason: RequestValidator.Reason, _ input: inout ByteBuffer
    ) -> Action {
        guard request.command == Command.write.rawValue else { return .refuse(request, error, reason) }
        guard request.length <= Self.longestSkip else { return violated(.writeTooLong) }
        return skip(Int(request.length), request, error, reason, &input)
    }

    private mutating func skip(
        _ bytes: Int, _ request: RequestHeader, _ error: NBDErrorCode, _ reason: RequestValidator.Reason,
        _ input: inout ByteBuffer
    ) -> Action {
        let skipped = min(bytes, input.readableBytes)
        input.moveReaderIndex(forwardBy: skipped)
        guard skipped == bytes else {
            intake = .skipping(request, error, reason, bytes: bytes - skipped)
            return .wait
        }
        intake = .header
        return .refuse(request, error, reason)
    }

    private mutating func violated(_ violation: Violation) -> Action {
        stop()
        return .disconnect(violation)
    }

    /// A request handed out by ``Action/execute(_:_:payload:)`` is answered.
    package mutating func completed(bytes: Int) {
        precondition(requestsUnderWay > 0 && bytesUnderWay >= bytes)
        requestsUnderWay -= 1
        bytesUnderWay -= bytes
    }

    /// No further request is taken; one that is not whole is forgotten.
    package mutating func stop() {
        if case .payload(let request) = intake {
            completed(bytes: request.payloadUnderWay)
            partialPayload = ByteBuffer()
        }
        intake = .finished
    }
}

extension RequestHeader {
    /// The bytes that the request keeps in memory while it is under way.
    @inline(__always)
    package var payloadUnderWay: Int {
        command == Command.read.rawValue || command == Command.write.rawValue ? Int(length) : 0
    }
}

// MARK: Large payloads

extension TransmissionStateMachine {
    /// The bytes that the write being received still lacks.
    package var missingPayload: Int {
        guard case .payload(let request) = intake else { return 0 }
        return Int(request.length) - partialPayload.readableBytes
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
