import ArgumentParser
import Client
import ObjectModel
import SheepProtocol

struct VdiClone: SheepCommand {
    static let configuration = CommandConfiguration(
        commandName: "clone", abstract: "Makes a volume that begins as a snapshot's content.")
    @OptionGroup var common: CommonOptions
    @OptionGroup var snapshot: SnapshotOptions
    @Flag(name: [.customShort("P"), .customLong("prealloc")], help: "Take all the space at once, share nothing.")
    var preallocate = false
    @Flag(name: [.customShort("n"), .customLong("no-share")], help: "Copy what the snapshot has, share nothing; holes stay holes.")
    var unshared = false
    @Argument(help: ArgumentHelp("The snapshot's volume.", valueName: "source"))
    var source: VolumeName
    @Argument(help: ArgumentHelp("The new volume's name.", valueName: "name"))
    var name: VolumeName

    func validate() throws {
        guard snapshot.selector != nil else {
            throw ValidationError("Only snapshot VDIs can be cloned\nPlease specify the '-s' option")
        }
    }

    func run(with sheep: SheepClient) async throws {
        let reference = VolumeReference(name: source.text, selector: snapshot.selector!)
        let reply = try await sheep.ask(
            .volumeClone(VolumeClone(source: reference, name: name.text)), about: reference,
            orFail: "Failed to create VDI \(name.text)")
        guard case .created(let created) = reply else { throw unexpectedReply() }
        if preallocate || unshared {
            try await sheep.undoing(created, named: name.text) {
                try await Preallocation.run(name: name.text, sheep: sheep, keepingHoles: !preallocate)
            }
        }
        if common.verbose { Terminal.print((common.raw ? "" : "VDI ID of newly created clone: ") + created.vid.description) }
    }
}
