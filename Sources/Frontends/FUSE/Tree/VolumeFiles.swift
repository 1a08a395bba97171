import FrontendKit
import ObjectModel

/// A volume or snapshot as a file; there as long as the kernel knows its inode or somebody has it open.
final class VolumeFile<Device: BlockDevice> {
    let name: String
    let inode: UInt64
    /// Bytes, as last heard of the cluster.
    var size: UInt64
    var isReadOnly: Bool
    /// What a kernel that caches writes believes.
    var toldSize: UInt64
    /// While somebody has it open.
    var device: Device?
    /// Called when the open under way ends.
    var openers: [(SheepError?) -> Void] = []
    /// Open files, and those of them that may write.
    var handles = 0
    var writers = 0
    /// The kernel's references.
    var lookups: UInt64 = 0
    /// Written to since the last flush.
    var isUnflushed = false

    init(name: String, inode: UInt64, information: BlockDeviceInformation) {
        (self.name, self.inode, size, isReadOnly) = (name, inode, information.size, information.isReadOnly)
        toldSize = size
    }
}

/// Volumes by name and by inode number. A number is given once and never again.
struct VolumeFiles<Device: BlockDevice> {
    private var byName: [String: VolumeFile<Device>] = [:]
    private var byInode: [UInt64: VolumeFile<Device>] = [:]
    private var nextInode = StaticNode.firstVolume

    subscript(inode: UInt64) -> VolumeFile<Device>? { byInode[inode] }
    subscript(name: String) -> VolumeFile<Device>? { byName[name] }
    var all: [VolumeFile<Device>] { byInode.values.sorted { $0.inode < $1.inode } }

    /// The file of a volume that was found; a new one at the first time.
    mutating func file(_ name: String, _ information: BlockDeviceInformation) -> VolumeFile<Device> {
        if let known = byName[name] {
            (known.size, known.isReadOnly) = (information.size, information.isReadOnly)
            return known
        }
        let file = VolumeFile<Device>(name: name, inode: nextInode, information: information)
        nextInode += 1
        (byName[name], byInode[file.inode]) = (file, file)
        return file
    }

    /// The kernel gives references back.
    mutating func forget(_ inode: UInt64, _ count: UInt64) {
        guard let file = byInode[inode] else { return }
        file.lookups -= min(count, file.lookups)
        dropIfUnused(file)
    }

    mutating func dropIfUnused(_ file: VolumeFile<Device>) {
        guard file.lookups == 0, file.handles == 0, file.openers.isEmpty else { return }
        byInode[file.inode] = nil
        if byName[file.name] === file { byName[file.name] = nil }
    }
}
