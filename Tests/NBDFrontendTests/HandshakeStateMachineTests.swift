import FrontendKit
import NBDFrontend
import NIOCore
import ObjectModel
import Testing

@Suite("NBD handshake")
struct HandshakeStateMachineTests {
    private let export = BlockDeviceInformation(name: "vol", description: "a volume", size: 1 << 30, isReadOnly: false)

    private func machine(defaultExport: String? = nil, flags: UInt32? = 3) -> HandshakeStateMachine {
        var machine = HandshakeStateMachine(defaultExport: defaultExport, maximumRequest: 32 << 20)
        if let flags {
            var bytes = ByteBuffer(integer: flags)
            #expect(machine.next(&bytes) == .wait)
        }
        return machine
    }

    private func option(_ code: UInt32, _ encode: (inout ByteBuffer) -> Void = { _ in }) -> ByteBuffer {
        var data = ByteBuffer()
        encode(&data)
        var bytes = ByteBuffer()
        OptionHeader(option: code, length: UInt32(data.readableBytes)).encode(into: &bytes)
        bytes.writeBuffer(&data)
        return bytes
    }

    private func option(_ code: OptionCode, _ encode: (inout ByteBuffer) -> Void = { _ in }) -> ByteBuffer {
        option(code.rawValue, encode)
    }

    private func step(_ machine: inout HandshakeStateMachine, _ bytes: ByteBuffer) -> HandshakeStateMachine.Action {
        var bytes = bytes
        return machine.next(&bytes)
    }

    private func replies(_ action: HandshakeStateMachine.Action) throws -> [OptionReply] {
        guard case .send(var bytes) = action else {
            Issue.record("\(action) sends nothing")
            return []
        }
        var replies: [OptionReply] = []
        while bytes.readableBytes > 0 { replies.append(try OptionReply(from: &bytes)) }
        return replies
    }

    @Test("go: name, description and block sizes are told, then transmission begins")
    func go() throws {
        var machine = machine()
        let request = InformationRequest(exportName: "vol", wanted: [.name, .description, .blockSize, .init(rawValue: 99)])
        #expect(step(&machine, option(.go) { request.encode(into: &$0) }) == .open("vol"))
        guard case .beginTransmission(var bytes, let session) = machine.opened(.success(export)) else {
            Issue.record("no transmission")
            return
        }
        #expect(session == NegotiatedSession())
        var facts: [ExportInformation] = []
        while bytes.readableBytes > 0 {
            var reply = try OptionReply(from: &bytes)
            if reply.kind == .info { facts.append(try #require(try ExportInformation(from: &reply.data))) }
            else { #expect(reply.kind == .acknowledged) }
        }
        #expect(
            facts == [
                .export(
                    size: 1 << 30,
                    flags: [
                        .hasFlags, .sendFlush, .sendFUA, .sendTrim, .sendWriteZeroes, .canMultiConn, .sendCache, .sendFastZero,
                    ]),
                .name("vol"), .description("a volume"), .blockSize(minimum: 1, preferred: 4096, maximum: 32 << 20),
            ])
        #expect(machine.isFinished)
    }

    @Test("info leaves the negotiation open; a read-only export says so")
    func info() throws {
        var machine = machine()
        let request = InformationRequest(exportName: "vol@tag", wanted: [])
        #expect(step(&machine, option(.info) { request.encode(into: &$0) }) == .open("vol@tag"))
        var snapshot = export
        snapshot.isReadOnly = true
        let all = try replies(machine.opened(.success(snapshot)))
        var data = all[0].data
        #expect(
            try ExportInformation(from: &data)
                == .export(size: 1 << 30, flags: [.hasFlags, .readOnly, .sendFlush, .canMultiConn, .sendCache]))
        #expect(all.map(\.kind) == [.info, .acknowledged])
        #expect(step(&machine, option(.list)) == .list)
    }

    @Test("structured replies and base:allocation hold for the export they were asked for", arguments: ["vol", "other"])
    func metaContext(_ goTo: String) throws {
        var machine = machine()
        #expect(try replies(step(&machine, option(.structuredReply))).map(\.kind) == [.acknowledged])
        let context = MetaContextRequest(exportName: "vol", queries: ["base:allocation", "qemu:dirty-bitmap:x"])
        #expect(step(&machine, option(.setMetaContext) { context.encode(into: &$0) }) == .open("vol"))
        var selected = try replies(machine.opened(.success(export)))
        #expect(selected.map(\.kind) == [.metaContext, .acknowledged])
        #expect(try MetaContext(from: &selected[0].data) == .allocation)
        let request = InformationRequest(exportName: goTo, wanted: [])
        #expect(step(&machine, option(.go) { request.encode(into: &$0) }) == .open(goTo))
        guard case .beginTransmission(_, let session) = machine.opened(.success(export)) else {
            Issue.record("no transmission")
            return
        }
        #expect(session == NegotiatedSession(structuredReplies: true, allocationContext: goTo == "vol"))
    }

    @Test(
        "queries for metadata contexts",
        arguments: [
            (OptionCode.listMetaContext, [], true), (.listMetaContext, ["base:"], true),
            (.listMetaContext, ["qemu:"], false), (.setMetaContext, [], false), (.setMetaContext, ["base:"], false),
            (.setMetaContext, ["x", "base:allocation"], true),
        ] as [(OptionCode, [String], Bool)])
    func queries(_ code: OptionCode, _ queries: [String], _ isFound: Bool) throws {
        var machine = machine()
        _ = step(&machine, option(.structuredReply))
        let request = MetaContextRequest(exportName: "vol", queries: queries)
        _ = step(&machine, option(code) { request.encode(into: &$0) })
        let kinds = try replies(machine.opened(.success(export))).map(\.kind)
        #expect(kinds == (isFound ? [.metaContext, .acknowledged] : [.acknowledged]))
    }

    @Test("selecting a context before structured replies is invalid")
    func contextTooEarly() throws {
        var machine = machine()
        let request = MetaContextRequest(exportName: "vol", queries: ["base:allocation"])
        #expect(try replies(step(&machine, option(.setMetaContext) { request.encode(into: &$0) })).map(\.kind) == [.invalid])
    }

    @Test("the old way, by export name", arguments: [true, false])
    func exportName(_ noZeroes: Bool) {
        var machine = machine(flags: noZeroes ? 3 : 0)
        #expect(step(&machine, option(.exportName) { $0.writeString("vol") }) == .open("vol"))
        guard case .beginTransmission(let bytes, _) = machine.opened(.success(export)) else {
            Issue.record("no transmission")
            return
        }
        #expect(bytes.readableBytes == (noZeroes ? 10 : 134))
        #expect(bytes.getInteger(at: 0, as: UInt64.self) == 1 << 30)
    }

    @Test("an unknown export: the old way closes, the new way answers")
    func unknownExport() throws {
        let missing = SheepError(.noSuchVolume, "there is no volume x")
        var old = machine()
        #expect(step(&old, option(.exportName) { $0.writeString("x") }) == .open("x"))
        #expect(old.opened(.failure(missing)) == .close(.noSuchExport))
        var new = machine()
        let request = InformationRequest(exportName: "x", wanted: [])
        #expect(step(&new, option(.go) { request.encode(into: &$0) }) == .open("x"))
        let reply = try replies(new.opened(.failure(missing)))[0]
        #expect(reply.kind == .unknownExport)
        #expect(String(buffer: reply.data) == missing.message)
    }

    @Test("the default export, if there is one", arguments: [nil, "vol"])
    func defaultExport(_ name: String?) throws {
        var machine = machine(defaultExport: name)
        let request = InformationRequest(exportName: "", wanted: [])
        let action = step(&machine, option(.go) { request.encode(into: &$0) })
        if let name { #expect(action == .open(name)) } else { #expect(try replies(action)[0].kind == .unknownExport) }
    }

    @Test("the list has every export with its description")
    func list() throws {
        var machine = machine()
        #expect(step(&machine, option(.list)) == .list)
        var all = try replies(machine.listed(.success([export, export])))
        #expect(all.map(\.kind) == [.server, .server, .acknowledged])
        #expect(try ExportListing(from: &all[0].data) == ExportListing(name: "vol", description: "a volume"))
        #expect(try replies(step(&machine, option(.list) { $0.writeInteger(UInt8(0)) })).map(\.kind) == [.invalid])
    }

    @Test(
        "what is not served is refused politely",
        arguments: [OptionCode.startTLS.rawValue, OptionCode.extendedHeaders.rawValue, 4, 12, .max])
    func unsupported(_ code: UInt32) throws {
        var machine = machine()
        let all = try replies(step(&machine, option(code) { $0.writeString("data") }))
        #expect(all.map(\.kind) == [.unsupported])
        #expect(all[0].option == code)
        #expect(step(&machine, option(.list)) == .list)
    }

    @Test("abort is acknowledged")
    func abort() throws {
        var machine = machine()
        guard case .finish(var bytes) = step(&machine, option(.abort)) else {
            Issue.record("not finished")
            return
        }
        #expect(try OptionReply(from: &bytes).kind == .acknowledged)
    }

    @Test("lies that leave no way to go on close the connection")
    func lies() {
        var flags = machine(flags: nil)
        #expect(step(&flags, ByteBuffer(integer: UInt32(4))) == .close(.unknownClientFlags))
        var magic = machine()
        #expect(step(&magic, ByteBuffer(repeating: 0, count: 16)) == .close(.wrongMagic))
        var long = machine()
        var header = ByteBuffer()
        OptionHeader(option: 3, length: .max).encode(into: &header)
        #expect(step(&long, header) == .close(.optionTooLong))
        var old = machine(flags: 0)
        #expect(step(&old, option(.list)) == .close(.notFixedNewstyle))
    }

    @Test("too long an option is refused, skipped, and the next one is heard")
    func tooLong() throws {
        var machine = machine()
        var bytes = option(.info) { $0.writeRepeatingByte(0, count: 100_000) }
        var next = option(.list)
        bytes.writeBuffer(&next)
        #expect(try replies(machine.next(&bytes)).map(\.kind) == [.tooBig])
        #expect(machine.next(&bytes) == .list)
    }

    @Test("malformed data of an option are invalid", arguments: [OptionCode.info, .go, .listMetaContext, .setMetaContext])
    func malformed(_ code: OptionCode) throws {
        var machine = machine()
        _ = step(&machine, option(.structuredReply))
        for data in [[], [0, 0], [0xFF, 0xFF, 0xFF, 0xFF, 65], [0, 0, 0, 1, 65, 0xFF, 0xFF, 0xFF, 0xFF]] as [[UInt8]] {
            #expect(try replies(step(&machine, option(code) { $0.writeBytes(data) })).map(\.kind) == [.invalid])
        }
    }

    @Test("byte by byte the conversation is the same")
    func byteByByte() {
        var machine = machine(flags: nil)
        var bytes = ByteBuffer(integer: UInt32(3))
        var request = option(.go) { InformationRequest(exportName: "vol", wanted: [.name]).encode(into: &$0) }
        bytes.writeBuffer(&request)
        var received = ByteBuffer()
        for (index, byte) in bytes.readableBytesView.enumerated() {
            received.writeInteger(byte)
            #expect(machine.next(&received) == (index == bytes.readableBytes - 1 ? .open("vol") : .wait))
        }
    }
}
