import ArgumentParser
import Client
import Glibc
import SheepProtocol

/// `[OFFSET [LENGTH]]` of read and write.
struct RangeOperands: ParsableArguments {
    @Argument(help: ArgumentHelp("Where to begin, 0 when absent.", valueName: "offset"))
    var offset: Size?
    @Argument(help: ArgumentHelp("How many bytes; to the end of the volume when absent.", valueName: "length"))
    var length: Size?

    /// The part of the range that the volume has; an offset beyond its end is refused.
    func range(in size: UInt64, _ verb: String) throws -> Range<UInt64> {
        let start = offset?.bytes ?? 0
        guard start <= size else { throw CommandFailure("\(verb) offset is beyond the end of the VDI") }
        return start..<(start + min(length?.bytes ?? .max, size - start))
    }
}

struct VdiRead: SheepCommand {
    static let configuration = CommandConfiguration(
        commandName: "read", abstract: "Writes a volume's content to standard output.")
    @OptionGroup var common: CommonOptions
    @OptionGroup var snapshot: SnapshotOptions
    @Argument(help: ArgumentHelp("The volume's name.", valueName: "name"))
    var name: VolumeName
    @OptionGroup var operands: RangeOperands

    func run(with sheep: SheepClient) async throws {
        let reference = VolumeReference(name: name.text, selector: snapshot.selector ?? .working)
        try await sheep.withVolume(reference, readOnly: true) { volume in
            let range = try operands.range(in: volume.information.size, "Read")
            try await StreamCopy.out(of: VolumeImage(volume), range: range, to: STDOUT_FILENO)
        }
    }
}

struct VdiWrite: SheepCommand {
    static let configuration = CommandConfiguration(
        commandName: "write", abstract: "Writes standard input to a volume.")
    @OptionGroup var common: CommonOptions
    @Flag(name: [.customShort("w"), .customLong("writeback")], help: "Do not wait for the disks at the end.")
    var writeback = false
    @Argument(help: ArgumentHelp("The volume's name.", valueName: "name"))
    var name: VolumeName
    @OptionGroup var operands: RangeOperands

    func run(with sheep: SheepClient) async throws {
        try await sheep.withVolume(VolumeReference(name: name.text), readOnly: false) { volume in
            let range = try operands.range(in: volume.information.size, "Write")
            let image = VolumeImage(volume)
            var input = PieceReader(descriptor: STDIN_FILENO, limit: range.upperBound - range.lowerBound)
            _ = try await StreamCopy.into(image, at: range.lowerBound, from: &input)
            if !writeback { try await image.finish() }
        }
    }
}

extension SheepClient {
    func open(_ reference: VolumeReference, readOnly: Bool) async throws -> RemoteVolume {
        do {
            return try await openVolume(reference.exportName, readOnly: readOnly)
        } catch {
            throw error.failure("Failed to open VDI " + reference.openText)
        }
    }

    /// Opens, and closes however `body` ends: a volume that is open cannot be deleted.
    func withVolume(_ reference: VolumeReference, readOnly: Bool, _ body: (RemoteVolume) async throws -> Void) async throws {
        let volume = try await open(reference, readOnly: readOnly)
        do {
            try await body(volume)
        } catch {
            try? await volume.close()
            throw error
        }
        try? await volume.close()
    }
}
