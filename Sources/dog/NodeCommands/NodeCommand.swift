import ArgumentParser

struct NodeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "node", abstract: "The sheep of the cluster.",
        subcommands: [
            NodeList.self, NodeInfo.self, NodeStat.self, NodeRecoveryCommand.self, NodeKill.self, NodeRemove.self,
        ])
}
