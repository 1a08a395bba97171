package import NIOCore

/// Decides the fixed newstyle negotiation of one connection (`doc/proto.md`, "Fixed newstyle negotiation").
///
/// Feed received bytes to ``next(_:)`` until it asks for more; an action that asks the provider is followed by
/// ``listed(_:)`` or ``opened(_:)``, and no bytes are taken before. Whatever the client sends, the machine keeps at most
/// one option of ``longestOption`` bytes waiting, answers at most ``mostOptions`` and needs no memory of its own.
package struct HandshakeStateMachine: Sendable {
    /// The data of an option that are worth reading: two strings of 4096 bytes and many queries. Bytes.
    package static let longestOption = 64 << 10
    /// Data of too long an option are skipped up to here, so that the client can read the refusal; beyond it, a liar. Bytes.
    package static let longestSkip = 1 << 20
    /// More options than any client sends: `nbdinfo --list` sends one for each of its exports.
    package static let mostOptions = 65_536

    package enum Action: Hashable, Sendable {
        /// More bytes are needed, or an answer of the provider.
        case wait
        case send(ByteBuffer)
        case list
        case open(String)
        /// Send the last of the negotiation; requests follow.
        case beginTransmission(ByteBuffer, NegotiatedSession)
        /// Send, then close in peace.
        case finish(ByteBuffer)
        case close(HandshakeFailure)
    }

    enum State: Hashable, Sendable {
        case awaitingFlags
        case awaitingOption
        case skipping(bytes: Int)
        case resolving(Question)
        case finished
    }

    /// What the provider's answer is for.
    enum Question: Hashable, Sendable {
        case list
        case exportName
        case information(InformationRequest, option: OptionCode)
        case metaContext(MetaContextRequest, option: OptionCode)
    }

    let defaultExport: String?
    let maximumRequest: UInt32
    var state = State.awaitingFlags
    var clientFlags: HandshakeFlags = []
    var optionsTaken = 0
    var structuredReplies = false
    /// The name for which the last `NBD_OPT_SET_META_CONTEXT` selected `base:allocation`.
    var allocationExport: String?

    /// - Parameters:
    ///   - defaultExport: What the empty name means; nil: nothing.
    ///   - maximumRequest: The most bytes of a read or write, told as the maximum payload.
    package init(defaultExport: String?, maximumRequest: UInt32) {
        (self.defaultExport, self.maximumRequest) = (defaultExport, maximumRequest)
    }

    /// What the server says first.
    package static var greeting: ByteBuffer {
        var buffer = ByteBuffer()
        Greeting(flags: [.fixedNewstyle, .noZeroes]).encode(into: &buffer)
        return buffer
    }

    package var isResolving: Bool { if case .resolving = state { true } else { false } }
    package var isFinished: Bool { state == .finished }

    /// Takes what it can from the received bytes and says what to do; to be called again until it says ``Action/wait``.
    package mutating func next(_ input: inout ByteBuffer) -> Action {
        switch state {
        case .awaitingFlags: takeFlags(&input)
        case .awaitingOption: takeOption(&input)
        case .skipping(let bytes): skip(bytes, &input)
        case .resolving: .wait
        case .finished: .wait
        }
    }

    private mutating func takeFlags(_ input: inout ByteBuffer) -> Action {
        guard let flags = input.readInteger(as: UInt32.self) else { return .wait }
        let known: HandshakeFlags = [.fixedNewstyle, .noZeroes]
        guard let low = UInt16(exactly: flags), known.contains(HandshakeFlags(rawValue: low)) else {
            return fail(.unknownClientFlags)
        }
        clientFlags = HandshakeFlags(rawValue: low)
        state = .awaitingOption
        return next(&input)
    }

    private mutating func takeOption(_ input: inout ByteBuffer) -> Action {
        var lookahead = input
        guard lookahead.readableBytes >= OptionHeader.size else { return .wait }
        guard let header = try? OptionHeader(from: &lookahead) else { return fail(.wrongMagic) }
        guard optionsTaken < Self.mostOptions else { return fail(.tooManyOptions) }
        guard header.length <= Self.longestOption else { return refuseLong(header, &input) }
        guard let data = lookahead.readSlice(length: Int(header.length)) else { return .wait }
        input.moveReaderIndex(to: lookahead.readerIndex)
        optionsTaken += 1
        return answer(header.option, data)
    }

    private mutating func refuseLong(_ header: OptionHeader, _ input: inout ByteBuffer) -> Action {
        guard header.option != OptionCode.exportName.rawValue, header.length <= Self.longestSkip else {
            return fail(.optionTooLong)
        }
        input.moveReaderIndex(forwardBy: OptionHeader.size)
        optionsTaken += 1
        state = .skipping(bytes: Int(header.length))
        return refuse(header.option, .tooBig, "an option has \(Self.longestOption) bytes of data at most")
    }

    private mutating func skip(_ bytes: Int, _ input: inout ByteBuffer) -> Action {
        let skipped = min(bytes, input.readableBytes)
        input.moveReaderIndex(forwardBy: skipped)
        guard skipped == bytes else {
            state = .skipping(bytes: bytes - skipped)
            return .wait
        }
        state = .awaitingOption
        return next(&input)
    }

    private mutating func answer(_ option: UInt32, _ data: ByteBuffer) -> Action {
        let code = OptionCode(rawValue: option)
        guard clientFlags.contains(.fixedNewstyle) || code == .exportName else { return fail(.notFixedNewstyle) }
        return switch code {
        case .exportName: exportName(data)
        case .abort: abort()
        case .list: list(data)
        case .info: information(.info, data)
        case .go: information(.go, data)
        case .structuredReply: negotiateStructuredReplies(data)
        case .listMetaContext: metaContext(.listMetaContext, data)
        case .setMetaContext: metaContext(.setMetaContext, data)
        case .startTLS: refuse(option, .unsupported, "this server has no TLS")
        case .extendedHeaders: refuse(option, .unsupported, "this server has no extended headers")
        case nil: refuse(option, .unsupported, "option \(option) is unknown")
        }
    }
}

// MARK: Options

extension HandshakeStateMachine {
    private mutating func exportName(_ data: ByteBuffer) -> Action {
        var data = data
        guard let name = try? data.takeString(length: UInt32(data.readableBytes)), let target = resolved(name) else {
            return fail(.noSuchExport)
        }
        // Without a name of its own in the reply, the context negotiated for this name stays valid.
        if allocationExport != name { allocationExport = nil }
        state = .resolving(.exportName)
        return .open(target)
    }

    private mutating func abort() -> Action {
        state = .finished
        return .finish(encoded([OptionReply(option: OptionCode.abort.rawValue, kind: .acknowledged)]))
    }

    private mutating func list(_ data: ByteBuffer) -> Action {
        guard data.readableBytes == 0 else {
            return refuse(OptionCode.list.rawValue, .invalid, "NBD_OPT_LIST has no data")
        }
        state = .resolving(.list)
        return .list
    }

    private mutating func negotiateStructuredReplies(_ data: ByteBuffer) -> Action {
        let option = OptionCode.structuredReply.rawValue
        guard data.readableBytes == 0 else {
            return refuse(option, .invalid, "NBD_OPT_STRUCTURED_REPLY has no data")
        }
        structuredReplies = true
        return .send(encoded([OptionReply(option: option, kind: .acknowledged)]))
    }

    private mutating func information(_ option: OptionCode, _ data: ByteBuffer) -> Action {
        var data = data
        let request: InformationRequest
        do { request = try InformationRequest(from: &data) } catch { return refuse(option, error) }
        guard let name = resolved(request.exportName) else { return refuseNoDefault(option.rawValue) }
        state = .resolving(.information(request, option: option))
        return .open(name)
    }

    private mutating func metaContext(_ option: OptionCode, _ data: ByteBuffer) -> Action {
        // A failed attempt deselects what an earlier one selected.
        if option == .setMetaContext { allocationExport = nil }
        var data = data
        let request: MetaContextRequest
        do { request = try MetaContextRequest(from: &data) } catch { return refuse(option, error) }
        guard option == .listMetaContext || structuredReplies else {
            return refuse(option.rawValue, .invalid, "NBD_OPT_STRUCTURED_REPLY must come first")
        }
        guard let name = resolved(request.exportName) else { return refuseNoDefault(option.rawValue) }
        state = .resolving(.metaContext(request, option: option))
        return .open(name)
    }

    private func resolved(_ name: String) -> String? { name.isEmpty ? defaultExport : name }
}

// MARK: Refusals

extension HandshakeStateMachine {
    mutating func fail(_ failure: HandshakeFailure) -> Action {
        state = .finished
        return .close(failure)
    }

    func refuse(_ option: UInt32, _ kind: OptionReplyKind, _ text: String) -> Action {
        .send(encoded([OptionReply(option: option, error: kind, text)]))
    }

    func refuse(_ option: OptionCode, _ error: NBDMessageError) -> Action {
        refuse(option.rawValue, .invalid, "the data of the option are malformed: \(error)")
    }

    func refuseNoDefault(_ option: UInt32) -> Action {
        refuse(option, .unknownExport, "there is no default export, give the name of a volume")
    }

    func data(_ fill: (inout ByteBuffer) -> Void) -> ByteBuffer {
        var buffer = ByteBuffer()
        fill(&buffer)
        return buffer
    }

    func encoded(_ replies: [OptionReply]) -> ByteBuffer {
        data { for reply in replies { reply.encode(into: &$0) } }
    }
}
