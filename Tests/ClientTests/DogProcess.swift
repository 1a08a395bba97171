import Glibc
import NIOPosix

/// The built `dog`, run to its end with what it prints and returns.
struct DogProcess {
    var status: Int32
    var output: [UInt8]
    var error: String

    var text: String { String(decoding: output, as: UTF8.self) }

    /// Runs `dog ARGUMENTS -p PORT` (options after operands, as libvirt does) with `input` on standard input.
    /// With `interruptWhen` the input does not end, and SIGINT is sent once that is true.
    static func run(
        _ arguments: [String], port: UInt16? = nil, input: [UInt8] = [], name: String = "dog", program: String = path,
        environment: [String: String] = [:], interruptWhen: (@Sendable () -> Bool)? = nil
    ) async throws -> DogProcess {
        let all = arguments + (port.map { ["-p", "\($0)"] } ?? [])
        return try await NIOThreadPool.singleton.runIfActive {
            try TemporaryDirectory.with { directory in
                try runBlocking(all, input: input, name: name, program: program, environment: environment, interruptWhen, directory)
            }
        }
    }

    static let path = builtProgram("dog")

    /// The test bundle and the programs are built into one folder.
    static func builtProgram(_ name: String) -> String {
        let own = try! readLink("/proc/self/exe")
        return own.split(separator: "/", omittingEmptySubsequences: false).dropLast().joined(separator: "/") + "/" + name
    }

    private static func runBlocking(
        _ arguments: [String], input: [UInt8], name: String, program: String, environment: [String: String],
        _ interruptWhen: (@Sendable () -> Bool)?, _ directory: String
    ) throws -> DogProcess {
        let files = ["in", "out", "err"].map { directory + "/" + $0 }
        try writeFile(files[0], input)
        // A pipe's behaviour is wanted, not a file's: `cat` stands before dog.
        let fifo = directory + "/fifo"
        try check(mkfifo(fifo, 0o600))
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 0, fifo, O_RDONLY, 0)
        posix_spawn_file_actions_addopen(&actions, 1, files[1], O_WRONLY | O_CREAT, 0o600)
        posix_spawn_file_actions_addopen(&actions, 2, files[2], O_WRONLY | O_CREAT, 0o600)
        let endless = interruptWhen == nil ? "" : "exec sleep 600;"
        let feed = "{ cat \(files[0]); \(endless) } > \(fifo) 2>/dev/null"
        let feeder = try spawn("/bin/sh", ["sh", "-c", feed], ["PATH=/bin:/usr/bin"], nil)
        let variables = ["TZ=UTC", "PATH=/bin:/usr/bin"] + environment.map { "\($0)=\($1)" }
        let child = try spawn(program, [name] + arguments, variables, &actions)
        if let interruptWhen {
            while !interruptWhen() { usleep(10_000) }
            kill(child, SIGINT)
        }
        let status = try wait(child)
        kill(feeder, SIGKILL)
        _ = try wait(feeder)
        return DogProcess(
            status: status, output: try readFile(files[1]), error: String(decoding: try readFile(files[2]), as: UTF8.self))
    }

    private static func spawn(
        _ path: String, _ arguments: [String], _ environment: [String],
        _ actions: UnsafeMutablePointer<posix_spawn_file_actions_t>?
    ) throws -> pid_t {
        let argv = arguments.map { strdup($0) } + [nil]
        let envp = environment.map { strdup($0) } + [nil]
        defer { for text in argv + envp { free(text) } }
        return try withSignalsUnblocked { attributes in
            var child: pid_t = 0
            try check(posix_spawn(&child, path, actions, attributes, argv, envp))
            return child
        }
    }

    /// The exit code, or 128 + the signal.
    private static func wait(_ child: pid_t) throws -> Int32 {
        var status: Int32 = 0
        while waitpid(child, &status, 0) < 0 { if errno != EINTR { throw SystemFailure(number: errno) } }
        return status & 0x7F == 0 ? status >> 8 & 0xFF : 128 + (status & 0x7F)
    }
}

/// The threads of the test block signals, and a child would inherit that and not end on SIGTERM.
func withSignalsUnblocked<Result>(_ body: (UnsafePointer<posix_spawnattr_t>) throws -> Result) rethrows -> Result {
    var attributes = posix_spawnattr_t()
    posix_spawnattr_init(&attributes)
    defer { posix_spawnattr_destroy(&attributes) }
    var none = sigset_t()
    sigemptyset(&none)
    posix_spawnattr_setsigmask(&attributes, &none)
    posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK))
    return try body(&attributes)
}

struct SystemFailure: Error { let number: Int32 }

func check(_ result: Int32) throws { if result != 0 { throw SystemFailure(number: errno) } }

func readLink(_ path: String) throws -> String {
    var buffer = [UInt8](repeating: 0, count: 4096)
    let count = buffer.withUnsafeMutableBytes { readlink(path, $0.baseAddress!.assumingMemoryBound(to: CChar.self), $0.count) }
    guard count > 0 else { throw SystemFailure(number: errno) }
    return String(decoding: buffer[..<count], as: UTF8.self)
}

func writeFile(_ path: String, _ bytes: [UInt8]) throws {
    let file = fopen(path, "w")
    guard let file, fwrite(bytes, 1, bytes.count, file) == bytes.count, fclose(file) == 0 else {
        throw SystemFailure(number: errno)
    }
}

func readFile(_ path: String) throws -> [UInt8] {
    guard let file = fopen(path, "r") else { throw SystemFailure(number: errno) }
    defer { fclose(file) }
    var bytes: [UInt8] = []
    var piece = [UInt8](repeating: 0, count: 1 << 16)
    while case let count = fread(&piece, 1, piece.count, file), count > 0 { bytes += piece[..<count] }
    return bytes
}

enum TemporaryDirectory {
    /// Removed, with what is in it, however the body ends.
    static func with<Result>(_ body: (String) throws -> Result) throws -> Result {
        let path = try make()
        defer { remove(path) }
        return try body(path)
    }

    static func with<Result>(_ body: (String) async throws -> Result) async throws -> Result {
        let path = try make()
        defer { remove(path) }
        return try await body(path)
    }

    private static func make() throws -> String {
        var template = Array("/tmp/sheepdog-client-tests.XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw SystemFailure(number: errno) }
        return String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    /// Flat directories only.
    private static func remove(_ path: String) {
        if let directory = opendir(path) {
            while let entry = readdir(directory) {
                let name = withUnsafePointer(to: &entry.pointee.d_name) {
                    String(cString: UnsafeRawPointer($0).assumingMemoryBound(to: CChar.self))
                }
                if name != "." && name != ".." { unlink(path + "/" + name) }
            }
            closedir(directory)
        }
        rmdir(path)
    }
}
