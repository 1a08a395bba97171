import ArgumentParser
import Client
import FUSEFrontend
import Glibc

/// The options of `sheepfs`, and nothing else: what they mean is checked here, before anything is opened.
@main
struct SheepfsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "sheepfs",
        abstract: "Shows a sheepdog cluster and its volumes as files.",
        discussion: """
            sheepfs /mnt/sheepdog
            echo alice > /mnt/sheepdog/vdi/mount
            losetup -f --show /mnt/sheepdog/volume/alice
            Without -f it goes to the background once it is mounted. 'umount MOUNTPOINT' or SIGTERM end it.
            """,
        version: "sheepfs 2.0.0", helpNames: [.short, .long])

    @Argument(help: ArgumentHelp("The folder to mount on.", valueName: "mountpoint"), completion: .directory)
    var mountPoint: String

    @Option(name: .shortAndLong, help: "The sheep's address, or the path of its unix socket.")
    var address = "127.0.0.1"

    @Option(name: .shortAndLong, help: "The sheep's port.")
    var port = "7000"

    @Option(name: .long, help: ArgumentHelp("The file with the cluster's key, if its sheep have one (SHEEPDOG_KEY).", valueName: "file"))
    var key: String?

    @Flag(name: .shortAndLong, help: "Print every request; stays in the foreground.")
    var debug = false

    @Flag(name: .shortAndLong, help: "Stay in the foreground and log to standard error.")
    var foreground = false

    @Flag(name: [.customShort("k"), .customLong("pagecache")], help: "Let the kernel cache what is read, and what is written until it is synced.")
    var pageCache = false

    @Flag(name: [.customShort("n"), .customLong("noobjectcache")], help: "Accepted and of no effect: there is no object cache.")
    var noObjectCache = false

    @Flag(name: .customLong("allow-other"), help: "Let other users enter (a user needs user_allow_other in /etc/fuse.conf for it).")
    var allowOther = false

    @Flag(name: .customLong("auto-mount"), help: "Show every volume and snapshot without writing to vdi/mount.")
    var autoMount = false

    mutating func run() throws {
        let options = try SheepfsOptions(self)
        Glibc.exit(Process.run(options))
    }
}

/// The options with their meaning; refused with a text that names the option.
struct SheepfsOptions: Sendable {
    var endpoint: SheepEndpoint
    var keyFile: String?
    var foreground: Bool
    var debug: Bool
    var fuse: FUSEConfiguration

    init(_ command: SheepfsCommand) throws {
        guard !command.address.isEmpty else { throw ValidationError("Invalid address ''") }
        if command.address.contains("/") {
            endpoint = .unix(path: command.address)
        } else {
            guard let port = UInt16(command.port), port > 0 else { throw ValidationError("Invalid port number '\(command.port)'") }
            endpoint = .tcp(host: command.address, port: port)
        }
        keyFile = command.key ?? getenv("SHEEPDOG_KEY").map { String(cString: $0) }
        guard !command.mountPoint.isEmpty else { throw ValidationError("The mount point's path is empty") }
        (debug, foreground) = (command.debug, command.foreground || command.debug)
        fuse = FUSEConfiguration(mountPoint: command.mountPoint)
        (fuse.allowOther, fuse.autoMount) = (command.allowOther, command.autoMount)
        (fuse.pageCache, fuse.debug) = (command.pageCache, command.debug)
    }
}
