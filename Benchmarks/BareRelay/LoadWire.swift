/// What the load generator asks for.
enum LoadOperation {
    case write
    case durableWrite
    case read
}

/// The two protocols of the load generator: how a request looks and how long an answer is.
struct LoadWire {
    enum Language {
        case relay
        case nbd
    }

    let language: Language
    let operation: LoadOperation
    let blockSize: Int

    var requestHeaderSize: Int { language == .relay ? RelayHeader.size : NBDClient.requestSize }
    var requestSize: Int { requestHeaderSize + (operation == .read ? 0 : blockSize) }
    var answerSize: Int {
        switch language {
        case .relay: RelayHeader.size
        case .nbd: NBDClient.replySize + (operation == .read ? blockSize : 0)
        }
    }

    /// With an export name the newstyle handshake of NBD, without one nothing.
    static func negotiate(
        export: String?, operation: LoadOperation, blockSize: Int, on socket: BlockingSocket
    ) throws(RelayError) -> LoadWire {
        if let export { try NBDClient.open(export: export, on: socket) }
        return LoadWire(language: export == nil ? .relay : .nbd, operation: operation, blockSize: blockSize)
    }

    /// Writes the header of a request; the payload behind it stays as it is.
    func writeHeader(id: UInt64, offset: UInt64, to bytes: UnsafeMutableRawBufferPointer) {
        switch language {
        case .relay:
            RelayHeader(id: id, offset: offset, length: UInt32(blockSize)).write(to: bytes)
        case .nbd:
            NBDClient.writeRequest(operation, cookie: id, offset: offset, length: UInt32(blockSize), to: bytes)
        }
    }

    /// The id of a whole answer.
    func answeredID(_ bytes: UnsafeRawBufferPointer) throws(RelayError) -> UInt64 {
        switch language {
        case .relay:
            guard UInt32(littleEndian: bytes.loadUnaligned(as: UInt32.self)) == RelayHeader.magic else { throw .notARelay }
            return UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: RelayHeader.idOffset, as: UInt64.self))
        case .nbd:
            return try NBDClient.answeredCookie(bytes)
        }
    }
}
