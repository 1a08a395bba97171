import ArgumentParser
import Client
import Listings
import ObjectModel
import SheepProtocol

struct VdiGraph: SheepCommand {
    static let configuration = CommandConfiguration(
        commandName: "graph", abstract: "What descends from what, for Graphviz.")
    @OptionGroup var common: CommonOptions
    @OptionGroup var listing: ListingOptions

    func run(with sheep: SheepClient) async throws {
        let volumes = try await sheep.volumes()
        if listing.json { return Terminal.print(JSON.array(volumes.map(\.graphJSON)).text()) }
        Terminal.print("digraph sheepdog {")
        Terminal.print("  node [shape = box, fontname = \"monospace\"];")
        Terminal.print("  \"0\" [label = \"root\", shape = ellipse];")
        for volume in volumes { Terminal.print(volume.graphNode) }
        let known = Set(volumes.map(\.birth))
        for volume in volumes {
            let parent = volume.parent.flatMap { known.contains($0) ? $0 : nil } ?? Birth(rawValue: 0)
            Terminal.print("  \"\(parent)\" -> \"\(volume.birth)\";")
        }
        Terminal.print("}")
    }
}

extension VolumeRecord {
    fileprivate var graphNode: String {
        let escaped = JSON.string(name).text().dropFirst().dropLast()
        let label = [
            "Name: \(escaped)", "VID: \(vid)", "Size: \(ByteText.string(size, raw: false))",
            isSnapshot ? "Snapshot: \(snapshotID) \(JSON.string(tag).text().dropFirst().dropLast())" : "Working",
            DateText.seconds(isSnapshot ? snapshotAt : createdAt),
        ].joined(separator: "\\l") + "\\l"
        return "  \"\(birth)\" [label = \"\(label)\"\(isSnapshot ? "" : ", color = red")];"
    }

    fileprivate var graphJSON: JSON {
        .object([
            ("birth", .number(birth.rawValue)), ("parent", parent.map { .number($0.rawValue) } ?? .null),
            ("name", .string(name)), ("vid", .string(vid.description)), ("isSnapshot", .bool(isSnapshot)),
        ])
    }
}
