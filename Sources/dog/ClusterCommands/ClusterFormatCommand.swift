import ArgumentParser
import Client
import Listings
import ObjectModel
import SheepProtocol

struct ClusterFormatCommand: SheepCommand {
    static let configuration = CommandConfiguration(
        commandName: "format", abstract: "Makes a cluster of the sheep that are there.")
    @OptionGroup var common: CommonOptions
    @OptionGroup var redundancy: RedundancyOptions
    @OptionGroup var objects: ObjectSizeOptions
    @Option(name: [.customShort("b"), .customLong("store")], help: "The store; plain and tree mean the same here.")
    var store = "plain"
    @Flag(name: [.short, .long], help: "Do not ask. Formats again over an existing cluster: all volumes are lost.")
    var force = false
    @Flag(name: [.customShort("t"), .customLong("strict")], help: "No writes with fewer zones than copies.")
    var strict = false
    @Flag(name: [.customShort("l"), .customLong("lock")], help: "A volume is attached once at a time.")
    var lock = false
    @Flag(name: [.customShort("m"), .customLong("disk-mode")], help: "Virtual nodes belong to disks, not to sheep: shown by 'cluster info -v', they always do here.")
    var diskMode = false
    @Flag(name: [.customShort("R"), .customLong("recycle-vid")], help: "Use the ids of deleted volumes again.")
    var recycleVID = false
    @Flag(name: [.customShort("F"), .customLong("avoid-diskfull")], help: "Refuse new objects before a disk is full.")
    var avoidDiskFull = false
    @Flag(name: [.customShort("V"), .customLong("fixed-vnodes")], help: "Every sheep names its number of virtual nodes.")
    var fixedVirtualNodes = false

    func validate() throws {
        guard store == "plain" || store == "tree" else { throw ValidationError("Invalid store '\(store)': plain or tree") }
    }

    func run(with sheep: SheepClient) async throws {
        var request = ClusterFormat(
            copies: redundancy.copies ?? Redundancy.standardCopies, objectShift: objects.shift ?? ObjectShift.standard.rawValue,
            flags: flags, force: force)
        do throws(ClientError) {
            _ = try await sheep.administer(.clusterFormat(request))
        } catch {
            guard error.code == .alreadyFormatted else { throw error.failure("Failed to format cluster") }
            guard Terminal.confirm("The cluster is formatted already. All its volumes will be lost. Are you sure?") else {
                throw CommandFailure("Failed to format cluster: it is formatted already; -f formats it again, all volumes are lost then")
            }
            request.force = true
            _ = try await sheep.ask(.clusterFormat(request), orFail: "Failed to format cluster")
        }
        Terminal.print("using backend \(store) store")
    }

    private var flags: UInt16 {
        var flags: UInt16 = fixedVirtualNodes ? 0 : ClusterFlags.automaticVirtualNodes
        // Sheepdog's turns strict on as well, by mistake.
        if diskMode { flags |= ClusterFlags.diskMode }
        if strict { flags |= ClusterFlags.strict }
        if lock { flags |= ClusterFlags.useLock }
        if recycleVID { flags |= ClusterFlags.recycleVID }
        if avoidDiskFull { flags |= ClusterFlags.avoidDiskFull }
        return flags
    }
}
