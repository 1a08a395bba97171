import ArgumentParser
import Client
import SheepProtocol

struct VdiDelete: SheepCommand {
    static let configuration = CommandConfiguration(
        commandName: "delete", abstract: "Deletes a volume, or one snapshot of it.")
    @OptionGroup var common: CommonOptions
    @OptionGroup var snapshot: SnapshotOptions
    @OptionGroup var reclaiming: ReclaimingOptions
    @Argument(help: ArgumentHelp("The volume's name.", valueName: "name"))
    var name: VolumeName

    func run(with sheep: SheepClient) async throws {
        let volume = VolumeReference(name: name.text, selector: snapshot.selector ?? .working)
        _ = try await sheep.ask(
            .volumeDelete(VolumeDelete(volume: volume)), about: volume, orFail: "Failed to delete \(name.text)")
    }
}
