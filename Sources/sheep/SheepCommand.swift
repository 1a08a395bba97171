import ArgumentParser
import Cluster
import FrontendKit
import Gateway
import Glibc
import Logging
import NBDFrontend
import SheepProtocol
import Transport

/// The options of `sheep`, and nothing else: what they mean is checked here, before anything is opened.
@main
struct SheepCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "sheep",
        abstract: "Stores replicated objects and puts volumes on the network.",
        discussion: """
            Three sheep on one machine, three copies:
              sheep -p 7000 --nbd 127.0.0.1:10809 /srv/sheep/0
              sheep -p 7001 /srv/sheep/1
              sheep -p 7002 /srv/sheep/2
              dog cluster format -c 3
            Without -f it goes to the background once it serves. Stop all sheep together with 'dog cluster shutdown'.
            """,
        version: "sheep 2.0.0", helpNames: [.short, .long])

    @Argument(help: "The folder of this sheep's data; made when it is not there.", completion: .directory)
    var store: String?

    @Option(name: [.customShort("b"), .customLong("bindaddr")], help: ArgumentHelp("Address to listen on.", valueName: "address"))
    var bindAddress = "127.0.0.1"

    @Option(name: .shortAndLong, help: ArgumentHelp("Cluster engine: local[:DIR]; sheep with the same DIR (default: the parent of STORE) are one cluster.", valueName: "engine"))
    var cluster = "local"

    @Flag(name: .shortAndLong, help: "Stay in the foreground and log to standard output.")
    var foreground = false

    @Flag(name: .shortAndLong, help: "Store nothing: a gateway for clients only.")
    var gateway = false

    @Option(name: [.customShort("i"), .customLong("ioaddr")], help: ArgumentHelp("host=ADDRESS[,port=PORT]: a network of its own for data between sheep, which use the main address when it fails.", valueName: "address"))
    var dataAddress: String?

    @Option(name: .shortAndLong, help: ArgumentHelp("level=error|warning|info|debug,dst=default|stdout,dir=DIR", valueName: "log"))
    var log = "level=info"

    @Flag(name: .shortAndLong, help: "Sync nothing: a power cut may lose what was written lately.")
    var nosync = false

    @Option(name: .shortAndLong, help: ArgumentHelp("TCP port for sheep and dog.", valueName: "port"))
    var port = "7000"

    @Option(name: [.customShort("P"), .customLong("pidfile")], help: ArgumentHelp("Write the process id there.", valueName: "file"))
    var pidFile: String?

    @Option(name: [.customShort("V"), .customLong("vnodes")], help: ArgumentHelp("Virtual nodes, the share of the data (default: by disk size).", valueName: "count"))
    var virtualNodes: String?

    @Option(name: [.customShort("y"), .customLong("myaddr")], help: ArgumentHelp("Address that other sheep reach this one at (default: -b).", valueName: "address"))
    var myAddress: String?

    @Option(name: .shortAndLong, help: ArgumentHelp("Copies of an object lie in different zones (default: each sheep its own).", valueName: "zone"))
    var zone: String?

    @Option(name: [.customShort("R"), .customLong("recovery")], help: ArgumentHelp("Recovery begins so many objects at most in each interval (default: as fast as clients do not suffer).", valueName: "max=N,interval=MS"))
    var recovery: String?

    @Flag(name: .customShort("v"), help: "Print the version.")
    var printVersion = false

    @Option(name: .customLong("nbd"), help: ArgumentHelp("Serve NBD there; may be given again.", valueName: "host:port"))
    var nbd: [String] = []

    @Option(name: .customLong("nbd-socket"), help: ArgumentHelp("Serve NBD on a unix socket; may be given again.", valueName: "path"))
    var nbdSocket: [String] = []

    @Option(name: .customLong("nbd-default"), help: ArgumentHelp("The volume for NBD clients that name none.", valueName: "volume"))
    var nbdDefault: String?

    @Option(name: .customLong("key"), help: ArgumentHelp("The file with the cluster's key ('dog cluster key FILE' makes one): sheep, dog and sheepfs have to prove it. Needed on another address than the loopback.", valueName: "file"))
    var key: String?

    @Option(name: .customLong("admit-legacy"), help: ArgumentHelp("Let Sheepdog's own clients (tgt, QEMU), which cannot prove a key, in from there; may be given again. This machine's are let in anyhow.", valueName: "address[/bits]"))
    var admitLegacy: [String] = []

    @Option(name: .customLong("durability"), help: ArgumentHelp("client: as each protocol asks; always: every acknowledged write outlives a power cut.", valueName: "client|always"))
    var durability = "client"

    @Option(name: .customLong("io-timeout"), help: ArgumentHelp("Seconds that a request waits for enough copies before it fails; 0: for ever.", valueName: "seconds"))
    var ioTimeout: UInt32 = 30

    @Option(name: .customLong("down-out"), help: ArgumentHelp("Seconds after which the data of a sheep that is down moves elsewhere; 0: at once.", valueName: "seconds"))
    var downOut: UInt32 = 300

    @Option(name: .customLong("scrub-days"), help: ArgumentHelp("Days in which everything stored is read and compared once; 0: only by 'dog cluster check'.", valueName: "days"))
    var scrubDays: UInt32 = 7

    @Option(name: .customLong("scrub-rate"), help: ArgumentHelp("MiB a second that the first such pass reads while no client wants anything.", valueName: "MiB"))
    var scrubRate: UInt32 = 16

    @Flag(help: "A store whose metadata are damaged is emptied, and its share copied from other sheep; a sound one stays as it is.")
    var rebuild = false

    @Flag(name: .customLong("restore-log"), help: "A control log that is lost or damaged is made anew from this store's copy of it: for the sheep that ran last, with all others of this machine stopped. A whole one stays as it is.")
    var restoreLog = false

    /// Wrong options end it with 1, as scripts that start sheep know it.
    static func main() {
        do {
            var command = try parseAsRoot()
            try command.run()
        } catch {
            guard exitCode(for: error) == .validationFailure else { exit(withError: error) }
            let text = Array((fullMessage(for: error) + "\n").utf8)
            _ = write(2, text, text.count)
            Foundationless.exit(with: 1)
        }
    }

    mutating func run() throws {
        if printVersion { return print(Self.configuration.version) }
        let options = try SheepOptions(self)
        Foundationless.exit(with: Daemon.run(options))
    }
}

/// Leaves the process without running what belongs to threads that still run.
enum Foundationless {
    static func exit(with status: Int32) -> Never { Glibc.exit(status) }
}

/// The options with their meaning; made once, refused with a text that names the option.
struct SheepOptions: Sendable {
    var store: String
    var host: String
    var port: UInt16
    var engineDirectory: String?
    var node: NodeOptions
    var foreground: Bool
    var logLevel = Logger.Level.info
    var logDirectory: String
    var logToStandardOutput: Bool
    var pidFile: String?
    var nbd: NBDConfiguration?
    var rebuild = false
    var restoreLog = false
    var keyFile: String?
    var admitLegacy: [AddressRange]

    /// Where Sheepdog's own clients of this machine connect; nil: the store's path is too long for a socket in it.
    var sheepdogSocket: String? {
        let path = store + "/sock"
        return path.utf8.count <= UnixSocketPath.longest ? path : nil
    }

    init(_ command: SheepCommand) throws {
        guard let path = command.store else { throw ValidationError("Missing expected argument '<store>'") }
        store = try Self.absolute(path)
        host = command.bindAddress
        keyFile = command.key
        admitLegacy = try command.admitLegacy.map { text in
            guard let range = AddressRange(text) else { throw ValidationError("Invalid address '\(text)' of --admit-legacy: 192.0.2.7 or 192.0.2.0/24 is wanted") }
            return range
        }
        guard let port = UInt16(command.port), port > 0 else { throw ValidationError("Invalid port number '\(command.port)'") }
        self.port = port
        engineDirectory = try Self.engineDirectory(command.cluster)
        node = NodeOptions(address: NodeAddress(host: try Self.ownHost(command), port: port))
        node.dataAddress = try command.dataAddress.map { try Self.dataAddress($0, port: port) }
        for host in [host, node.dataAddress?.host].compactMap({ $0 }) where keyFile == nil && !AddressRange.isLoopback(host: host) {
            throw ValidationError(
                """
                Other machines can reach a sheep that listens on \(host): it needs the cluster's key. \
                Make one with 'dog cluster key FILE' and give it to all sheep, dog and sheepfs by --key FILE
                """)
        }
        if let text = command.zone {
            guard let zone = UInt32(text) else {
                throw ValidationError("Invalid zone id '\(text)': must be an integer between 0 and 4294967295")
            }
            node.zone = zone
        } else {
            node.zone = UInt32(port)
        }
        if command.gateway, command.virtualNodes != nil { throw ValidationError("Options '-g' and '-V' can not be both specified") }
        if let text = command.virtualNodes {
            guard let count = UInt16(text), count > 0 else {
                throw ValidationError("Invalid number of vnodes '\(text)': must be an integer between 1 and 65535")
            }
            node.virtualNodes = count
        }
        if command.gateway { node.virtualNodes = 0 }
        guard ["client", "always"].contains(command.durability) else {
            throw ValidationError("Invalid durability '\(command.durability)': client or always")
        }
        if let text = command.recovery { node.recoveryThrottle = try Self.throttle(text) }
        node.alwaysDurable = command.durability == "always"
        node.neverSyncs = command.nosync
        node.inputOutputTimeout = UInt64(command.ioTimeout) * 1_000_000_000
        node.downOut = UInt64(command.downOut) * 1_000_000_000
        node.scrubPeriod = UInt64(command.scrubDays) * 86_400_000_000_000
        guard command.scrubRate > 0 else { throw ValidationError("Invalid scrub rate '0': MiB a second, or --scrub-days 0 for none") }
        node.scrubRate = UInt64(command.scrubRate) << 20
        rebuild = command.rebuild
        restoreLog = command.restoreLog
        foreground = command.foreground
        logDirectory = store
        logToStandardOutput = command.foreground
        pidFile = command.pidFile
        nbd = try Self.nbd(command)
        try readLog(command.log)
    }

    private static func absolute(_ path: String) throws -> String {
        guard !path.isEmpty else { throw ValidationError("The store's path is empty") }
        if path.hasPrefix("/") { return path }
        guard let current = getcwd(nil, 0) else { throw ValidationError("The current folder is gone") }
        defer { free(current) }
        return String(cString: current) + "/" + path
    }

    /// `host=ADDRESS[,port=PORT]`; without a port that of `-p`.
    private static func dataAddress(_ text: String, port: UInt16) throws -> NodeAddress {
        var address = NodeAddress(host: "", port: port)
        for part in text.split(separator: ",") {
            let pair = part.split(separator: "=", maxSplits: 1).map(String.init)
            guard pair.count == 2 else { throw ValidationError("Invalid ioaddr option '\(part)': key=value is wanted") }
            switch pair[0] {
            case "host": address.host = pair[1]
            case "port":
                guard let port = UInt16(pair[1]), port > 0 else { throw ValidationError("Invalid port number '\(pair[1])'") }
                address.port = port
            default: throw ValidationError("Invalid ioaddr option '\(pair[0])': host and port are known")
            }
        }
        guard !address.host.isEmpty else { throw ValidationError("Invalid ioaddr '\(text)': host=ADDRESS is wanted") }
        return address
    }

    /// Where sheep, `dog` and Sheepdog's own clients come; the main one first. A wildcard has the address for data in it.
    var listenAddresses: [NodeAddress] {
        let main = NodeAddress(host: host, port: port)
        guard let data = node.dataAddress, data != main else { return [main] }
        let isCovered = ["0.0.0.0", "::"].contains(host) && data.port == port
        return isCovered ? [main] : [main, data]
    }

    private static func engineDirectory(_ text: String) throws -> String? {
        if text == "local" { return nil }
        guard text.hasPrefix("local:") else {
            throw ValidationError("Unknown cluster engine '\(text)': this sheep has local[:DIR]")
        }
        return String(text.dropFirst("local:".count))
    }

    /// Where others find this sheep: "everywhere" is no place.
    private static func ownHost(_ command: SheepCommand) throws -> String {
        let host = command.myAddress ?? command.bindAddress
        guard (1...NodeAddress.longestHost).contains(host.utf8.count), !host.contains(where: \.isWhitespace) else {
            throw ValidationError("Invalid address '\(host)': 1 to \(NodeAddress.longestHost) bytes without blanks")
        }
        guard !["0.0.0.0", "::", "[::]", "*"].contains(host) else {
            throw ValidationError("Other sheep cannot reach this one at '\(host)': name its address with -y")
        }
        return host
    }

    private static func throttle(_ text: String) throws -> RecoveryThrottle {
        var throttle = RecoveryThrottle.none
        for part in text.split(separator: ",", omittingEmptySubsequences: false) {
            let pair = part.split(separator: "=", maxSplits: 1)
            guard pair.count == 2, let number = UInt32(pair[1]), number > 0 else {
                throw ValidationError("Invalid recovery throttle '\(text)': max=N,interval=MS with positive numbers is wanted")
            }
            switch pair[0] {
            case "max": throttle.objects = number
            case "interval": throttle.intervalMilliseconds = number
            default: throw ValidationError("Invalid recovery throttle '\(text)': there is no '\(pair[0])', only max and interval")
            }
        }
        guard throttle.isLimited else { throw ValidationError("Invalid recovery throttle '\(text)': both max and interval are wanted") }
        return throttle
    }

    private static func nbd(_ command: SheepCommand) throws -> NBDConfiguration? {
        var listeners: [NBDListener] = []
        for text in command.nbd {
            guard let colon = text.lastIndex(of: ":"), let port = UInt16(text[text.index(after: colon)...]) else {
                throw ValidationError("Invalid NBD address '\(text)': HOST:PORT is wanted")
            }
            let host = text[..<colon].trimming(brackets: true)
            listeners.append(.tcp(host: host.isEmpty ? "127.0.0.1" : host, port: Int(port)))
        }
        listeners += command.nbdSocket.map { .unix(path: $0) }
        if listeners.isEmpty {
            if command.nbdDefault != nil { throw ValidationError("--nbd-default needs --nbd or --nbd-socket") }
            return nil
        }
        return NBDConfiguration(listeners: listeners, defaultExport: command.nbdDefault)
    }

    private mutating func readLog(_ text: String) throws {
        for part in text.split(separator: ",") {
            let pair = part.split(separator: "=", maxSplits: 1).map(String.init)
            guard pair.count == 2 else { throw ValidationError("Invalid log option '\(part)': key=value is wanted") }
            switch pair[0] {
            case "level":
                guard let level = Logger.Level(rawValue: pair[1] == "err" ? "error" : pair[1]) else {
                    throw ValidationError("Invalid log level '\(pair[1])'")
                }
                logLevel = level
            case "dir": logDirectory = pair[1]
            case "dst":
                guard ["default", "stdout"].contains(pair[1]) else { throw ValidationError("Invalid log destination '\(pair[1])'") }
                if pair[1] == "stdout" { (logToStandardOutput, foreground) = (true, true) } else { logToStandardOutput = false }
            case "format":
                guard ["default", "server", "json"].contains(pair[1]) else { throw ValidationError("Invalid log format '\(pair[1])'") }
            default: throw ValidationError("Invalid log option '\(pair[0])'")
            }
        }
    }
}

extension Substring {
    /// "[::1]" as "::1".
    fileprivate func trimming(brackets: Bool) -> String {
        hasPrefix("[") && hasSuffix("]") ? String(dropFirst().dropLast()) : String(self)
    }
}
