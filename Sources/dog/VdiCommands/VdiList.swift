import ArgumentParser
import Client
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
        if !common.raw {
            Terminal.print(
                "  Name        Id    Size    Used  Shared    Creation time   VDI id  Copies  Tag   Block Size Shift")
        }
        for volume in volumes { Terminal.print(volume.line(raw: common.raw)) }
    }
}

extension SheepClient {
    /// By name; of one name the snapshots by id, then the working volume.
    func volumes(named name: String? = nil) async throws -> [VolumeRecord] {
        guard case .volumes(let volumes) = try await ask(.volumeList(name: name), orFail: "Failed to read VDIs") else {
            throw unexpectedReply()
        }
        return volumes.sorted { $0.place < $1.place }
    }
}

extension VolumeRecord {
    fileprivate var place: (String, UInt32) { (name, isSnapshot ? snapshotID : .max) }

    /// The first character: s snapshot, c clone, else a blank, or '=' in raw output.
    fileprivate func flag(raw: Bool) -> String { isSnapshot ? "s" : isClone ? "c" : raw ? "=" : " " }

    fileprivate func line(raw: Bool) -> String {
        let sizes = [size, usage?.own ?? 0, usage?.shared ?? 0].map { ByteText.string($0, raw: raw) }
        if raw {
            return ([flag(raw: true), escapedName, String(snapshotID)] + sizes
                + [DateText.unixSeconds(createdAt), vid.description, String(copies), tag, String(objectShift)])
                .joined(separator: " ")
        }
        return "\(flag(raw: false)) \(name.padded(right: 8)) \(snapshotID.padded(5)) "
            + sizes.map { $0.padded(left: 7) }.joined(separator: " ")
            + " \(DateText.minutes(createdAt))  \(vid.rawValue.hexadecimal(7)) \(copies.padded(6)) "
            + "\(tag.padded(left: 13)) \(objectShift.padded(3))"
    }

    /// Raw lines are split at blanks.
    private var escapedName: String {
        var result = ""
        for character in name.unicodeScalars {
            if character == " " || character == "\\" { result += "\\" }
            result.unicodeScalars.append(character)
        }
        return result
    }

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
