import ArgumentParser
import Client
import ObjectModel
import SheepProtocol

struct NodeKill: SheepCommand {
    static let configuration = CommandConfiguration(
        commandName: "kill", abstract: "Ends a sheep. Its data stays where it is; others serve meanwhile.")
    @OptionGroup var common: CommonOptions
    @OptionGroup var node: NodeOperand

    func run(with sheep: SheepClient) async throws {
        _ = try await sheep.ask(.nodeKill(try await node.identity(from: sheep)), orFail: "Failed to kill node \(node.number)")
    }
}

/// A node by its number in `node list`.
struct NodeOperand: ParsableArguments {
    @Argument(help: ArgumentHelp("The node's number in 'node list'.", valueName: "id"))
    var number: UInt32

    /// Numbers move when nodes come and go, identities do not: what is sent is who has the number now.
    func identity(from sheep: SheepClient) async throws -> NodeID {
        let nodes = try await sheep.nodes()
        guard number < nodes.count else { throw CommandFailure("Invalid node id \(number): there are \(nodes.count) nodes") }
        return nodes[Int(number)].node
    }
}
