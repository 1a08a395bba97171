import ArgumentParser
import Client
import Listings
import ObjectModel
import SheepProtocol

struct VdiList: SheepCommand {
    static let configuration = CommandConfiguration(commandName: "list", abstract: "Volumes and snapshots.")
    @OptionGroup var common: CommonOptions
    @OptionGroup var listing: ListingOptions
    @Option(name: [.customShort("o"), .customLong("oid")], help: ArgumentHelp("Only those that show this object, in hexadecimal.", valueName: "oid"), transform: Self.object)
    var object: UInt64?
    @Argument(help: ArgumentHelp("Only this volume and its snapshots.", valueName: "name"))
    var name: VolumeName?

    private static func object(_ text: String) throws -> UInt64 {
        let digits = text.hasPrefix("0x") || text.hasPrefix("0X") ? text.dropFirst(2) : text[...]
        // A data object's: the upper bits, zero, are the volume's VID, the lower its index.
        guard let number = UInt64(digits, radix: 16), number >> 56 == 0 else {
            throw ValidationError("Invalid object id '\(text)': up to 14 hexadecimal digits, as 'vdi object location' shows it")
        }
        return number
    }

    /// A name that nobody has is an empty list, not a failure: scripts look whether anything comes.
    func run(with sheep: SheepClient) async throws {
        var volumes = try await sheep.volumes(named: name?.text)
        if let object { volumes = try await sheep.showing(object, among: volumes) }
        if listing.json { return Terminal.print(JSON.array(volumes.map(\.json)).text()) }
        for line in volumes.listing(raw: common.raw) { Terminal.print(line) }
    }
}

extension SheepClient {
    /// Of these volumes those whose map has the object.
    fileprivate func showing(_ object: UInt64, among volumes: [VolumeRecord]) async throws -> [VolumeRecord] {
        var found: [VolumeRecord] = []
        for volume in volumes {
            let reference = VolumeReference(name: volume.name, selector: volume.isSnapshot ? .id(volume.snapshotID) : .working)
            let index = UInt32(truncatingIfNeeded: object)
            let request = ObjectMapRequest(volume: reference, from: index, through: index, limit: 1)
            guard case .objectMap(let map) = try await ask(.objectMap(request), about: reference, orFail: "Failed to read the map of VDI \(volume.name)")
            else { throw unexpectedReply() }
            if let run = map.runs.first, run.first == index, UInt64(run.vid.rawValue) == object >> 32 { found.append(volume) }
        }
        return found
    }

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
