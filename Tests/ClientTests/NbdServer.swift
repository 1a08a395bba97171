import Glibc

/// An nbdkit that serves a file on a unix socket while the body runs.
enum NbdServer {
    static func with(file: String, socket: String, _ body: () async throws -> Void) async throws {
        unlink(socket)
        let child = try start(file: file, socket: socket)
        defer {
            kill(child, SIGTERM)
            var status: Int32 = 0
            waitpid(child, &status, 0)
        }
        while !listens(socket) {
            var status: Int32 = 0
            guard waitpid(child, &status, WNOHANG) == 0 else { throw SystemFailure(number: ESRCH) }
            try await Task.sleep(for: .milliseconds(10))
        }
        try await body()
    }

    private static func start(file: String, socket: String) throws -> pid_t {
        let arguments = ["nbdkit", "--foreground", "--exit-with-parent", "-U", socket, "file", file]
        let argv = arguments.map { strdup($0) } + [nil]
        defer { for text in argv { free(text) } }
        var child: pid_t = 0
        let result = posix_spawnp(&child, "nbdkit", nil, nil, argv, environ)
        guard result == 0 else { throw SystemFailure(number: result) }
        return child
    }

    private static func listens(_ socket: String) -> Bool {
        var status = stat()
        return stat(socket, &status) == 0
    }
}
