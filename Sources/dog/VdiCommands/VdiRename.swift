import ArgumentParser
import Client
import SheepProtocol

struct VdiRename: SheepCommand {
    static let configuration = CommandConfiguration(
        commandName: "rename", abstract: "Gives a volume and its snapshots another name; who has it open goes on.")
    @OptionGroup var common: CommonOptions
    @Argument(help: ArgumentHelp("The volume's name.", valueName: "name"))
    var name: VolumeName
    @Argument(help: ArgumentHelp("The name that it gets.", valueName: "new-name"))
    var newName: VolumeName

    func run(with sheep: SheepClient) async throws {
        _ = try await sheep.ask(
            .volumeRename(VolumeRename(name: name.text, newName: newName.text)), about: VolumeReference(name: name.text),
            orFail: "Failed to rename VDI \(name.text) to \(newName.text)")
    }
}
