import ArgumentParser
import Client
import SheepProtocol

struct ClusterShutdown: SheepCommand {
    static let configuration = CommandConfiguration(
        commandName: "shutdown", abstract: "Writes everything to the disks and ends all sheep.")
    @OptionGroup var common: CommonOptions

    func run(with sheep: SheepClient) async throws {
        _ = try await sheep.ask(.clusterShutdown, orFail: "Failed to shut the cluster down")
    }
}
