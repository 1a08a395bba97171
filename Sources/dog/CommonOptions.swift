import ArgumentParser
import Authentication
import Client
import Glibc
import ObjectModel

/// The options that every command has.
struct CommonOptions: ParsableArguments {
    @Option(name: [.short, .long], help: "The sheep's address, or the path of its unix socket.")
    var address: String?
    @Option(name: [.short, .long], help: "The sheep's port.")
    var port: String?
    @Option(help: ArgumentHelp("The file with the cluster's key, if its sheep have one.", valueName: "file"))
    var key: String?
    @Flag(name: [.short, .long], help: "Output for scripts: bare values, one line each.")
    var raw = false
    @Flag(name: [.short, .long], help: "Say more.")
    var verbose = false
    @Flag(name: [.customShort("T"), .customLong("time")], help: "Tell the elapsed time at the end.")
    var time = false

    static let defaultAddress = "127.0.0.1"
    static let defaultPort = "7000"

    /// Also read when only help is wanted, so it does not fail before the port is needed.
    mutating func validate() throws { _ = try endpoint() }

    func endpoint() throws -> SheepEndpoint {
        let host = address ?? Self.environment("SHEEPDOG_DOG_ADDR") ?? Self.defaultAddress
        if host.contains("/") { return .unix(path: host) }
        let text = port ?? Self.environment("SHEEPDOG_DOG_PORT") ?? Self.defaultPort
        guard !host.isEmpty else { throw ValidationError("Invalid address ''") }
        guard let number = UInt16(text), number > 0 else { throw ValidationError("Invalid port number '\(text)'") }
        return .tcp(host: host, port: number)
    }

    /// The cluster's key, for which the file is read now.
    func clusterKey() throws -> ClusterKey? {
        guard let path = key ?? Self.environment("SHEEPDOG_KEY") else { return nil }
        do { return try KeyFile.read(path) } catch { throw CommandFailure(error.message) }
    }

    private static func environment(_ name: String) -> String? {
        getenv(name).map { String(cString: $0) }
    }
}

/// For every command that lists something.
struct ListingOptions: ParsableArguments {
    @Flag(help: "Output as JSON.")
    var json = false
}
