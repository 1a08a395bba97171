import ArgumentParser
import Client
import Listings
import ObjectModel
import SheepProtocol

struct NodeRemove: SheepCommand {
    static let configuration = CommandConfiguration(
        commandName: "remove",
        abstract: "Takes a sheep out of the cluster for good: its data is copied to others.",
        discussion: """
            It leaves once others have all that it held: 'node list' shows it as leaving, then as removed; then it may be
            stopped. Started again it is a member again. Also done where too few zones are left for all copies; volumes
            have fewer copies then.

            A sheep that is down and removed is listed as long as something is waited for that only it has. To remove it once
            more tells what is lost without it, asks, and gives that up.
            """)
    @OptionGroup var common: CommonOptions
    @Flag(name: [.short, .long], help: "Do not ask. What only a dead sheep that was removed before had is lost.")
    var force = false
    @Argument(help: ArgumentHelp("The node's number in 'node list'.", valueName: "id"))
    var number: UInt32

    private var failed: String { "Failed to remove node \(number)" }

    func run(with sheep: SheepClient) async throws {
        let node = try await sheep.node(number)
        guard case .risk(let risk) = try await sheep.ask(.nodeRemove(node), orFail: failed) else { return }
        if risk.givesUpData {
            for line in risk.lines(raw: common.raw) { Terminal.print(line) }
            if !force { try await confirm(risk, node, sheep) }
        } else if !common.raw {
            Terminal.print("Nothing is lost without it: others have what it has.")
        }
        _ = try await sheep.ask(.nodeRemove(node, givesUp: true), orFail: failed)
    }

    /// Somebody may think for long, and sheep come and go meanwhile.
    private func confirm(_ risk: RecoveryRisk, _ node: NodeID, _ sheep: SheepClient) async throws {
        guard Terminal.confirm("What is named above will be lost for ever. Are you sure?") else {
            throw CommandFailure("\(failed): nothing was changed; -f does not ask, and what is named above is lost then")
        }
        guard case .risk(risk) = try await sheep.ask(.nodeRemove(node), orFail: failed) else {
            throw CommandFailure("\(failed): sheep came or went meanwhile, so something else would be lost; nothing was changed")
        }
    }
}
