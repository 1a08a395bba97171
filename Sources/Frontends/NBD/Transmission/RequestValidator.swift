/// All that can be wrong with a request, in one place; after it the code trusts and asserts.
///
/// The order is that of `nbdkit`: what the request is, then its flags, then whether the export allows it, then its range.
package enum RequestValidator {
    package enum Verdict: Hashable, Sendable {
        case accepted(Command)
        case refused(NBDErrorCode, Reason)
    }

    /// The text of an error chunk.
    package enum Reason: String, Hashable, Sendable {
        case unknownCommand = "unknown command"
        case unknownFlag = "a flag that is not known or not allowed for this command"
        case noContext = "no metadata context was negotiated"
        case readOnly = "the export is read-only"
        case notZero = "offset and length of a flush must be zero"
        case zeroLength = "a length of zero"
        case tooLong = "longer than the maximum request that was told"
        case pastEnd = "past the end of the export"
    }

    /// - Parameter currentSize: The size as of now, asked only when the request ends past the size known so far, which is
    ///   then brought up to date: a volume may have grown.
    package static func verdict(
        on request: RequestHeader, export: inout ExportLimits, session: NegotiatedSession, currentSize: () -> UInt64
    ) -> Verdict {
        guard let command = Command(rawValue: request.command) else { return .refused(.invalid, .unknownCommand) }
        guard allowedFlags(command, session).contains(request.flags) else { return .refused(.invalid, .unknownFlag) }
        switch command {
        case .disconnect:
            return .accepted(command)
        case .flush:
            guard request.offset == 0, request.length == 0 else { return .refused(.invalid, .notZero) }
            return .accepted(command)
        case .blockStatus:
            guard session.allocationContext else { return .refused(.invalid, .noContext) }
            guard request.length > 0 else { return .refused(.invalid, .zeroLength) }
        case .read:
            guard request.length <= export.maximumRequest else {
                return .refused(request.flags.contains(.dontFragment) ? .overflow : .invalid, .tooLong)
            }
        case .write:
            guard !export.isReadOnly else { return .refused(.notPermitted, .readOnly) }
            guard request.length <= export.maximumRequest else { return .refused(.invalid, .tooLong) }
        case .trim, .writeZeroes:
            guard !export.isReadOnly else { return .refused(.notPermitted, .readOnly) }
        case .cache:
            break
        }
        if !isInside(request, export.size) {
            export.size = currentSize()
            guard isInside(request, export.size) else {
                return .refused(command == .write || command == .writeZeroes ? .noSpace : .invalid, .pastEnd)
            }
        }
        return .accepted(command)
    }

    @inline(__always)
    private static func isInside(_ request: RequestHeader, _ size: UInt64) -> Bool {
        request.offset <= size && UInt64(request.length) <= size - request.offset
    }

    /// FUA is valid with every command (`doc/proto.md`, "Command flags").
    @inline(__always)
    private static func allowedFlags(_ command: Command, _ session: NegotiatedSession) -> CommandFlags {
        switch command {
        case .read: session.structuredReplies ? [.forceUnitAccess, .dontFragment] : .forceUnitAccess
        case .writeZeroes: [.forceUnitAccess, .noHole, .fastZero]
        case .blockStatus: [.forceUnitAccess, .requestOne]
        case .write, .disconnect, .flush, .trim, .cache: .forceUnitAccess
        }
    }
}
