import ArgumentParser
import Client
import ObjectModel
import SheepProtocol

struct VdiRollback: SheepCommand {
    static let configuration = CommandConfiguration(
        commandName: "rollback", abstract: "Sets a volume back to one of its snapshots.",
        discussion: """
            What was written since its last snapshot is lost. The snapshot stays. A volume that was made larger since keeps its size, for it may \
            be in use, and reads as zeros past the snapshot's end; 'dog vdi clone' makes one of the snapshot's size.
            """)
    @OptionGroup var common: CommonOptions
    @OptionGroup var snapshot: SnapshotOptions
    @OptionGroup var reclaiming: ReclaimingOptions
    @Flag(name: [.short, .long], help: "Do not ask.")
    var force = false
    @Argument(help: ArgumentHelp("The volume's name.", valueName: "name"))
    var name: VolumeName

    func validate() throws {
        guard snapshot.selector != nil else { throw ValidationError("Please specify the '-s' option") }
    }

    func run(with sheep: SheepClient) async throws {
        if !force {
            let question = "What was written to VDI \(name.text) since its last snapshot will be lost. Are you sure?"
            guard Terminal.confirm(question) else { throw CommandFailure("VDI \(name.text) is left as it is; -f does not ask") }
        }
        let reference = VolumeReference(name: name.text, selector: snapshot.selector!)
        let reply = try await sheep.ask(
            .volumeRollback(reference), about: reference, orFail: "Failed to rollback VDI \(name.text)")
        guard case .created(let created) = reply else { throw unexpectedReply() }
        if common.verbose { Terminal.print((common.raw ? "" : "New VDI ID: ") + created.vid.description) }
    }
}
