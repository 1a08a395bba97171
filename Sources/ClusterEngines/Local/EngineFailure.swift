import Glibc

/// Why the engine cannot go on; ``text`` is for the operator.
package enum EngineFailure: Error, Sendable {
    case systemCall(StaticString, path: String, errno: Int32)
    /// A file holds what no sheep wrote there.
    case damaged(path: String, what: String)
    /// The folder or a file that keeps the log together is gone.
    case removed(path: String)

    package var isFull: Bool {
        if case .systemCall(_, _, let errno) = self { errno == ENOSPC || errno == EDQUOT } else { false }
    }

    /// What happened, without what to do about the log.
    package var reason: String {
        switch self {
        case .systemCall(let call, let path, let errno): "\(call) of \(path) failed: \(String(cString: strerror(errno)))"
        case .damaged(let path, let what): "\(path) is damaged (\(what))"
        case .removed(let path): "\(path) was removed"
        }
    }

    package var text: String {
        switch self {
        case .systemCall(let call, let path, let errno):
            "control log: \(call) of \(path) failed: \(String(cString: strerror(errno))). \(Self.advice(errno))"
        case .damaged(let path, let what):
            "control log: \(path) is damaged (\(what)). Check the disk; then start the sheep of this machine that ran last with --restore-log, which makes the log anew from its store's copy"
        case .removed(let path):
            "control log: \(path) was removed or moved away while sheep ran. Stop all sheep of this machine, put it back, start them again"
        }
    }

    private static func advice(_ errno: Int32) -> String {
        switch errno {
        case ENOSPC, EDQUOT: "Free space on that file system, then start the sheep again"
        case EIO: "The disk fails: check it (dmesg), then start the sheep again"
        case ENOENT, ENOTDIR: "Put the folder back, then start the sheep again"
        case EACCES, EPERM, EROFS: "Make it writable for the sheep's user, then start the sheep again"
        case EMFILE, ENFILE: "Raise the limit of open files, then start the sheep again"
        default: "Remove the cause, then start the sheep again"
        }
    }
}
