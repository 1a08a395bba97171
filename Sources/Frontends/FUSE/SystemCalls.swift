import CLinux
import Glibc

/// The system calls of this module.
enum SystemCalls {
    /// Real nanoseconds since 1970.
    static func now() -> UInt64 {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
    }

    /// Writes the file system's dirty pages and waits for them.
    static func syncFileSystem(_ path: String) {
        let directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard directory >= 0 else { return }
        _ = clinux_syncfs(directory)
        close(directory)
    }

    /// Of fallocate(2).
    static let keepSize: Int32 = 1
    static let punchHole: Int32 = 2
    static let zeroRange: Int32 = 16
    /// Of lseek(2).
    static let seekData: Int32 = 3
    static let seekHole: Int32 = 4

    /// The absolute path of a directory; nil when it is none.
    static func directory(_ path: String) -> String? {
        guard let resolved = realpath(path, nil) else { return nil }
        defer { free(resolved) }
        var status = stat()
        guard stat(resolved, &status) == 0, status.st_mode & S_IFMT == S_IFDIR else { return nil }
        return String(cString: resolved)
    }
}
