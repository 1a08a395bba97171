import ArgumentParser
import Client
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
        if !common.raw { Terminal.print("Id\tSize\tUsed\tAvail\tUse%") }
        for node in report.nodes { Terminal.print(node.line(raw: common.raw)) }
        for line in report.totalLines(raw: common.raw) { Terminal.print(line) }
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
    fileprivate var size: UInt64 { nodes.reduce(0) { $0 &+ $1.size } }
    fileprivate var used: UInt64 { nodes.reduce(0) { $0 &+ $1.used } }
    fileprivate var available: UInt64 { nodes.reduce(0) { $0 &+ $1.available } }

    fileprivate func totalLines(raw: Bool) -> [String] {
        let cells = [size, used, available].map { ByteText.string($0, raw: raw) }
        let percent = percentTenths(used, of: size, ofNothing: 0) / 10
        let total = ByteText.string(virtualSize, raw: raw)
        if raw { return ["Total " + cells.joined(separator: " ") + " \(percent)% " + total] }
        return [
            "Total\t" + cells.joined(separator: "\t") + "\t" + percent.padded(3) + "%", "",
            "Total virtual image size\t" + total,
        ]
    }

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
    fileprivate func line(raw: Bool) -> String {
        let cells = [size, used, available].map { ByteText.string($0, raw: raw) }
        let percent = percentTenths(used, of: size, ofNothing: 0) / 10
        return raw
            ? "\(number) " + cells.joined(separator: " ") + " \(percent)%"
            : number.padded(2) + "\t" + cells.joined(separator: "\t") + "\t" + percent.padded(3) + "%"
    }

    fileprivate var json: JSON {
        .object([
            ("number", .number(number)), ("size", .number(size)), ("used", .number(used)),
            ("available", .number(available)),
        ])
    }
}
