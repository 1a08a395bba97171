import ArgumentParser
import Client
import Listings
import SheepProtocol

struct NodeInfo: SheepCommand {
    static let configuration = CommandConfiguration(
        commandName: "info", abstract: "The space of each sheep and of all volumes.")
    @OptionGroup var common: CommonOptions
    @OptionGroup var listing: ListingOptions

    func run(with sheep: SheepClient) async throws {
        let report = try await report(of: sheep)
        guard !report.nodes.isEmpty else { throw Self.noInformation() }
        if listing.json { return Terminal.print(report.json.text()) }
        for line in report.listing(raw: common.raw) { Terminal.print(line) }
    }

    private func report(of sheep: SheepClient) async throws -> SpaceReport {
        do throws(ClientError) {
            guard case .space(let report) = try await sheep.administer(.nodeSpace) else {
                throw ClientError.malformed(sheep.endpoint, "another reply")
            }
            return report
        } catch {
            guard case .refused(let refusal) = error else { throw error.failure("Failed to get node information") }
            throw Self.noInformation(refusal.failure("Response's result"))
        }
    }

    private static func noInformation(_ cause: CommandFailure? = nil) -> CommandFailure {
        CommandFailure((cause.map { $0.text + "\n" } ?? "") + "Cannot get information from any nodes", ExitStatus.system)
    }
}

extension SpaceReport {
    fileprivate var json: JSON {
        .object([
            ("nodes", .array(nodes.map(\.json))),
            ("size", .number(size)),
            ("used", .number(used)),
            ("available", .number(available)),
            ("virtualSize", .number(virtualSize)),
        ])
    }
}

extension NodeSpace {
    fileprivate var json: JSON {
        .object([
            ("number", .number(number)), ("size", .number(size)), ("used", .number(used)),
            ("available", .number(available)),
        ])
    }
}
