import ArgumentParser
import Client
import Listings
import SheepProtocol

struct NodeStat: SheepCommand {
    static let configuration = CommandConfiguration(
        commandName: "stat", abstract: "What the sheep has done since it started.")
    @OptionGroup var common: CommonOptions
    @OptionGroup var listing: ListingOptions

    func run(with sheep: SheepClient) async throws {
        let reply = try await sheep.ask(.nodeStatistics, orFail: "Failed to get node statistics")
        guard case .statistics(let statistics) = reply else { throw unexpectedReply() }
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
