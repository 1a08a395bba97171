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
        let envp = [strdup("PATH=/usr/bin:/bin:/usr/sbin:/sbin"), nil]
        defer { free(envp[0]) }
        return try withSignalsUnblocked { attributes in
            var child: pid_t = 0
            let result = posix_spawnp(&child, "nbdkit", nil, attributes, argv, envp)
            guard result == 0 else { throw SystemFailure(number: result) }
            return child
        }
    }

    private static func listens(_ socket: String) -> Bool {
        let descriptor = Glibc.socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(descriptor) }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: socket.utf8) }
        return withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size)) == 0
            }
        }
    }
}
