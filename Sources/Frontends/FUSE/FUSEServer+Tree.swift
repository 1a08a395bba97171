import CFuse3
import FrontendKit
import Glibc
import Logging
import NIOCore
import ObjectModel

/// Names, attributes and directories.
extension FUSEServer {
    // MARK: Names

    func lookup(_ name: String, in parent: UInt64, _ request: FUSERequest) {
        guard let directory = StaticNode(rawValue: parent) else { return request.fail(ENOTDIR) }
        guard directory == .volumes else {
            guard let child = directory.child(name) else { return request.fail(ENOENT) }
            return request.entry(attributes(of: child), nameIsFixed: true)
        }
        guard let volume = FileName.decode(name), isVisible(volume) else { return request.fail(ENOENT) }
        backend.find(volume) { [self] result in
            switch result {
            case .failure(let error): request.fail(error)
            case .success(let information):
                file(volume, information) { [self] file in
                    file.lookups += 1
                    tellSize(file) { request.entry(self.attributes(of: file), nameIsFixed: false) }
                }
            }
        }
    }

    /// The file of a volume that was found: the one of that name, unless that is open and was renamed since.
    private func file(_ name: String, _ found: BlockDeviceInformation, completion: @escaping (File) -> Void) {
        guard let known = files[name], let device = known.device, device.information.identity != found.identity else {
            return completion(files.file(name, found))
        }
        backend.present(device) { [self] result in
            // Deleted ones too are another volume's by now.
            if (try? result.get())?.identity != found.identity { files.part(known) }
            completion(files.file(name, found))
        }
    }

    func isVisible(_ volume: String) -> Bool { configuration.autoMount || mounted.contains(volume) }

    // MARK: Attributes

    func attributes(of node: StaticNode) -> cfuse_attributes {
        cfuse_attributes(
            inode: node.rawValue, size: 0, modified: startedAt, mode: node.mode, user: getuid(), group: getgid())
    }

    func attributes(of file: File) -> cfuse_attributes {
        cfuse_attributes(
            inode: file.inode, size: file.size, modified: startedAt, mode: FileMode.regular | (file.isReadOnly ? 0o400 : 0o600),
            user: getuid(), group: getgid())
    }

    func attributes(of inode: UInt64, _ request: FUSERequest) {
        if let node = StaticNode(rawValue: inode) { return request.attributes(attributes(of: node)) }
        guard let file = files[inode], isVisible(file.name) || file.handles > 0 else { return request.fail(ENOENT) }
        refresh(file) { [self] error in
            if let error, file.handles == 0 { return request.fail(error) }
            request.attributes(attributes(of: file))
        }
    }

    /// Asks for the present size.
    func refresh(_ file: File, completion: @escaping (SheepError?) -> Void) {
        let asked: (Result<BlockDeviceInformation, SheepError>) -> Void = { [self] result in
            switch result {
            case .failure(let error): completion(error)
            case .success(let information):
                file.size = information.size
                tellSize(file) { completion(nil) }
            }
        }
        if let device = file.device { backend.present(device, completion: asked) } else { backend.find(file.name, completion: asked) }
    }

    /// A kernel that caches writes goes by the size it knows; a larger one is told it in so many words.
    private func tellSize(_ file: File, completion: @escaping () -> Void) {
        guard configuration.pageCache, file.size > file.toldSize, file.lookups > 0 else { return completion() }
        file.toldSize = file.size
        session.tellGrowth(of: file.inode, to: file.size, completion: completion)
    }

    func change(_ inode: UInt64, _ changes: FUSEChanges, _ request: FUSERequest) {
        if changes.permissions { return request.fail(EPERM) }
        if let node = StaticNode(rawValue: inode) {
            if changes.size != nil, node.kind != .setting { return request.fail(EPERM) }
            return request.attributes(attributes(of: node))
        }
        guard let file = files[inode] else { return request.fail(ENOENT) }
        guard let size = changes.size else { return request.attributes(attributes(of: file)) }
        resize(file, to: size, isThroughHandle: changes.isThroughHandle, request)
    }

    /// Growing only, as `dog vdi resize`. What opening with O_TRUNC asks for is passed over, as it is for block devices: so
    /// `dd` and `cp` write into a volume.
    private func resize(_ file: File, to size: UInt64, isThroughHandle: Bool, _ request: FUSERequest) {
        refresh(file) { [self] error in
            if let error { return request.fail(error) }
            if size == file.size || size == 0 && !isThroughHandle { return request.attributes(attributes(of: file)) }
            if file.isReadOnly { return request.fail(EROFS) }
            if size < file.size {
                logger.notice("volume \(file.name) has \(file.size) bytes and was to be cut to \(size): volumes only grow")
                return request.fail(EINVAL)
            }
            backend.resize(file.device?.information.name ?? file.name, to: size) { [self] error in
                if let error { return request.fail(error) }
                // The kernel takes the size of this answer.
                (file.size, file.toldSize) = (size, max(size, file.toldSize))
                request.attributes(attributes(of: file))
            }
        }
    }

    // MARK: Directories

    func openDirectory(_ inode: UInt64, _ request: FUSERequest) {
        guard let directory = StaticNode(rawValue: inode), directory.kind == .directory else { return request.fail(ENOTDIR) }
        var entries = [
            DirectoryEntry(name: ".", inode: inode, mode: directory.mode),
            DirectoryEntry(name: "..", inode: directory.parent.rawValue, mode: directory.parent.mode),
        ]
        guard directory == .volumes else {
            entries += directory.children.map { DirectoryEntry(name: $0.name, inode: $0.rawValue, mode: $0.mode) }
            return opened(entries, request)
        }
        guard configuration.autoMount else {
            return withMounted { [self] names in opened(entries + volumeEntries(names), request) }
        }
        backend.list { [self] result in
            switch result {
            case .failure(let error): request.fail(error)
            case .success(let volumes): opened(entries + volumeEntries(volumes.map(\.name)), request)
            }
        }
    }

    private func opened(_ entries: [DirectoryEntry], _ request: FUSERequest) {
        let handle = nextHandle()
        directories[handle] = entries
        request.openedDirectory(handle: handle)
    }

    /// The inode number of a volume that nobody looked up is not known: stat tells it.
    private func volumeEntries(_ names: [String]) -> [DirectoryEntry] {
        names.map {
            DirectoryEntry(name: FileName.encode($0), inode: files[$0]?.inode ?? .max, mode: FileMode.regular | 0o600)
        }.filter { $0.name.utf8.count <= FileName.longest }
    }
}
