import ArgumentParser
import Client
import SheepProtocol

struct VdiExport: SheepCommand {
    static let configuration = CommandConfiguration(
        commandName: "export", abstract: "Copies a volume or snapshot to a file, a pipe or an NBD export.",
        discussion: "A file becomes sparse where the volume has holes or zeros.")
    @OptionGroup var common: CommonOptions
    @OptionGroup var snapshot: SnapshotOptions
    @Argument(help: ArgumentHelp("The volume's name, or name@tag, name@id.", valueName: "name"))
    var name: String
    @Argument(help: ArgumentHelp("A file, '-' for standard output, or nbd://host/export, nbd+unix:///export?socket=path.", valueName: "target"))
    var target: ImageLocation

    func validate() throws { _ = try reference() }

    private func reference() throws -> VolumeReference {
        let parts = name.split(separator: "@", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
        guard let volume = VolumeName(argument: parts[0]) else { throw ValidationError("Invalid VDI name '\(name)'") }
        guard parts.count == 2 else { return VolumeReference(name: volume.text, selector: snapshot.selector ?? .working) }
        guard snapshot.selector == nil else { throw ValidationError("'-s' and a snapshot in the name exclude each other") }
        return VolumeReference(name: volume.text, selector: try SnapshotOptions.selector(parts[1]))
    }

    func run(with sheep: SheepClient) async throws {
        let volume = try await sheep.open(try reference(), readOnly: true)
        let image = VolumeImage(volume)
        switch try await OpenedTarget.open(target, size: image.size) {
        case .file(let file): try await ImageCopy.run(from: image, to: file)
        case .nbd(let nbd): try await ImageCopy.run(from: image, to: nbd)
        case .stream(let descriptor): try await StreamCopy.out(of: image, range: 0..<image.size, to: descriptor)
        }
        try? await volume.close()
    }
}
