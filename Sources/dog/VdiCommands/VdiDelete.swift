import ArgumentParser
import Client
import ObjectModel
import SheepProtocol

struct VdiDelete: SheepCommand {
    static let configuration = CommandConfiguration(
        commandName: "delete", abstract: "Deletes a volume, or one snapshot of it.",
        discussion: "Ends with 0 also when there is no volume of that name, and says so.")
    @OptionGroup var common: CommonOptions
    @OptionGroup var snapshot: SnapshotOptions
    @OptionGroup var reclaiming: ReclaimingOptions
    @Argument(help: ArgumentHelp("The volume's name.", valueName: "name"))
    var name: VolumeName

    func run(with sheep: SheepClient) async throws {
        let volume = VolumeReference(name: name.text, selector: snapshot.selector ?? .working)
        do {
            _ = try await sheep.administer(.volumeDelete(VolumeDelete(volume: volume)))
        } catch {
            var failure = error.failure(volume, orFail: "Failed to delete \(name.text)")
            // What is not there is deleted: Cinder looks for the text, and takes any other status for a failure.
            if case .noSuchVolume = error.code { failure.status = .success }
            throw failure
        }
    }
}
