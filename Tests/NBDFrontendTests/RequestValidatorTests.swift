import NBDFrontend
import Testing

@Suite("NBD request checks")
struct RequestValidatorTests {
    private let structured = NegotiatedSession(structuredReplies: true, allocationContext: true)

    private func verdict(
        _ command: Command, offset: UInt64 = 0, length: UInt32 = 4096, flags: CommandFlags = [], readOnly: Bool = false,
        session: NegotiatedSession? = nil, grownTo: UInt64? = nil
    ) -> RequestValidator.Verdict {
        var export = ExportLimits(size: 1 << 20, isReadOnly: readOnly, maximumRequest: 1 << 19)
        return RequestValidator.verdict(
            on: RequestHeader(flags: flags, command: command, cookie: 0, offset: offset, length: length),
            export: &export, session: session ?? structured, currentSize: { grownTo ?? 1 << 20 })
    }

    @Test("FUA goes with every command", arguments: Command.allCases)
    func forceUnitAccess(_ command: Command) {
        #expect(verdict(command, length: command == .flush ? 0 : 512, flags: .forceUnitAccess) == .accepted(command))
    }

    @Test("flags belong to their commands", arguments: Command.allCases)
    func flags(_ command: Command) {
        let allowed: [Command: CommandFlags] = [
            .read: .dontFragment, .writeZeroes: [.noHole, .fastZero], .blockStatus: .requestOne,
        ]
        for bit in 1..<16 as Range<UInt16> {
            let flag = CommandFlags(rawValue: 1 << bit)
            let isAllowed = allowed[command]?.contains(flag) ?? false
            let expected: RequestValidator.Verdict = isAllowed ? .accepted(command) : .refused(.invalid, .unknownFlag)
            #expect(verdict(command, length: command == .flush ? 0 : 512, flags: flag) == expected, "bit \(bit)")
        }
    }

    @Test("don't fragment and block status need their negotiation")
    func negotiation() {
        #expect(verdict(.read, flags: .dontFragment, session: NegotiatedSession()) == .refused(.invalid, .unknownFlag))
        #expect(
            verdict(.blockStatus, session: NegotiatedSession(structuredReplies: true)) == .refused(.invalid, .noContext))
    }

    @Test(
        "past the end",
        arguments: [
            (Command.read, NBDErrorCode.invalid), (.write, .noSpace), (.trim, .invalid), (.cache, .invalid),
            (.writeZeroes, .noSpace), (.blockStatus, .invalid),
        ])
    func pastEnd(_ command: Command, _ error: NBDErrorCode) {
        for (offset, length) in [(1 << 20, 1), ((1 << 20) - 1, 2), (.max, 1), (UInt64.max - 10, 4096)] as [(UInt64, UInt32)] {
            #expect(verdict(command, offset: offset, length: length) == .refused(error, .pastEnd))
        }
        #expect(verdict(command, offset: (1 << 20) - 1, length: 1) == .accepted(command))
        #expect(verdict(command, offset: 1 << 20, length: 1, grownTo: 2 << 20) == .accepted(command))
    }

    @Test("a read-only export", arguments: Command.allCases)
    func readOnly(_ command: Command) {
        let isChange = [.write, .trim, .writeZeroes].contains(command)
        let expected: RequestValidator.Verdict = isChange ? .refused(.notPermitted, .readOnly) : .accepted(command)
        #expect(verdict(command, length: command == .flush ? 0 : 512, readOnly: true) == expected)
    }

    @Test("lengths: too long, zero, and those of a flush")
    func lengths() {
        #expect(verdict(.read, length: 1 << 19 + 1) == .refused(.invalid, .tooLong))
        #expect(verdict(.read, length: (1 << 19) + 1, flags: .dontFragment) == .refused(.overflow, .tooLong))
        #expect(verdict(.write, length: .max) == .refused(.invalid, .tooLong))
        #expect(verdict(.writeZeroes, length: 1 << 20) == .accepted(.writeZeroes))
        #expect(verdict(.blockStatus, length: 0) == .refused(.invalid, .zeroLength))
        #expect(verdict(.read, length: 0) == .accepted(.read))
        #expect(verdict(.flush, length: 1) == .refused(.invalid, .notZero))
        #expect(verdict(.flush, offset: 1, length: 0) == .refused(.invalid, .notZero))
    }

    @Test("an unknown command")
    func unknown() {
        var header = RequestHeader(command: .read, cookie: 0, offset: 0, length: 0)
        header.command = 8
        var export = ExportLimits(size: 1, isReadOnly: false, maximumRequest: 1)
        #expect(
            RequestValidator.verdict(on: header, export: &export, session: structured, currentSize: { 1 })
                == .refused(.invalid, .unknownCommand))
    }
}
