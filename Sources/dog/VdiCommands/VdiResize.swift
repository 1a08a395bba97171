import ArgumentParser
import Client
import SheepProtocol

struct VdiResize: SheepCommand {
    static let configuration = CommandConfiguration(commandName: "resize", abstract: "Makes a volume larger.")
    @OptionGroup var common: CommonOptions
    @Argument(help: ArgumentHelp("The volume's name.", valueName: "name"))
    var name: VolumeName
    @Argument(help: ArgumentHelp("The new size in bytes, or with a suffix: 512M, 1.5T.", valueName: "size"))
    var size: Size

    func validate() throws { try size.check(objectShift: nil) }

    func run(with sheep: SheepClient) async throws {
        let volume = VolumeReference(name: name.text)
        let what = "Failed to resize VDI \(name.text)"
        guard case .volume(let present) = try await sheep.ask(.volumeFind(volume), about: volume, orFail: what) else {
            throw unexpectedReply()
        }
        guard size.bytes >= present.size else { throw UsageFailure(text: "Shrinking VDIs is not implemented") }
        _ = try await sheep.ask(
            .volumeResize(VolumeResize(name: name.text, size: size.bytes)), about: volume, orFail: what)
    }
}
