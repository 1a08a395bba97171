import FrontendKit
import ObjectModel

/// A volume that connections use under one of its VIDs. A snapshot of it gives the working volume another VID; this one then
/// is the snapshot.
final class OpenVolume<Device: SheepdogDevice> {
    let vid: VID
    /// As of ``revision``; nil: nobody has the VID any more.
    private(set) var volume: SheepdogVolume?
    private var revision: UInt64
    private var device: Device?
    /// Connections.
    fileprivate(set) var users = 0
    /// Connections of tgt. An exported volume is not deleted; QEMU and `dog` delete what they have open themselves.
    var attachments = 0 { didSet { device?.isAttached = attachments > 0 } }

    init(_ volume: SheepdogVolume, revision: UInt64) { (vid, self.volume, self.revision) = (volume.vid, volume, revision) }

    /// Brings what is known up to date; the device goes when it is of another birth or state.
    @inline(__always)
    func refresh(from backend: some SheepdogVolumes<Device>) {
        guard revision != backend.revision else { return }
        revision = backend.revision
        let now = backend.volume(vid)
        if now?.birth != volume?.birth || now?.state != volume?.state { closeDevice() }
        volume = now
    }

    /// Shared by all connections; each asks through one of its own (``SheepdogDevice/forAnotherClient()``).
    func open(in backend: some SheepdogVolumes<Device>) throws(SheepError) -> Device {
        if let device { return device }
        guard let volume else { throw SheepError(.noSuchVolume, "no volume has the VID \(vid)") }
        let device = try backend.open(volume)
        device.isAttached = attachments > 0
        self.device = device
        return device
    }

    func closeDevice() {
        device?.close()
        device = nil
    }
}

/// The volumes in use, shared by all connections, and the tags that clients wrote for snapshots to come.
final class OpenVolumes<Backend: SheepdogVolumes> {
    let backend: Backend
    private var volumes: [VID: OpenVolume<Backend.Device>] = [:]
    private var tags: [Birth: String] = [:]
    /// Tags are forgotten with their snapshot; what clients wrote without taking one is bounded.
    private static var mostTags: Int { 1024 }

    init(backend: Backend) { self.backend = backend }

    /// For one more user; nil: nobody has the VID, as far as is known here.
    func use(_ vid: VID) -> OpenVolume<Backend.Device>? {
        if let known = volumes[vid] {
            known.refresh(from: backend)
            guard known.volume != nil else { return nil }
            known.users += 1
            return known
        }
        guard let volume = backend.volume(vid) else { return nil }
        let new = OpenVolume<Backend.Device>(volume, revision: backend.revision)
        volumes[vid] = new
        new.users += 1
        return new
    }

    func release(_ volume: OpenVolume<Backend.Device>) {
        volume.users -= 1
        guard volume.users == 0 else { return }
        volume.closeDevice()
        volumes[volume.vid] = nil
    }

    // MARK: Tags of snapshots to come

    func tag(of volume: SheepdogVolume) -> String? { volume.isWorking ? tags[volume.birth] : nil }

    func setTag(_ tag: String, of volume: SheepdogVolume) {
        if tags.count >= Self.mostTags, tags[volume.birth] == nil { tags.remove(at: tags.startIndex) }
        tags[volume.birth] = tag
    }

    func takeTag(of volume: SheepdogVolume) -> String? { tags.removeValue(forKey: volume.birth) }
}
