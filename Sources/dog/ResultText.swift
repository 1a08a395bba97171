import ArgumentParser
import Client
import ObjectModel

extension SheepError {
    /// Sheepdog's text for the result, which scripts look for at the end of a line; else the sheep's own message.
    var resultText: String { Self.resultTexts[code] ?? message }

    private static let resultTexts: [Code: String] = [
        .unknown: "Unknown error",
        .noSuchObject: "No object found",
        .inputOutput: "I/O error",
        .volumeExists: "VDI exists already",
        .invalidArgument: "Invalid parameters",
        .volumeLocked: "VDI is already locked",
        .noSuchVolume: "No VDI found",
        .noSuchSnapshot: "Failed to find requested tag",
        .notLocked: "VDI is not locked",
        .shuttingDown: "System is shutting down",
        .noSpace: "Server has no space for new objects",
        .notFormatted: "Waiting for cluster to be formatted",
        .waitingForNodes: "Waiting for other nodes to join cluster",
        .readOnly: "Object is read-only",
        .tooManyVolumes: "Maximum number of VDIs reached",
        .versionMismatch: "Protocol version mismatch",
        .accessDenied: "Permission denied",
        .unavailable: "IO has halted as there are not enough living nodes",
    ]

    /// The sheep's own words, where they say more than the text: which node, which limit. Nil where scripts read the
    /// text as the last line, or nothing is added.
    private var detail: String? {
        switch code {
        case .volumeExists, .noSuchVolume, .noSuchSnapshot, .notFormatted: nil
        default: message.isEmpty || message == resultText ? nil : message
        }
    }

    /// "Failed to do something: the result", and what the sheep adds on a line of its own.
    func failure(_ what: String) -> CommandFailure {
        CommandFailure([what + ": " + resultText, detail].compactMap { $0 }.joined(separator: "\n"), exitStatus)
    }

    /// What the error means to a script, unless the command knows better.
    var exitStatus: ExitCode {
        switch code {
        case .waitingForNodes, .unavailable, .shuttingDown, .versionMismatch, .busy: ExitStatus.system
        case .noSpace: ExitStatus.full
        default: ExitStatus.failure
        }
    }
}

extension ClientError {
    /// The failure of a command that says what it was about to do.
    func failure(_ what: String) -> CommandFailure {
        switch self {
        case .refused(let error): error.failure(what)
        case .cannotConnect: CommandFailure("\(self)\nFailed to get node list", ExitStatus.system)
        case .connectionLost, .timedOut, .malformed: CommandFailure("\(what): \(self)", ExitStatus.system)
        }
    }

    var code: SheepError.Code? {
        if case .refused(let error) = self { error.code } else { nil }
    }
}
