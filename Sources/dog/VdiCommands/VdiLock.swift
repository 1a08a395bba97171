import ArgumentParser
import Client
import Listings
import ObjectModel
import SheepProtocol

struct VdiLock: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "lock", abstract: "Who has volumes attached.", subcommands: [VdiLockList.self, VdiLockUnlock.self])
}

struct VdiLockList: SheepCommand {
    static let configuration = CommandConfiguration(commandName: "list", abstract: "All locked volumes.")
    @OptionGroup var common: CommonOptions
    @OptionGroup var listing: ListingOptions

    func run(with sheep: SheepClient) async throws {
        guard case .locks(let locks) = try await sheep.ask(.lockList, orFail: "Failed to get the locks") else {
            throw unexpectedReply()
        }
        if listing.json { return Terminal.print(JSON.array(locks.map(\.json)).text()) }
        if !common.raw { Terminal.print("  Name         Id  VDI id  Tag            Owner node(s)") }
        for lock in locks { Terminal.print(lock.line(raw: common.raw)) }
    }
}

extension LockRecord {
    fileprivate func line(raw: Bool) -> String {
        let owners = owners.joined(separator: raw ? " " : ", ")
        if raw { return "\(name) \(snapshotID) \(vid) \(tag) \(owners)" }
        return (snapshotID == 0 ? "  " : "s ") + name.padded(right: 8) + " " + snapshotID.padded(6) + " "
            + vid.rawValue.hexadecimal(7) + "  " + tag.padded(right: 13) + "  " + owners + (isShared ? " (shared)" : "")
    }

    fileprivate var json: JSON {
        .object([
            ("name", .string(name)), ("snapshotID", .number(snapshotID)), ("tag", .string(tag)),
            ("vid", .string(vid.description)), ("isShared", .bool(isShared)), ("owners", .strings(owners)),
        ])
    }
}

struct VdiLockUnlock: SheepCommand {
    static let configuration = CommandConfiguration(
        commandName: "unlock", abstract: "Ends a lock whose owner is gone.")
    @OptionGroup var common: CommonOptions
    @OptionGroup var snapshot: SnapshotOptions
    @Argument(help: ArgumentHelp("The volume's name.", valueName: "name"))
    var name: VolumeName

    func run(with sheep: SheepClient) async throws {
        let volume = VolumeReference(name: name.text, selector: snapshot.selector ?? .working)
        _ = try await sheep.ask(.lockUnlock(volume), about: volume, orFail: "Failed to unlock VDI \(name.text)")
    }
}
