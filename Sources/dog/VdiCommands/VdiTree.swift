import ArgumentParser
import Client
import Listings
import ObjectModel
import SheepProtocol

struct VdiTree: SheepCommand {
    static let configuration = CommandConfiguration(commandName: "tree", abstract: "What descends from what.")
    @OptionGroup var common: CommonOptions
    @OptionGroup var listing: ListingOptions

    func run(with sheep: SheepClient) async throws {
        let trees = VolumeForest(try await sheep.volumes()).trees()
        if listing.json { return Terminal.print(JSON.array(trees.map(\.json)).text()) }
        for tree in trees { for line in tree.lines() { Terminal.print(line) } }
    }
}

extension Tree {
    fileprivate var json: JSON { .object([("label", .string(label)), ("children", .array(children.map(\.json)))]) }
}

/// Volumes and snapshots by ancestry. One whose parent is deleted stands as a root.
struct VolumeForest {
    private let volumes: [VolumeRecord]
    private let children: [Birth: [VolumeRecord]]

    init(_ volumes: [VolumeRecord]) {
        let known = Set(volumes.map(\.birth))
        self.volumes = volumes.filter { $0.parent.map { !known.contains($0) } ?? true }.sorted { $0.birth < $1.birth }
        // A child is always born after its parent; a listing that says otherwise would not end.
        let descendants = volumes.filter { volume in volume.parent.map { $0 < volume.birth } ?? false }
        children = Dictionary(grouping: descendants.sorted { $0.birth < $1.birth }) { $0.parent! }
    }

    func trees() -> [Tree] { volumes.map { Tree(label: $0.name, children: [node($0)]) } }

    /// A name is told where it begins: at the root and at each clone.
    private func node(_ volume: VolumeRecord) -> Tree {
        let label = volume.isSnapshot ? "[" + DateText.minutes(volume.snapshotAt) + "]" : "(you are here)"
        let below = (children[volume.birth] ?? []).map { child in
            child.name == volume.name ? node(child) : Tree(label: child.name, children: [node(child)])
        }
        return Tree(label: label, children: below)
    }
}
