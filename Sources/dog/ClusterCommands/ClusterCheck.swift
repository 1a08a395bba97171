import ArgumentParser
import Client
import SheepProtocol

struct ClusterCheck: SheepCommand {
    static let configuration = CommandConfiguration(
        commandName: "check", abstract: "Verifies the copies of all objects and makes damaged ones good.")
    @OptionGroup var common: CommonOptions
    @OptionGroup var listing: ListingOptions

    func run(with sheep: SheepClient) async throws {
        let what = "Failed to check the cluster"
        let result = try await sheep.followCheck(try await sheep.ask(.clusterCheck, orFail: what), orFail: what)
        try result.tell(of: "the cluster", json: listing.json)
    }
}
