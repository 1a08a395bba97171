import ArgumentParser
import Client
import ObjectModel
import SheepProtocol

struct VdiSnapshot: SheepCommand {
    static let configuration = CommandConfiguration(
        commandName: "snapshot", abstract: "Freezes a volume's content under a tag; the volume goes on.")
    @OptionGroup var common: CommonOptions
    @Option(name: [.customShort("s"), .customLong("snapshot")], help: "The snapshot's tag, not a number.")
    var tag = ""
    @Flag(name: [.customShort("R"), .customLong("reduce-identical-snapshots")], help: "Do nothing when nothing was written since the last snapshot.")
    var reduceIdentical = false
    @Argument(help: ArgumentHelp("The volume's name.", valueName: "name"))
    var name: VolumeName

    func validate() throws {
        guard UInt64(tag) == nil else {
            throw ValidationError("Please specify a non-integer value for a snapshot tag name")
        }
        guard tag.utf8.count <= NameLimit.bytes else {
            throw ValidationError("Invalid snapshot tag: at most \(NameLimit.bytes) bytes")
        }
    }

    func run(with sheep: SheepClient) async throws {
        if reduceIdentical, try await sheep.isAsItsSnapshot(name.text) {
            if common.verbose { Terminal.print("VDI \(name.text) is as its last snapshot: no other is made") }
            return
        }
        let created = try await sheep.snapshot(VolumeSnapshot(name: name.text, tag: tag))
        guard common.verbose, let snapshot = created.snapshot else { return }
        Terminal.print(common.raw
            ? "\(created.vid) \(snapshot.vid)"
            : "new VID of original VDI: \(created.vid), VDI ID of newly created snapshot: \(snapshot.vid)")
    }
}

extension SheepClient {
    /// The volume has a snapshot and no object of its own. What sheep have that are down is not counted, so it is said of a
    /// running cluster only.
    fileprivate func isAsItsSnapshot(_ name: String) async throws -> Bool {
        guard case .cluster(let cluster) = try await ask(.clusterInformation, orFail: "Failed to get cluster information") else {
            throw unexpectedReply()
        }
        let volumes = try await volumes(named: name)
        guard cluster.status == .running, let working = volumes.first(where: { !$0.isSnapshot }) else { return false }
        return working.usage?.own == 0 && volumes.contains { $0.isSnapshot && $0.birth == working.parent && $0.size == working.size }
    }

    fileprivate func snapshot(_ request: VolumeSnapshot) async throws -> VolumeCreated {
        do throws(ClientError) {
            guard case .created(let created) = try await administer(.volumeSnapshot(request)) else {
                throw ClientError.malformed(endpoint, "another reply")
            }
            return created
        } catch {
            if error.code == .snapshotExists {
                throw CommandFailure(
                    "Failed to create snapshot for \(request.name), maybe snapshot id (0) or tag (\(request.tag)) is existed")
            }
            throw error.failure(VolumeReference(name: request.name), orFail: "Failed to create snapshot for \(request.name)")
        }
    }
}
