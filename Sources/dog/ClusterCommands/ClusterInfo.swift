import ArgumentParser
import Client
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

extension ClusterInformation {
    /// Scripts look for "Cluster status: running" at the very beginning; what only we tell comes when there is
    /// something to tell, or with `-v`, and never in raw output.
    func lines(raw: Bool, verbose: Bool, difference: Bool = false) -> [String] {
        var lines = [raw ? statusText : "Cluster status: " + statusText]
        guard let format else { return lines }
        if verbose { lines += formatLines(format, raw: raw) }
        if !raw { lines += healthLines(verbose: verbose) }
        lines.append("")
        if !raw {
            lines += ["Cluster created at " + DateText.asCtime(format.createdAt), ""]
            lines.append("Epoch Time           Version [Host:Port:V-Nodes,,,]")
        }
        // Newest first: the one before an epoch comes after it.
        let formers = epochs.dropFirst().map { Optional($0) } + [nil]
        return lines + zip(epochs, formers).map { $0.line($0.texts(since: difference ? $1 : nil), raw: raw) }
    }

    private var statusText: String {
        switch status {
        case .running: "running, auto-recovery enabled"
        case .waitingForFormat: "Waiting for cluster to be formatted"
        case .waitingForNodes: "Waiting for other nodes to join cluster"
        case .shuttingDown: "System is shutting down"
        }
    }

    private func formatLines(_ format: FormatRecord, raw: Bool) -> [String] {
        let strategy = format.flags & ClusterFlags.automaticVirtualNodes != 0 ? "auto" : "fixed"
        let mode = format.flags & ClusterFlags.diskMode != 0 ? "disk" : "node"
        let store = raw ? "plain \(format.copies)" : "Cluster store: plain with \(format.copies) redundancy policy"
        return [
            store, (raw ? "" : "Cluster vnodes strategy: ") + strategy, (raw ? "" : "Cluster vnode mode: ") + mode,
        ]
    }
}

extension EpochRecord {
    /// The members, or what differs from a former epoch.
    fileprivate func texts(since former: EpochRecord?) -> [String] {
        guard let former else { return members.map(\.text) }
        let (now, before) = (Set(members.map(\.text)), Set(former.members.map(\.text)))
        return members.map(\.text).filter { !before.contains($0) }.map { "+" + $0 }
            + former.members.map(\.text).filter { !now.contains($0) }.map { "-" + $0 }
    }

    fileprivate func line(_ texts: [String], raw: Bool) -> String {
        let members = texts.joined(separator: ", ")
        return raw
            ? "\(DateText.unixSeconds(time)) \(epoch) [\(members)]"
            : "\(DateText.seconds(time)) \(epoch.rawValue.padded(6)) [\(members)]"
    }
}

extension EpochMember {
    fileprivate var text: String { "\(host):\(port):\(virtualNodes)" }
}
