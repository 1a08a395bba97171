import ArgumentParser
import Client
import ObjectModel
import SheepProtocol

struct NodeList: SheepCommand {
    static let configuration = CommandConfiguration(commandName: "list", abstract: "All sheep.")
    @OptionGroup var common: CommonOptions
    @OptionGroup var listing: ListingOptions

    func run(with sheep: SheepClient) async throws {
        let nodes = try await sheep.nodes()
        if listing.json { return Terminal.print(JSON.array(nodes.enumerated().map { $1.json(number: $0) }).text()) }
        if !common.raw { Terminal.print("  Id   Host:Port         V-Nodes       Zone") }
        // Programs that read the raw lines take each for a sheep that serves.
        for (number, node) in nodes.enumerated() where !common.raw || ![.down, .removed].contains(node.state) {
            Terminal.print(node.line(number: number, raw: common.raw))
        }
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
    var address: String { SheepEndpoint.tcp(host: host, port: port).description }

    /// Sheepdog's columns; for people the state follows where it is another than up.
    fileprivate func line(number: Int, raw: Bool) -> String {
        let line = raw
            ? "\(number) \(address) \(virtualNodes) \(zone)"
            : number.padded(4) + "   " + address.padded(right: 20) + "\t" + virtualNodes.padded(2) + zone.padded(11)
        return raw || state == .up ? line : line + "  " + state.text
    }

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

extension NodeState {
    var text: String {
        switch self {
        case .up: "up"
        case .down: "down"
        case .syncing: "syncing"
        case .leaving: "leaving"
        case .removed: "removed"
        }
    }
}
