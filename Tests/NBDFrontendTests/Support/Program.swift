import ConformanceKit
import Glibc
import Testing

/// Runs programs of the system, as a user would, and gathers what they say.
enum Program {
    struct Output {
        var status: CInt
        /// Standard output and standard error, in the order of writing.
        var text: String
    }

    /// Where a program is; nil when it is not installed.
    static func path(_ name: String) -> String? {
        ["/usr/bin", "/usr/sbin", "/bin"].map { "\($0)/\(name)" }.first { access($0, X_OK) == 0 }
    }

    static func isInstalled(_ names: String...) -> Bool { names.allSatisfy { path($0) != nil } }

    @discardableResult
    static func run(_ name: String, _ arguments: [String], sourceLocation: SourceLocation = #_sourceLocation) throws -> Output {
        let program = try #require(Self.path(name), "\(name) is not installed", sourceLocation: sourceLocation)
        // A file and not a pipe: nobody else who is started meanwhile can inherit and hold it.
        let directory = TemporaryDirectory()
        let output = "\(directory.path)/output"
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_addopen(&actions, 1, output, O_WRONLY | O_CREAT | O_APPEND, 0o600)
        posix_spawn_file_actions_adddup2(&actions, 1, 2)
        defer { posix_spawn_file_actions_destroy(&actions) }
        var arguments = ([name] + arguments).map { strdup($0) } + [nil]
        defer { for argument in arguments { free(argument) } }
        var process: pid_t = 0
        let result = posix_spawn(&process, program, &actions, nil, &arguments, environ)
        try #require(result == 0, sourceLocation: sourceLocation)
        var status: CInt = 0
        while waitpid(process, &status, 0) == -1 && errno == EINTR {}
        return Output(status: status, text: contents(of: output))
    }

    private static func contents(of path: String) -> String {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        defer { close(descriptor) }
        return descriptor < 0 ? "" : readAll(descriptor)
    }

    private static func readAll(_ descriptor: CInt) -> String {
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 65536)
        while true {
            let count = read(descriptor, &chunk, chunk.count)
            guard count > 0 else { break }
            bytes += chunk[..<count]
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}
