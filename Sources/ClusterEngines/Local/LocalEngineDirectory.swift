import CLinux
import Glibc
package import ObjectModel

/// Where the sheep of one machine meet: `DIR/sheepdog.local`, only for the sheep's user.
package struct LocalEngineDirectory: Sendable {
    private static let name = "sheepdog.local"

    /// The absolute path of `sheepdog.local`.
    package let path: String
    package let folder: LogFolder

    /// Finds, checks and if need be makes the folder.
    ///
    /// - Parameters:
    ///   - option: DIR of `-c local:DIR`, taken as said; nil for `-c local`, which means the parent of the store,
    ///     unless that cannot be written to or is a shared temporary directory.
    ///   - store: the STORE argument (its first directory); need not exist yet.
    package static func resolve(option: String?, store: String) throws(SheepError) -> LocalEngineDirectory {
        let parent = if let option { try explicitParent(option) } else { try defaultParent(of: store) }
        let path = parent == "/" ? "/" + name : parent + "/" + name
        guard mkdir(path, 0o700) == 0 || errno == EEXIST else {
            throw refusal("cannot make \(path): \(errorText())")
        }
        return LocalEngineDirectory(path: path, folder: LogFolder(try openChecked(path)))
    }

    /// Replaces the log by one that begins with this state after entry `index`, from a store's copy, when the log was lost
    /// or damaged. Refused while a sheep other than `caller` runs here; the caller has no engine then.
    /// The old segments stay beside it under names with "old." before them.
    ///
    /// Durable on return. Interrupted it leaves a part of the old log or none, which is behind the stores' copies and so
    /// refused by them; then it is done again.
    package func rebuildLog(index: LogIndex, snapshot: [UInt8], by caller: NodeID? = nil) throws(SheepError) {
        let running: NodeID?
        do throws(EngineFailure) {
            running = try AliveLocks.alive(in: folder, besides: caller).min()
            if running == nil {
                let draft = try SegmentDraft(
                    in: folder, maker: "rebuild", snapshotEstimate: UInt64(snapshot.count), reserve: LocalEngine.Limits().reserve)
                try folder.setSegmentsAside()
                _ = try draft.install(index: index, snapshot: snapshot)
            }
        } catch { throw SheepError(.unavailable, error.text) }
        if let running {
            throw SheepError(.busy, "the log in \(path) is used by the sheep \(running): stop all sheep of this machine first")
        }
    }

    private static func explicitParent(_ option: String) throws(SheepError) -> String {
        guard !option.isEmpty else { throw refusal("-c local: names no directory") }
        guard mkdir(option, 0o700) == 0 || errno == EEXIST else {
            throw refusal("cannot make \(option): \(errorText())")
        }
        return try absolute(option)
    }

    private static func defaultParent(of store: String) throws(SheepError) -> String {
        let parent = try absolute(parentText(of: store))
        guard let status = OpenFile.status(at: parent), status.isDirectory else {
            throw refusal("\(parent), the parent of the store, is no directory")
        }
        if status.mode & (S_IWOTH | S_ISVTX) != 0 {
            throw refusal("\(parent), the parent of the store \(store), is a directory that others can write to, so it is no place to meet")
        }
        if access(parent, W_OK | X_OK) != 0 {
            throw refusal("\(parent), the parent of the store \(store), is not writable")
        }
        return parent
    }

    /// By the text, not by where symbolic links lead: stores that are links to several disks still have one parent.
    private static func parentText(of store: String) -> String {
        var parts = store.split(separator: "/", omittingEmptySubsequences: true)
        if parts.isEmpty || parts.last == "." || parts.last == ".." { return store.isEmpty ? ".." : store + "/.." }
        parts.removeLast()
        if store.hasPrefix("/") { return "/" + parts.joined(separator: "/") }
        return parts.isEmpty ? "." : parts.joined(separator: "/")
    }

    private static func absolute(_ path: String) throws(SheepError) -> String {
        guard let resolved = realpath(path, nil) else { throw refusal("cannot use \(path): \(errorText())") }
        defer { free(resolved) }
        return String(cString: resolved)
    }

    /// Opens `sheepdog.local`; the checks are made on the open folder, so nobody can exchange it after them.
    private static func openChecked(_ path: String) throws(SheepError) -> OpenFile {
        let folder: OpenFile
        let status: FileStatus
        do throws(EngineFailure) {
            folder = try OpenFile.open(path, O_RDONLY | O_DIRECTORY)
            status = try folder.status()
        } catch .systemCall(_, _, let problem) where problem == ELOOP || problem == ENOTDIR {
            throw refusal("\(path) is no directory but a link or a file")
        } catch {
            throw refusal(error.text)
        }
        guard status.owner == geteuid() || status.owner == 0 else {
            throw refusal("\(path) belongs to user \(status.owner), not to this sheep's user \(geteuid()) or root")
        }
        guard status.mode & 0o077 == 0 else {
            throw refusal("\(path) is open to other users: chmod 700 \(path), if all in it is yours")
        }
        try refuseNetworkFileSystem(folder)
        return folder
    }

    /// Numbers of linux/magic.h. Appends from two machines overwrite each other there, and locks may not reach across.
    private static func refuseNetworkFileSystem(_ folder: OpenFile) throws(SheepError) {
        let networked: [Int64: String] = [0x6969: "NFS", 0xFF53_4D42: "CIFS", 0xFE53_4D42: "SMB", 0x00C3_6400: "Ceph"]
        guard let kind = networked[clinux_file_system_type(folder.descriptor) & 0xFFFF_FFFF] else { return }
        throw refusal("\(folder.path) is on \(kind), where appends and locks are not reliable")
    }

    private static func errorText() -> String { String(cString: strerror(errno)) }

    private static func refusal(_ reason: String) -> SheepError {
        SheepError(.invalidArgument, "\(reason). Give a directory of this machine for its sheep to meet in: -c local:DIR")
    }
}
