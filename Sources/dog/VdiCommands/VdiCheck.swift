import ArgumentParser
import Client
import SheepProtocol

struct VdiCheck: SheepCommand {
    static let configuration = CommandConfiguration(
        commandName: "check", abstract: "Verifies the copies of a volume's objects and makes damaged ones good.")
    @OptionGroup var common: CommonOptions
    @OptionGroup var listing: ListingOptions
    @OptionGroup var snapshot: SnapshotOptions
    @Flag(name: [.customShort("e"), .customLong("exist")], help: "Only whether all copies are there, without reading them.")
    var existenceOnly = false
    @Argument(help: ArgumentHelp("The volume's name.", valueName: "name"))
    var name: VolumeName

    func run(with sheep: SheepClient) async throws {
        let volume = VolumeReference(name: name.text, selector: snapshot.selector ?? .working)
        let what = "Failed to check VDI \(name.text)"
        let started = try await sheep.ask(.volumeCheck(volume, existenceOnly: existenceOnly), about: volume, orFail: what)
        try await sheep.followCheck(started, orFail: what).tell(of: name.text, json: listing.json, existenceOnly: existenceOnly)
    }
}
