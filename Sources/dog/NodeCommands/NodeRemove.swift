import ArgumentParser
import Client
import SheepProtocol

struct NodeRemove: SheepCommand {
    static let configuration = CommandConfiguration(
        commandName: "remove",
        abstract: "Takes a sheep out of the cluster for good: its data is copied to others.",
        discussion: """
            It leaves once others have all that it held: 'node list' shows it as leaving, then as removed; then it may be
            stopped. Started again it is a member again. Also done where too few zones are left for all copies; volumes
            have fewer copies then. Of a sheep that is down and removed already, it gives up what only that one still holds.
            """)
    @OptionGroup var common: CommonOptions
    @OptionGroup var node: NodeOperand

    func run(with sheep: SheepClient) async throws {
        let identity = try await node.identity(from: sheep)
        _ = try await sheep.ask(.nodeRemove(identity), orFail: "Failed to remove node \(node.number)")
    }
}
