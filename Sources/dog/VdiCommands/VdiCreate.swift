import ArgumentParser
import Client
import ObjectModel
import SheepProtocol

struct VdiCreate: SheepCommand {
    static let configuration = CommandConfiguration(commandName: "create", abstract: "Makes a volume.")
    @OptionGroup var common: CommonOptions
    @OptionGroup var redundancy: RedundancyOptions
    @OptionGroup var objects: ObjectSizeOptions
    @Flag(name: [.customShort("P"), .customLong("prealloc")], help: "Take all the space at once.")
    var preallocate = false
    @Flag(name: [.customShort("y"), .customLong("hyper")], help: "For volumes that Sheepdog calls hyper; any volume may be as large here.")
    var hyper = false
    @Argument(help: ArgumentHelp("The volume's name.", valueName: "name"))
    var name: VolumeName
    @Argument(help: ArgumentHelp("Bytes, or with a suffix: 512M, 1.5T.", valueName: "size"))
    var size: Size

    func validate() throws { try size.check(objectShift: objects.shift) }

    func run(with sheep: SheepClient) async throws {
        let created = try await sheep.createVolume(VolumeCreate(
            name: name.text, size: size.bytes, copies: redundancy.copies ?? 0, objectShift: objects.shift ?? 0))
        if preallocate {
            try await sheep.undoing(created, named: name.text) {
                try await Preallocation.run(name: name.text, sheep: sheep)
            }
        }
        if common.verbose { Terminal.print((common.raw ? "" : "VDI ID of newly created VDI: ") + created.vid.description) }
    }
}

extension Size {
    /// 2^32 objects of the size given, or of the largest when the cluster decides.
    func check(objectShift: UInt8?) throws {
        let largest = ObjectShift(rawValue: objectShift ?? ObjectShift.allowed.upperBound)!.largestVolume
        guard bytes <= largest else {
            throw ValidationError("VDI size is larger than \(largest) bytes: use '-z' for larger objects")
        }
    }
}

extension SheepClient {
    func createVolume(
        _ request: VolumeCreate, existing status: ExitCode = ExitStatus.failure
    ) async throws -> VolumeCreated {
        let what = "Failed to create VDI \(request.name)"
        do throws(ClientError) {
            guard case .created(let created) = try await administer(.volumeCreate(request)) else {
                throw ClientError.malformed(endpoint, "another reply")
            }
            return created
        } catch {
            var failure = error.failure(what)
            if error.code == .volumeExists { failure.status = status }
            throw failure
        }
    }

    /// Fills a volume that was just made; deletes it again when that fails, but never another's of the same name.
    func undoing(_ created: VolumeCreated, named name: String, _ fill: () async throws -> Void) async throws {
        do {
            try await fill()
        } catch {
            let undo = VolumeDelete(volume: VolumeReference(name: name), onlyBirth: created.birth)
            do throws(ClientError) {
                _ = try await administer(.volumeDelete(undo))
            } catch {
                Terminal.printError("VDI \(name) is incomplete and could not be deleted: \(error)")
            }
            throw error
        }
    }
}
