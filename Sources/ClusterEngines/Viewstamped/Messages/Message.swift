package import ObjectModel

/// What the nodes of a log say to each other: one byte that names the case, then its value.
package enum Message: Hashable, WireCodable {
    case promiseRequest(PromiseRequest)
    case promise(Promise)
    case refusal(Refusal)
    case logRequest(LogRequest)
    case logReply(LogReply)
    case append(Append)
    case heartbeat(Heartbeat)
    case status(Status)
    case proposal(Proposal)
    case proposalRefusal(ProposalRefusal)
    case lookRequest(LookRequest)
    case lookReply(LookReply)

    package init(from reader: inout WireReader) throws(WireError) {
        switch try reader.read(UInt8.self) {
        case 0: self = .promiseRequest(try reader.readValue())
        case 1: self = .promise(try reader.readValue())
        case 2: self = .refusal(try reader.readValue())
        case 3: self = .logRequest(try reader.readValue())
        case 4: self = .logReply(try reader.readValue())
        case 5: self = .append(try reader.readValue())
        case 6: self = .heartbeat(try reader.readValue())
        case 7: self = .status(try reader.readValue())
        case 8: self = .proposal(try reader.readValue())
        case 9: self = .proposalRefusal(try reader.readValue())
        case 10: self = .lookRequest(try reader.readValue())
        case 11: self = .lookReply(try reader.readValue())
        default: throw .invalid("control log message")
        }
    }

    package func encode(to writer: inout WireWriter) {
        switch self {
        case .promiseRequest(let value): encode(0, value, to: &writer)
        case .promise(let value): encode(1, value, to: &writer)
        case .refusal(let value): encode(2, value, to: &writer)
        case .logRequest(let value): encode(3, value, to: &writer)
        case .logReply(let value): encode(4, value, to: &writer)
        case .append(let value): encode(5, value, to: &writer)
        case .heartbeat(let value): encode(6, value, to: &writer)
        case .status(let value): encode(7, value, to: &writer)
        case .proposal(let value): encode(8, value, to: &writer)
        case .proposalRefusal(let value): encode(9, value, to: &writer)
        case .lookRequest(let value): encode(10, value, to: &writer)
        case .lookReply(let value): encode(11, value, to: &writer)
        }
    }

    private func encode(_ tag: UInt8, _ value: some WireCodable, to writer: inout WireWriter) {
        writer.write(tag)
        writer.write(value)
    }
}
