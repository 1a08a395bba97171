package import FrontendKit
import NIOCore
package import ObjectModel

// MARK: Answers of the provider

extension HandshakeStateMachine {
    /// The provider answered ``Action/list``.
    package mutating func listed(_ result: Result<[BlockDeviceInformation], SheepError>) -> Action {
        guard case .resolving(.list) = state else { preconditionFailure("nobody asked for a list") }
        state = .awaitingOption
        let option = OptionCode.list.rawValue
        switch result {
        case .failure(let error):
            return refuse(option, OptionReplyKind(error.code), error.message)
        case .success(let exports):
            let listings = exports.map { export in
                OptionReply(
                    option: option, kind: .server,
                    data: data { ExportListing(name: export.name, description: export.description).encode(into: &$0) })
            }
            return .send(encoded(listings + [OptionReply(option: option, kind: .acknowledged)]))
        }
    }

    /// The provider answered ``Action/open(_:)``. The export stays open only if ``Action/beginTransmission(_:_:)`` follows.
    package mutating func opened(_ result: Result<BlockDeviceInformation, SheepError>) -> Action {
        guard case .resolving(let question) = state else { preconditionFailure("nobody asked to open") }
        state = .awaitingOption
        switch (question, result) {
        case (.list, _):
            preconditionFailure("a list was asked for")
        case (.exportName, .failure):
            return fail(.noSuchExport)
        case (.exportName, .success(let export)):
            return begin(nameReply(export), allocationContext: allocationExport != nil)
        case (.information(_, let option), .failure(let error)):
            return refuse(option.rawValue, OptionReplyKind(error.code), error.message)
        case (.metaContext(_, let option), .failure(let error)):
            return refuse(option.rawValue, OptionReplyKind(error.code), error.message)
        case (.information(let request, let option), .success(let export)):
            let reply = informationReplies(request, option, export)
            guard option == .go else { return .send(reply) }
            return begin(reply, allocationContext: allocationExport == request.exportName)
        case (.metaContext(let request, let option), .success):
            return select(request, option)
        }
    }

    private mutating func begin(_ reply: ByteBuffer, allocationContext: Bool) -> Action {
        state = .finished
        return .beginTransmission(
            reply, NegotiatedSession(structuredReplies: structuredReplies, allocationContext: allocationContext))
    }

    private func flags(_ export: BlockDeviceInformation) -> TransmissionFlags {
        TransmissionFlags(isReadOnly: export.isReadOnly, structuredReplies: structuredReplies)
    }

    /// ```
    /// off size
    ///   0    8 size
    ///   8    2 transmission flags
    ///  10  124 zeros, unless the client set `NBD_FLAG_C_NO_ZEROES`
    /// ```
    private func nameReply(_ export: BlockDeviceInformation) -> ByteBuffer {
        data {
            $0.writeInteger(export.size)
            $0.writeInteger(flags(export).rawValue)
            if !clientFlags.contains(.noZeroes) { $0.writeRepeatingByte(0, count: 124) }
        }
    }

    private func informationReplies(
        _ request: InformationRequest, _ option: OptionCode, _ export: BlockDeviceInformation
    ) -> ByteBuffer {
        var facts = [ExportInformation.export(size: export.size, flags: flags(export))]
        let limits = ExportLimits(export, serverMaximum: maximumRequest)
        if request.wanted.contains(.name) { facts.append(.name(export.name)) }
        if request.wanted.contains(.description) { facts.append(.description(export.description)) }
        if request.wanted.contains(.blockSize) {
            facts.append(.blockSize(minimum: 1, preferred: export.preferredBlockSize, maximum: limits.maximumRequest))
        }
        let replies = facts.map { fact in
            OptionReply(option: option.rawValue, kind: .info, data: data { fact.encode(into: &$0) })
        }
        return encoded(replies + [OptionReply(option: option.rawValue, kind: .acknowledged)])
    }

    /// Listing takes no queries (all contexts) or a namespace `base:` as well; selecting takes whole names only.
    private mutating func select(_ request: MetaContextRequest, _ option: OptionCode) -> Action {
        let name = MetaContext.allocation.name
        let isSelected: Bool
        if option == .setMetaContext {
            isSelected = request.queries.contains(name)
            allocationExport = isSelected ? request.exportName : nil
        } else {
            isSelected = request.queries.isEmpty || request.queries.contains { $0 == name || $0 == "base:" }
        }
        var replies: [OptionReply] = []
        if isSelected {
            let context = data { MetaContext.allocation.encode(into: &$0) }
            replies.append(OptionReply(option: option.rawValue, kind: .metaContext, data: context))
        }
        return .send(encoded(replies + [OptionReply(option: option.rawValue, kind: .acknowledged)]))
    }
}
