import ArgumentParser
import Client
import Listings
import ObjectModel
import SheepProtocol

struct VdiObject: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "object", abstract: "The objects of a volume.",
        subcommands: [VdiObjectLocation.self, VdiObjectMap.self])
}

struct VdiObjectLocation: SheepCommand {
    static let configuration = CommandConfiguration(
        commandName: "location", abstract: "Which sheep have an object, and which should.")
    @OptionGroup var common: CommonOptions
    @OptionGroup var listing: ListingOptions
    @OptionGroup var snapshot: SnapshotOptions
    @Option(name: [.short, .long], help: "The object's index in the volume.")
    var index: UInt32 = 0
    @Argument(help: ArgumentHelp("The volume's name.", valueName: "name"))
    var name: VolumeName

    func run(with sheep: SheepClient) async throws {
        let volume = VolumeReference(name: name.text, selector: snapshot.selector ?? .working)
        let reply = try await sheep.ask(
            .objectLocation(ObjectLocationRequest(volume: volume, index: index)), about: volume,
            orFail: "Failed to look for object \(index) of VDI \(name.text)")
        guard case .objectLocation(let location) = reply else { throw unexpectedReply() }
        if listing.json { return Terminal.print(location.json(index: index).text()) }
        for line in location.lines(index: index, name: name.text) { Terminal.print(line) }
    }
}

extension ObjectLocation {
    fileprivate func lines(index: UInt32, name: String) -> [String] {
        let should = ["According to sheepdog algorithm, the object should be located at:", placed.joined(separator: " ")]
        guard let vid else { return ["VDI \(name) has no object at index \(index)", ""] + should }
        let identity = (UInt64(vid.rawValue) << 32 | UInt64(index)).hexadecimal(16, zeros: true)
        let head = "Looking for the object \(identity) (vid 0x\(vid) idx \(index), \(copies) copies) with \(nodes.count) nodes"
        let found = nodes.map { $0.address + ($0.hasObject ? " has the object" : " doesn't have the object") }
        return [head, ""] + found + [""] + should
    }

    fileprivate func json(index: UInt32) -> JSON {
        .object([
            ("index", .number(index)), ("vid", vid.map { .string($0.description) } ?? .null),
            ("copies", .number(copies)),
            ("nodes", .array(nodes.map {
                .object([("address", .string($0.address)), ("hasObject", .bool($0.hasObject))])
            })),
            ("placed", .strings(placed)),
        ])
    }
}

struct VdiObjectMap: SheepCommand {
    static let configuration = CommandConfiguration(
        commandName: "map", abstract: "Whose object a volume sees at each index; holes are left out.")
    @OptionGroup var common: CommonOptions
    @OptionGroup var listing: ListingOptions
    @OptionGroup var snapshot: SnapshotOptions
    @Option(name: [.short, .long], help: "Only this index.")
    var index: UInt32?
    @Argument(help: ArgumentHelp("The volume's name.", valueName: "name"))
    var name: VolumeName

    private static let runsPerRequest: UInt32 = 65_536

    func run(with sheep: SheepClient) async throws {
        if !listing.json && !common.raw { Terminal.print("Index       VID") }
        var runs: [JSON] = []
        var next: UInt32? = index ?? 0
        while let from = next {
            let map = try await map(from: from, sheep)
            for run in map.runs { if listing.json { runs.append(run.json) } else { run.print(only: index) } }
            next = index == nil ? map.next : nil
            if let next, next <= from { throw unexpectedReply() }
        }
        if listing.json { Terminal.print(JSON.array(runs).text()) }
    }

    private func map(from: UInt32, _ sheep: SheepClient) async throws -> ObjectMap {
        let volume = VolumeReference(name: name.text, selector: snapshot.selector ?? .working)
        let request = ObjectMapRequest(volume: volume, from: from, through: index ?? .max, limit: Self.runsPerRequest)
        let reply = try await sheep.ask(
            .objectMap(request), about: volume, orFail: "Failed to read the map of VDI \(name.text)")
        guard case .objectMap(let map) = reply else { throw unexpectedReply() }
        return map
    }
}

extension ObjectRun {
    fileprivate func print(only index: UInt32?) {
        for index in index.map({ $0...$0 }) ?? first...(first + (count - 1)) {
            let digits = String(index)
            let padded = String(repeating: "0", count: max(0, 8 - digits.count)) + digits
            Terminal.print(padded + " " + vid.rawValue.hexadecimal(8))
        }
    }

    fileprivate var json: JSON {
        .object([("first", .number(first)), ("count", .number(count)), ("vid", .string(vid.description))])
    }
}
