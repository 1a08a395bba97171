import ArgumentParser
import Client
import Listings
import ObjectModel
import SheepProtocol

struct NodeList: SheepCommand {
    static let configuration = CommandConfiguration(commandName: "list", abstract: "All sheep.")
    @OptionGroup var common: CommonOptions
    @OptionGroup var listing: ListingOptions

    func run(with sheep: SheepClient) async throws {
        let nodes = try await sheep.nodes()
        if listing.json { return Terminal.print(JSON.array(nodes.enumerated().map { $1.json(number: $0) }).text()) }
        for line in nodes.listing(raw: common.raw) { Terminal.print(line) }
    }
}

extension SheepClient {
    func nodes() async throws -> [NodeRecord] {
        guard case .nodes(let nodes) = try await ask(.nodeList, orFail: "Failed to get node list") else {
            throw unexpectedReply()
        }
        return nodes
    }
}

extension NodeRecord {
    func json(number: Int) -> JSON {
        .object([
            ("number", .number(UInt64(number))),
            ("node", .string(node.description)),
            ("host", .string(host)),
            ("port", .number(port)),
            ("virtualNodes", .number(virtualNodes)),
            ("zone", .number(zone)),
            ("state", .string(state.text)),
            ("isGateway", .bool(isGateway)),
        ])
    }
}
