import ArgumentParser
import Client
import Listings
import ObjectModel
import SheepProtocol

struct ClusterInfo: SheepCommand {
    static let configuration = CommandConfiguration(
        commandName: "info", abstract: "Status, epochs, and what the cluster waits for.")
    @OptionGroup var common: CommonOptions
    @OptionGroup var listing: ListingOptions
    @Flag(name: [.customShort("d"), .customLong("diff")], help: "Of each epoch only who came (+) and who left (-).")
    var difference = false

    func run(with sheep: SheepClient) async throws {
        let reply = try await sheep.ask(.clusterInformation, orFail: "Failed to get cluster information")
        guard case .cluster(let information) = reply else { throw unexpectedReply() }
        if listing.json {
            Terminal.print(information.json.text())
        } else {
            for line in information.lines(raw: common.raw, verbose: common.verbose, difference: difference) { Terminal.print(line) }
        }
    }
}
