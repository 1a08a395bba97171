package import FrontendKit
package import ObjectModel

/// A volume or snapshot as a file; there as long as the kernel knows its inode or somebody has it open.
package final class VolumeFile<Device: BlockDevice> {
    package let name: String
    package let inode: UInt64
    /// Bytes, as last heard of the cluster.
    package var size: UInt64
    package var isReadOnly: Bool
    /// What a kernel that caches writes believes.
    package var toldSize: UInt64
    /// While somebody has it open.
    package var device: Device?
    /// Called when the open under way ends.
    package var openers: [(SheepError?) -> Void] = []
    /// Open files, and those of them that may write.
    package var handles = 0
    package var writers = 0
    /// The kernel's references.
    package var lookups: UInt64 = 0
    /// Written to since the last flush.
    package var isUnflushed = false
    /// Writes that were answered and are not confirmed.
    package var behind = WritesBehind()

    package init(name: String, inode: UInt64, information: BlockDeviceInformation) {
        (self.name, self.inode, size, isReadOnly) = (name, inode, information.size, information.isReadOnly)
        toldSize = size
    }
}

/// Volumes by name and by inode number. A number is given once and never again.
package struct VolumeFiles<Device: BlockDevice> {
    private var byName: [String: VolumeFile<Device>] = [:]
    private var byInode: [UInt64: VolumeFile<Device>] = [:]
    private var nextInode = StaticNode.firstVolume

    package init() {}

    package subscript(inode: UInt64) -> VolumeFile<Device>? { byInode[inode] }
    package subscript(name: String) -> VolumeFile<Device>? { byName[name] }
    package var all: [VolumeFile<Device>] { byInode.values.sorted { $0.inode < $1.inode } }

    /// The file of a volume that was found; a new one at the first time.
    package mutating func file(_ name: String, _ information: BlockDeviceInformation) -> VolumeFile<Device> {
        if let known = byName[name] {
            (known.size, known.isReadOnly) = (information.size, information.isReadOnly)
            return known
        }
        let file = VolumeFile<Device>(name: name, inode: nextInode, information: information)
        nextInode += 1
        (byName[name], byInode[file.inode]) = (file, file)
        return file
    }

    /// The name is another volume's: who has this one open goes on, and nobody else finds it.
    package mutating func part(_ file: VolumeFile<Device>) {
        if byName[file.name] === file { byName[file.name] = nil }
    }

    /// The kernel gives references back.
    package mutating func forget(_ inode: UInt64, _ count: UInt64) {
        guard let file = byInode[inode] else { return }
        file.lookups -= min(count, file.lookups)
        dropIfUnused(file)
    }

    package mutating func dropIfUnused(_ file: VolumeFile<Device>) {
        guard file.lookups == 0, file.handles == 0, file.openers.isEmpty else { return }
        byInode[file.inode] = nil
        if byName[file.name] === file { byName[file.name] = nil }
    }
}
