import ArgumentParser
import Client
import SheepProtocol

struct VdiImport: SheepCommand {
    static let configuration = CommandConfiguration(
        commandName: "import", abstract: "Makes a volume with the content of a file, a pipe or an NBD export.",
        discussion: "Exit code 3 when the volume exists. When it fails midway the volume is deleted again.")
    @OptionGroup var common: CommonOptions
    @OptionGroup var redundancy: RedundancyOptions
    @OptionGroup var objects: ObjectSizeOptions
    @Argument(help: ArgumentHelp("A file, '-' for standard input, or nbd://host/export, nbd+unix:///export?socket=path.", valueName: "source"))
    var source: ImageLocation
    @Argument(help: ArgumentHelp("The new volume's name.", valueName: "name"))
    var name: VolumeName

    func run(with sheep: SheepClient) async throws {
        try await Interruption.cancelling { [self] in
            switch try await OpenedSource.open(source) {
            case .file(let image): try await fill(from: image, sheep)
            case .nbd(let image): try await fill(from: image, sheep)
            case .stream(let descriptor):
                try await fill(from: PieceReader(descriptor: descriptor, limit: .max), sheep)
            }
        }
    }

    private func create(size: UInt64, _ sheep: SheepClient) async throws -> VolumeCreated {
        try await sheep.createVolume(
            VolumeCreate(
                name: name.text, size: size, copies: redundancy.copies ?? 0, objectShift: objects.shift ?? 0),
            existing: ExitStatus.exists)
    }

    private func fill(from image: some ImageSource, _ sheep: SheepClient) async throws {
        let created = try await create(size: image.size, sheep)
        try await sheep.undoing(created, named: name.text) {
            try await sheep.withVolume(VolumeReference(name: name.text), readOnly: false) { volume in
                try await ImageCopy.run(from: image, to: VolumeImage(volume, isFresh: true))
            }
        }
    }

    /// A pipe does not tell its length, and a volume only grows: it follows what was read.
    private func fill(from input: PieceReader, _ sheep: SheepClient) async throws {
        var batches = BatchReader(input: input)
        let first = try await batches.next()
        let created = try await create(size: first.length, sheep)
        try await sheep.undoing(created, named: name.text) {
            try await sheep.withVolume(VolumeReference(name: name.text), readOnly: false) { volume in
                let image = VolumeImage(volume, isFresh: true)
                var (batch, position) = (first, UInt64(0))
                while batch.length > 0 {
                    try await batch.write(to: image, at: position)
                    position += batch.length
                    batch = try await batches.next()
                    if batch.length > 0 { try await grow(to: position + batch.length, sheep) }
                }
                try await image.finish()
            }
        }
    }

    private func grow(to size: UInt64, _ sheep: SheepClient) async throws {
        _ = try await sheep.ask(
            .volumeResize(VolumeResize(name: name.text, size: size)), orFail: "Failed to resize VDI \(name.text)")
    }
}
