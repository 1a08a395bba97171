import ArgumentParser

struct ClusterCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "cluster", abstract: "The cluster as a whole.",
        subcommands: [
            ClusterInfo.self, ClusterFormatCommand.self, ClusterShutdown.self, ClusterCheck.self, ClusterRecoverCommand.self,
            ClusterKeyCommand.self,
        ])
}
