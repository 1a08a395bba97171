import ArgumentParser
import Client
import Listings
import ObjectModel
import SheepProtocol

struct VdiList: SheepCommand {
    static let configuration = CommandConfiguration(commandName: "list", abstract: "Volumes and snapshots.")
    @OptionGroup var common: CommonOptions
    @OptionGroup var listing: ListingOptions
    @Argument(help: ArgumentHelp("Only this volume and its snapshots.", valueName: "name"))
    var name: VolumeName?

    /// A name that nobody has is an empty list, not a failure: scripts look whether anything comes.
    func run(with sheep: SheepClient) async throws {
        let volumes = try await sheep.volumes(named: name?.text)
        if listing.json { return Terminal.print(JSON.array(volumes.map(\.json)).text()) }
        for line in volumes.listing(raw: common.raw) { Terminal.print(line) }
    }
}

extension SheepClient {
    /// In the order of a listing.
    func volumes(named name: String? = nil) async throws -> [VolumeRecord] {
        guard case .volumes(let volumes) = try await ask(.volumeList(name: name), orFail: "Failed to read VDIs") else {
            throw unexpectedReply()
        }
        return volumes.inListingOrder
    }
}

extension VolumeRecord {
    fileprivate var json: JSON {
        .object([
            ("name", .string(name)), ("isSnapshot", .bool(isSnapshot)), ("isClone", .bool(isClone)),
            ("snapshotID", .number(snapshotID)), ("tag", .string(tag)), ("size", .number(size)),
            ("used", usage.map { .number($0.own) } ?? .null), ("shared", usage.map { .number($0.shared) } ?? .null),
            ("createdAt", .number(createdAt / 1_000_000_000)), ("snapshotAt", .number(snapshotAt / 1_000_000_000)),
            ("vid", .string(vid.description)), ("birth", .number(birth.rawValue)),
            ("parent", parent.map { .number($0.rawValue) } ?? .null), ("copies", .number(copies)),
            ("objectShift", .number(objectShift)), ("attributes", .number(attributeCount)),
        ])
    }
}
