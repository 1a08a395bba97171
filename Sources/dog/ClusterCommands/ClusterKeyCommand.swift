import ArgumentParser
import Authentication
import ObjectModel

/// Asks no sheep: the file has to be there before the first one starts.
struct ClusterKeyCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "key", abstract: "Makes a file with a new cluster key.",
        discussion: """
            Give it to every sheep, dog and sheepfs of the cluster by --key FILE; sheep that listen on another address than the
            loopback must have it. Copy it over a safe channel and keep it readable by its owner alone.
            """)

    @Argument(help: "The file to make; one that is there stays as it is.", completion: .file())
    var file: String

    func run() async throws {
        do {
            try KeyFile.make(file)
        } catch {
            Terminal.printError(error.message)
            throw ExitStatus.failure
        }
    }
}
