import NBDFrontend
import NIOCore
import ObjectModel
import Testing

@Suite("NBD messages")
struct MessageTests {
    /// Encodes and decodes, whole and cut off everywhere. A message whose last text goes on to the end has no truncation
    /// after `fixedPart`.
    private func check<Message: Equatable>(
        _ message: Message, fixedPart: Int? = nil, encode: (Message, inout ByteBuffer) -> Void,
        decode: (inout ByteBuffer) throws -> Message?, sourceLocation: SourceLocation = #_sourceLocation
    ) throws {
        var bytes = ByteBuffer()
        encode(message, &bytes)
        var copy = bytes
        #expect(try decode(&copy) == message, sourceLocation: sourceLocation)
        #expect(copy.readableBytes == 0, sourceLocation: sourceLocation)
        for length in 0..<(fixedPart ?? bytes.readableBytes) {
            var part = bytes.getSlice(at: 0, length: length)!
            #expect(throws: NBDMessageError.self, "\(length) bytes", sourceLocation: sourceLocation) {
                _ = try decode(&part)
            }
        }
    }

    @Test("handshake messages survive the round trip, truncated ones are refused")
    func handshake() throws {
        try check(
            Greeting(flags: [.fixedNewstyle, .noZeroes]), encode: { $0.encode(into: &$1) },
            decode: { try Greeting(from: &$0) })
        try check(OptionHeader(option: 7, length: 300), encode: { $0.encode(into: &$1) }, decode: { try OptionHeader(from: &$0) })
        try check(
            OptionReply(option: 3, error: .policy, "no"), encode: { $0.encode(into: &$1) },
            decode: { try OptionReply(from: &$0) })
        try check(
            InformationRequest(exportName: "größe", wanted: [.name, .blockSize]), encode: { $0.encode(into: &$1) },
            decode: { try InformationRequest(from: &$0) })
        try check(
            MetaContextRequest(exportName: "v", queries: ["base:", "base:allocation", ""]),
            encode: { $0.encode(into: &$1) }, decode: { try MetaContextRequest(from: &$0) })
        try check(
            MetaContext.allocation, fixedPart: 4, encode: { $0.encode(into: &$1) }, decode: { try MetaContext(from: &$0) })
        try check(
            ExportListing(name: "v@tag", description: "about"), fixedPart: 9, encode: { $0.encode(into: &$1) },
            decode: { try ExportListing(from: &$0) })
    }

    @Test(
        "facts about an export",
        arguments: [
            (ExportInformation.export(size: 1 << 40, flags: [.hasFlags, .readOnly]), nil),
            (.blockSize(minimum: 1, preferred: 4096, maximum: 1 << 25), nil),
            (.name("v"), 2), (.description("what it is"), 2),
        ] as [(ExportInformation, Int?)])
    func facts(_ fact: ExportInformation, fixedPart: Int?) throws {
        try check(fact, fixedPart: fixedPart, encode: { $0.encode(into: &$1) }, decode: { try ExportInformation(from: &$0) })
    }

    @Test("transmission messages")
    func transmission() throws {
        try check(
            RequestHeader(flags: [.forceUnitAccess], command: .write, cookie: .max, offset: 1 << 50, length: 4096),
            encode: { $0.encode(into: &$1) }, decode: { try RequestHeader(from: &$0) })
        try check(SimpleReply(cookie: 7), encode: { $0.encode(into: &$1) }, decode: { try SimpleReply(from: &$0) })
        try check(
            SimpleReply(cookie: 7, error: .noSpace), encode: { $0.encode(into: &$1) }, decode: { try SimpleReply(from: &$0) })
        for kind in StructuredReplyHeader.Kind.allCases {
            try check(
                StructuredReplyHeader(kind: kind, cookie: 9, length: 12, isDone: kind == .none),
                encode: { $0.encode(into: &$1) }, decode: { try StructuredReplyHeader(from: &$0) })
        }
        try check(
            ErrorChunk(error: .invalid, text: "why"), encode: { $0.encode(into: &$1) }, decode: { try ErrorChunk(from: &$0) })
        try check(
            BlockDescriptor(length: 5, isHole: true, isZero: false), encode: { $0.encode(into: &$1) },
            decode: { try BlockDescriptor(from: &$0) })
    }

    @Test("an error with an offset")
    func errorOffset() throws {
        let chunk = ErrorChunk(error: .inputOutput, text: "disk", offset: 4096)
        var bytes = ByteBuffer()
        chunk.encode(into: &bytes)
        #expect(bytes.readableBytes == Int(chunk.length))
        #expect(chunk.kind == .errorOffset)
        #expect(try ErrorChunk(from: &bytes) == chunk)
    }

    @Test("wrong magic numbers are refused")
    func magic() {
        var zeros = ByteBuffer(repeating: 0, count: 64)
        #expect(throws: NBDMessageError.wrongMagic) { try Greeting(from: &zeros) }
        #expect(throws: NBDMessageError.wrongMagic) { try OptionHeader(from: &zeros) }
        #expect(throws: NBDMessageError.wrongMagic) { try OptionReply(from: &zeros) }
        #expect(throws: NBDMessageError.wrongMagic) { try RequestHeader(from: &zeros) }
        #expect(throws: NBDMessageError.wrongMagic) { try SimpleReply(from: &zeros) }
        #expect(throws: NBDMessageError.wrongMagic) { try StructuredReplyHeader(from: &zeros) }
    }

    @Test("names that are too long, not UTF-8 or contain NUL, and lying counts, are refused")
    func badNames() {
        func request(_ name: [UInt8], length: UInt32? = nil) -> ByteBuffer {
            var bytes = ByteBuffer(integer: length ?? UInt32(name.count))
            bytes.writeBytes(name)
            bytes.writeInteger(UInt16(0))
            return bytes
        }
        var (tooLong, notText, nul) = (request(Array(repeating: 65, count: 4097)), request([0xFF]), request([65, 0]))
        var lie = request([65], length: .max)
        #expect(throws: NBDMessageError.tooLong) { try InformationRequest(from: &tooLong) }
        #expect(throws: NBDMessageError.invalidText) { try InformationRequest(from: &notText) }
        #expect(throws: NBDMessageError.invalidText) { try InformationRequest(from: &nul) }
        #expect(throws: NBDMessageError.tooLong) { try InformationRequest(from: &lie) }
        var count = ByteBuffer(integer: UInt32(0))
        count.writeInteger(UInt32.max)
        #expect(throws: NBDMessageError.truncated) { try MetaContextRequest(from: &count) }
    }

    @Test("every error of ours has a number of the protocol", arguments: SheepError.Code.allCases)
    func errors(_ code: SheepError.Code) {
        let expected: NBDErrorCode = switch code {
        case .readOnly, .volumeLocked, .accessDenied: .notPermitted
        case .noSpace: .noSpace
        case .invalidArgument: .invalid
        case .notSupported: .notSupported
        case .shuttingDown: .shuttingDown
        default: .inputOutput
        }
        #expect(NBDErrorCode(code) == expected)
        #expect(OptionReplyKind(code).isError)
    }
}
