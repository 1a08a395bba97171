package import ObjectModel

/// request 16 | proposer 16 | time 8 | state digest 8 | command
extension ControlEntry: WireCodable {
    package init(from reader: inout WireReader) throws(WireError) {
        self.init(
            request: try reader.readValue(), proposer: try reader.readValue(), time: try reader.read(),
            stateDigest: try reader.read(), command: try reader.readValue())
    }

    package func encode(to writer: inout WireWriter) {
        writer.write(request)
        writer.write(proposer)
        writer.write(time)
        writer.write(stateDigest)
        writer.write(command)
    }
}

/// One byte that names the case, then its value.
extension ControlResult: WireCodable {
    package init(from reader: inout WireReader) throws(WireError) {
        switch try reader.read(UInt8.self) {
        case 0: self = .done
        case 1: self = .volume(try reader.readValue())
        case 2: self = .lease(try reader.readValue())
        case 3: self = .refused(try reader.readValue())
        default: throw .invalid("control result")
        }
    }

    package func encode(to writer: inout WireWriter) {
        switch self {
        case .done: writer.write(UInt8(0))
        case .volume(let birth):
            writer.write(UInt8(1))
            writer.write(birth)
        case .lease(let term):
            writer.write(UInt8(2))
            writer.write(term)
        case .refused(let error):
            writer.write(UInt8(3))
            writer.write(error)
        }
    }
}
