import ArgumentParser

/// The exit codes that scripts around Sheepdog know.
enum ExitStatus {
    static let failure = ExitCode(1)
    /// No sheep, or one that cannot serve now.
    static let system = ExitCode(2)
    static let exists = ExitCode(3)
    static let full = ExitCode(4)
    static let missing = ExitCode(5)
    static let usage = ExitCode(64)
}

/// A command's end with a text on standard error.
struct CommandFailure: Error {
    var text: String
    var status: ExitCode

    init(_ text: String, _ status: ExitCode = ExitStatus.failure) { (self.text, self.status) = (text, status) }
}

/// Wrong usage that only the cluster could tell: the text, then the command's usage, exit code 64.
struct UsageFailure: Error {
    var text: String
}
