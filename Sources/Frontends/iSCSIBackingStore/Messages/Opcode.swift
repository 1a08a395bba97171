/// Operations of Sheepdog's clients. Below 0x80 they are public; from there on they belong to `dog`, of which those are here
/// that its listings need. What is not here is refused, the peer and repair operations among them: how replicas are kept is
/// ours.
package enum Opcode: UInt8, Hashable, Sendable, CaseIterable {
    // Objects.
    case createAndWriteObject = 0x01
    case readObject = 0x02
    case writeObject = 0x03
    case removeObject = 0x04
    case discardObject = 0x05

    // Volumes.
    case newVolume = 0x11
    case lockVolume = 0x12
    case releaseVolume = 0x13
    case getVolumeInformation = 0x14
    case readVolumeIDs = 0x15
    case flushVolume = 0x16
    case deleteVolume = 0x17
    case getClusterDefault = 0x18

    // Of `dog`.
    case getNodeList = 0x82
    case statSheep = 0x86
    case statCluster = 0x87
    case getStoreList = 0x90
    case statRecovery = 0x97
    case flushDeletedCache = 0x98
    case getVolumeStates = 0xAB
    case diskInformation = 0xB1
    case objectExists = 0xBD
    case clusterInformation = 0xBE
    case readDeletedVolumeIDs = 0xC9

    /// The first that is not public.
    package static let firstInternal: UInt8 = 0x80

    /// Of a machine's disk.
    package var isInputOutput: Bool {
        switch self {
        case .createAndWriteObject, .readObject, .writeObject, .removeObject, .discardObject, .flushVolume: true
        case .newVolume, .lockVolume, .releaseVolume, .getVolumeInformation, .readVolumeIDs, .deleteVolume, .getClusterDefault, .getNodeList,
            .statSheep, .statCluster, .getStoreList, .statRecovery, .flushDeletedCache, .getVolumeStates, .diskInformation, .objectExists,
            .clusterInformation, .readDeletedVolumeIDs:
            false
        }
    }

    /// Served before the cluster is formatted, while it waits for nodes, and while it shuts down.
    package var isForced: Bool {
        switch self {
        case .readVolumeIDs, .getClusterDefault, .getNodeList, .statCluster, .getStoreList, .objectExists,
            .clusterInformation, .readDeletedVolumeIDs, .getVolumeStates:
            true
        case .createAndWriteObject, .readObject, .writeObject, .removeObject, .discardObject, .newVolume, .lockVolume,
            .releaseVolume, .getVolumeInformation, .flushVolume, .deleteVolume, .statSheep, .statRecovery,
            .flushDeletedCache, .diskInformation:
            false
        }
    }
}

/// Highest protocol versions. QEMU and tgt announce 0 or 1, `dog` 2, and 10 for what is not public, which must match.
package enum ProtocolVersion {
    package static let highestPublic: UInt8 = 2
    package static let exactInternal: UInt8 = 0x0A
}
