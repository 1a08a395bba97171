import ArgumentParser
import Client
import ObjectModel
import SheepProtocol

struct NodeKill: SheepCommand {
    static let configuration = CommandConfiguration(
        commandName: "kill", abstract: "Ends a sheep. Its data stays where it is; others serve meanwhile.")
    @OptionGroup var common: CommonOptions
    @Flag(name: [.customShort("l"), .customLong("local")], help: "The sheep that is asked, instead of one by number.")
    var local = false
    @Argument(help: ArgumentHelp("The node's number in 'node list'.", valueName: "id"))
    var number: UInt32?

    func validate() throws {
        guard local == (number == nil) else {
            throw ValidationError(local ? "A node id and '-l' exclude each other" : "Please specify the node id, or '-l'")
        }
    }

    func run(with sheep: SheepClient) async throws {
        guard let number else {
            _ = try await sheep.ask(.nodeEnd, orFail: "Failed to kill the node")
            return
        }
        _ = try await sheep.ask(.nodeKill(try await sheep.node(number)), orFail: "Failed to kill node \(number)")
    }
}

extension SheepClient {
    /// A node by its number in `node list`. Numbers move when nodes come and go, identities do not: what is sent is who
    /// has the number now.
    func node(_ number: UInt32) async throws -> NodeID {
        let nodes = try await nodes()
        guard number < nodes.count else { throw CommandFailure("Invalid node id \(number): there are \(nodes.count) nodes") }
        return nodes[Int(number)].node
    }
}
