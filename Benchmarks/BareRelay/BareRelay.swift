import ArgumentParser

/// The floor that three copies are compared with: the least a replicated write can do.
///
/// One front process receives writes on a unix socket and hands each to three backend processes, which `pwrite` it to a
/// file of their own; the front answers when all three have. No volumes, no checksums, no membership, no recovery.
/// The load generator also speaks NBD, so that the floor and a server are measured by the same client.
@main
struct BareRelay: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bare-relay",
        abstract: "The bare fan-out of a write to three processes, and a load generator for it and for NBD servers.",
        subcommands: [BackendCommand.self, FrontCommand.self, LoadCommand.self])
}

struct BackendCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "backend", abstract: "Write what arrives to a file and answer each write.")

    @Option(help: "Unix socket to listen on.") var listen: String
    @Option(help: "File to write to; made when it is not there.") var file: String
    @Option(help: "Size of the file in bytes.") var size: Int64
    @Flag(help: "One fdatasync for each received burst, before its answers.") var sync = false

    func run() throws {
        let disk = try BackendFile(path: file, size: size, sync: sync)
        try Backend.serve(disk, at: listen)
    }
}

struct FrontCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "front", abstract: "Receive writes, hand each to every backend, answer when all have answered.")

    @Option(help: "Unix socket to listen on.") var listen: String
    @Option(help: "Unix socket of a backend; once for each.") var backend: [String]

    func run() throws {
        try Front.serve(at: listen, backends: backend)
    }
}

struct LoadCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "load", abstract: "Keep a number of requests in flight for a time; print the rate and latencies as JSON.")

    @Option(help: "Unix socket of the server.") var connect: String
    @Option(help: "NBD export name; without it the server is a bare relay.") var export: String?
    @Option(help: "Requests in flight.") var depth = 32
    @Option(help: "Seconds to run.") var seconds = 5
    @Option(help: "Bytes that the requests spread over.") var size: Int64
    @Option(help: "Bytes of a request.") var block = 4096
    @Option(help: "Seed of the offsets; without it another one each time.") var seed: UInt64?
    @Flag(help: "Read instead of write (NBD only).") var read = false
    @Flag(help: "Force unit access: durable before the answer (NBD only).") var fua = false

    func validate() throws {
        guard depth > 0, depth <= 1024, block > 0, block <= 1 << 20, size >= Int64(block) else {
            throw ValidationError("depth must be 1...1024, block 1...1048576 and size at least a block.")
        }
        guard export != nil || !(read || fua) else {
            throw ValidationError("--read and --fua need --export: the bare relay only writes.")
        }
    }

    func run() throws {
        let kind: LoadOperation = read ? .read : (fua ? .durableWrite : .write)
        let socket = try BlockingSocket(connectedTo: connect)
        let wire = try LoadWire.negotiate(export: export, operation: kind, blockSize: block, on: socket)
        let plan = LoadPlan(depth: depth, seconds: seconds, blockSize: block, size: size, seed: seed ?? .random(in: 0...UInt64.max))
        var generator = LoadGenerator(plan: plan, wire: wire, socket: socket)
        print(try generator.run().json)
    }
}
