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
    @Argument(help: ArgumentHelp("The node's number in 'node list'.", valueName: "id"))
    var number: UInt32

    func run(with sheep: SheepClient) async throws {
        _ = try await sheep.ask(.nodeRemove(try await sheep.node(number)), orFail: "Failed to remove node \(number)")
    }
}
