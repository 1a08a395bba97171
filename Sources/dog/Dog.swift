import ArgumentParser

/// The program. Called as `collie`, its old name, it behaves the same.
@main struct Dog: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: programName,
        abstract: "Administers a sheepdog cluster through one of its sheep.",
        discussion: """
            SHEEPDOG_DOG_ADDR and SHEEPDOG_DOG_PORT stand in for --address and --port, SHEEPDOG_KEY for --key.
            Exit codes: 0 done, 1 failure, 2 system failure, 3 exists already, 4 full, 5 missing, 64 wrong usage.
            """,
        subcommands: [ClusterCommand.self, NodeCommand.self, VdiCommand.self])

    private static let programName: String = {
        let name = CommandLine.arguments.first?.split(separator: "/").last.map(String.init)
        return name == "collie" ? "collie" : "dog"
    }()

    static func main() async {
        do {
            var command = try parseAsRoot()
            if var asynchronous = command as? any AsyncParsableCommand {
                try await asynchronous.run()
            } else {
                try command.run()
            }
        } catch {
            end(error)
        }
    }

    /// Wrong usage is told without the parser's "Error: ", as scripts know it, followed by the usage.
    private static func end(_ error: any Error) -> Never {
        let code = exitCode(for: error)
        guard code == .validationFailure else { exit(withError: error) }
        let text = fullMessage(for: error)
        Terminal.printError(text.hasPrefix("Error: ") ? String(text.dropFirst(7)) : text)
        exit(withError: ExitStatus.usage)
    }
}
