import ArgumentParser
import Client
import Listings
import SheepProtocol

struct NodeStat: SheepCommand {
    static let configuration = CommandConfiguration(
        commandName: "stat", abstract: "What the sheep has done since it started.")
    @OptionGroup var common: CommonOptions
    @OptionGroup var listing: ListingOptions
    @Flag(name: [.customShort("w"), .customLong("watch")], help: "Tell what was done in each second, until interrupted.")
    var watch = false

    func run(with sheep: SheepClient) async throws {
        var statistics = try await Self.statistics(of: sheep)
        guard watch else { return show(statistics) }
        while true {
            try await Task.sleep(for: .seconds(1))
            let next = try await Self.statistics(of: sheep)
            show(NodeStatistics(client: next.client.since(statistics.client), peer: next.peer.since(statistics.peer)))
            try Terminal.flush()
            statistics = next
        }
    }

    private static func statistics(of sheep: SheepClient) async throws -> NodeStatistics {
        let reply = try await sheep.ask(.nodeStatistics, orFail: "Failed to get node statistics")
        guard case .statistics(let statistics) = reply else { throw unexpectedReply() }
        return statistics
    }

    private func show(_ statistics: NodeStatistics) {
        if listing.json {
            return Terminal.print(
                JSON.object([("client", statistics.client.json), ("peer", statistics.peer.json)]).text())
        }
        if !common.raw { Terminal.print("Request\tActive\tTotal\tWrite\tRead\tRemove\tFlush\tAll WR\tAll RD") }
        Terminal.print((common.raw ? "" : "Client\t") + statistics.client.cells(raw: common.raw))
        Terminal.print((common.raw ? "" : "Peer\t") + statistics.peer.cells(raw: common.raw))
    }
}

extension RequestCounters {
    /// What was done between two readings; `active` is no count. A sheep that started anew begins again.
    fileprivate func since(_ earlier: RequestCounters) -> RequestCounters {
        guard total >= earlier.total else { return self }
        var difference = self
        difference.total -= earlier.total
        difference.writes -= min(writes, earlier.writes)
        difference.reads -= min(reads, earlier.reads)
        difference.removes -= min(removes, earlier.removes)
        difference.flushes -= min(flushes, earlier.flushes)
        difference.bytesWritten -= min(bytesWritten, earlier.bytesWritten)
        difference.bytesRead -= min(bytesRead, earlier.bytesRead)
        return difference
    }

    fileprivate func cells(raw: Bool) -> String {
        let counts = [active, total, writes, reads, removes, flushes].map { String($0) }
        let bytes = [bytesWritten, bytesRead].map { ByteText.string($0, raw: raw) }
        return (counts + bytes).joined(separator: "\t")
    }

    fileprivate var json: JSON {
        .object([
            ("active", .number(active)), ("total", .number(total)), ("writes", .number(writes)),
            ("reads", .number(reads)), ("removes", .number(removes)), ("flushes", .number(flushes)),
            ("bytesWritten", .number(bytesWritten)), ("bytesRead", .number(bytesRead)),
        ])
    }
}
