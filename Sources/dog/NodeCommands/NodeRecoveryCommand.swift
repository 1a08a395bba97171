import ArgumentParser
import Client
import Listings
import SheepProtocol

struct NodeRecoveryCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "recovery", abstract: "The sheep that catch up or take over, and how far they are.",
        subcommands: [NodeRecoveryInfo.self, NodeRecoverySetThrottle.self, NodeRecoveryGetThrottle.self],
        defaultSubcommand: NodeRecoveryInfo.self)
}

struct NodeRecoveryInfo: SheepCommand {
    static let configuration = CommandConfiguration(
        commandName: "info", abstract: "The sheep that catch up or take over, and how far they are.")
    @OptionGroup var common: CommonOptions
    @OptionGroup var listing: ListingOptions
    @Flag(name: [.customShort("P"), .customLong("progress")], help: "Show how far it is until all is done.")
    var progress = false

    private static let pollInterval = Duration.milliseconds(500)

    func run(with sheep: SheepClient) async throws {
        if progress { return try await follow(sheep) }
        let nodes = try await Self.nodes(in: sheep)
        if listing.json { return Terminal.print(JSON.array(nodes.map(\.json)).text()) }
        if !common.raw {
            Terminal.print("Nodes In Recovery:")
            Terminal.print("  Id   Host:Port         V-Nodes       Zone       Progress")
        }
        for node in nodes { Terminal.print(node.line(common)) }
    }

    private static func nodes(in sheep: SheepClient) async throws -> [NodeRecovery] {
        guard case .recovery(let nodes) = try await sheep.ask(.nodeRecovery, orFail: "Failed to get recovery state") else {
            throw unexpectedReply()
        }
        return nodes
    }

    /// Until no sheep recovers any more. More may be found to do on the way, so the bar may go back.
    private func follow(_ sheep: SheepClient) async throws {
        while true {
            let nodes = try await Self.nodes(in: sheep)
            guard !nodes.isEmpty else { return }
            let (done, total) = nodes.reduce((0, 0)) { ($0.0 + $1.totals.objectsDone, $0.1 + $1.totals.objectsTotal) }
            var bar = ProgressBar(total: total, unit: { "\($0) objects" })
            bar.show(done)
            try await Task.sleep(for: Self.pollInterval)
        }
    }
}

extension NodeRecovery {
    fileprivate func line(_ options: CommonOptions) -> String {
        if options.raw {
            return "\(number) \(record.address) \(record.virtualNodes) \(record.zone) \(totals.objectsDone) \(totals.objectsTotal)"
        }
        let percent = oneDecimal(tenths: percentTenths(totals.objectsDone, of: totals.objectsTotal))
        let line = number.padded(4) + "   " + record.address.padded(right: 20) + record.virtualNodes.padded(5)
            + record.zone.padded(11) + percent.padded(left: 11) + "%"
        guard options.verbose else { return line }
        return line + "  \(totals.objectsDone)/\(totals.objectsTotal) objects, "
            + "\(ByteText.string(totals.bytesDone, raw: false)) of \(ByteText.string(totals.bytesTotal, raw: false)), "
            + "\(totals.objectsExamined) examined, \(totals.objectsFetched) fetched"
    }

    fileprivate var json: JSON {
        .object([("node", record.json(number: Int(number))), ("totals", totals.json)])
    }
}
