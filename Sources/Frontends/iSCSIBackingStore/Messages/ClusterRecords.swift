import NIOCore
import ObjectModel

/// The records of nodes and epochs, as `dog` takes them.
///
/// ```
/// node, 80 bytes:        24 node id  64 virtual nodes (2)  68 zone (4)  72 bytes of store (8)
/// node id, 40 bytes:      0 address (16; IPv4 in the last four)  16 port (2)  18 address for data (16)  34 its port (2)
/// volume, 1428 bytes:     0 VID (4)  4 copies (1)  5 is a snapshot (1)  6 is deleted (1)  8 object shift (1)  12 VID of the parent (4)
///                        16 lock (4): 1 none, 2 normal, 3 shared  20 node id of its owner  60 who share it (4)
///                        64 their states, room for 31 (4 each; 2: shared)  188 their node ids
/// epoch, 48 and nodes:    0 time of format (8)  8 time (8)  16 epoch (4)  20 nodes (4)  25 copies (1)  30 flags (2)
///                        32 cluster engine (16)  48 nodes
/// cluster, 491,568:       2 nodes (2)  4 epoch (4)  8 time of format (8)  16 flags (2)  18 copies (1)  20 status (1): 1 runs, 2 waits, 3 ends
///                        21 object shift (1)  25 store (16)  48 nodes, room for 6144
/// ```
/// Times of format are seconds << 32 | nanoseconds; the time of an epoch is in seconds.
package enum ClusterRecords {
    package static let nodeSize = 80
    package static let epochSize = 48
    package static let clusterSize = 491_568
    package static let mostNodes = 6144
    package static let volumeStateSize = 1428
    private static let mostParticipants = 31
    /// 64 disks of 4120 bytes, and their number.
    package static let diskInformationSize = 263_688
    private static let diskSize = 4120

    static func write(_ node: SheepdogNode, into buffer: inout ByteBuffer) {
        buffer.writeRepeatingByte(0, count: 24)
        writeIdentity(node, into: &buffer)
        buffer.writeMultipleIntegers(node.virtualNodes, UInt16(0), node.zone, node.space, endianness: .little)
    }

    private static func writeIdentity(_ node: SheepdogNode?, into buffer: inout ByteBuffer) {
        guard let node else { return buffer.writeRepeatingZeros(40) }
        buffer.writeBytes(SystemAddress.bytes(of: node.host))
        buffer.writeInteger(node.port, endianness: .little)
        buffer.writeBytes(SystemAddress.bytes(of: node.data?.host ?? ""))
        buffer.writeInteger(node.data?.port ?? 0, endianness: .little)
        buffer.writeRepeatingZeros(4)
    }

    static func write(_ volume: SheepdogVolume, lock: SheepdogLock?, into buffer: inout ByteBuffer) {
        let end = buffer.writerIndex + volumeStateSize
        buffer.writeMultipleIntegers(volume.vid.rawValue, volume.copies, UInt8(volume.snapshotAt == 0 ? 0 : 1), endianness: .little)
        buffer.writeMultipleIntegers(UInt8(volume.isDeleted ? 1 : 0), UInt8(0), volume.objectShift.rawValue, endianness: .little)
        buffer.writeRepeatingZeros(3)
        let state: UInt32 = lock.map { $0.isShared ? 3 : 2 } ?? 1
        buffer.writeMultipleIntegers(volume.parent?.rawValue ?? 0, state, endianness: .little)
        writeIdentity(lock?.owners.first, into: &buffer)
        let participants = lock.map { $0.isShared ? $0.owners.prefix(mostParticipants) : [] } ?? []
        buffer.writeInteger(UInt32(participants.count), endianness: .little)
        for place in 0..<mostParticipants { buffer.writeInteger(UInt32(place < participants.count ? 2 : 0), endianness: .little) }
        for participant in participants { writeIdentity(participant, into: &buffer) }
        buffer.writeRepeatingZeros(end - buffer.writerIndex)
    }

    /// As many whole records as fit into `limit` bytes, newest first; nil when a record has too little room for its nodes.
    static func epochs(_ cluster: SheepdogCluster, nodesInRecord: Int, limit: Int) -> ByteBuffer? {
        var buffer = ByteBuffer()
        let recordSize = epochSize + nodesInRecord * nodeSize
        for (number, epoch) in cluster.epochs.enumerated() where buffer.readableBytes + recordSize <= limit {
            guard nodesInRecord == 0 || epoch.nodes.count <= nodesInRecord else { return nil }
            let isNewest = number == 0
            buffer.writeMultipleIntegers(
                isNewest ? SheepdogTime(nanoseconds: cluster.createdAt).rawValue : 0, epoch.time / 1_000_000_000, epoch.epoch,
                UInt32(epoch.nodes.count), endianness: .little)
            buffer.writeMultipleIntegers(
                UInt8(0), isNewest ? cluster.copies : 0, UInt8(0), UInt8(0), UInt16(0), isNewest ? cluster.flags : 0,
                endianness: .little)
            buffer.writeSheepdogText(isNewest ? cluster.engine : "", length: 16)
            for node in epoch.nodes.prefix(nodesInRecord) { write(node, into: &buffer) }
            buffer.writeRepeatingByte(0, count: max(0, nodesInRecord - epoch.nodes.count) * nodeSize)
        }
        return buffer
    }

    static func cluster(_ cluster: SheepdogCluster, nodes: [SheepdogNode], readiness: SheepdogReadiness) -> ByteBuffer {
        let status: UInt8 = switch readiness { case .serving: 1; case .waitingForFormat, .waitingForNodes: 2; case .shuttingDown: 3 }
        var buffer = ByteBufferAllocator().buffer(capacity: clusterSize)
        buffer.writeMultipleIntegers(
            UInt8(0), UInt8(0), Int16(min(nodes.count, mostNodes)), cluster.epoch,
            SheepdogTime(nanoseconds: cluster.createdAt).rawValue, cluster.flags, cluster.copies, UInt8(0), endianness: .little)
        buffer.writeMultipleIntegers(status, cluster.objectShift, UInt8(0), UInt16(0), endianness: .little)
        buffer.writeSheepdogText(cluster.createdAt == 0 ? "" : "plain", length: 16)
        buffer.writeRepeatingByte(0, count: 48 - buffer.readableBytes)
        for node in nodes.prefix(mostNodes) { write(node, into: &buffer) }
        buffer.writeRepeatingByte(0, count: clusterSize - buffer.readableBytes)
        return buffer
    }

    static func disks(path: String, total: UInt64, free: UInt64) -> ByteBuffer {
        var buffer = ByteBufferAllocator().buffer(capacity: diskInformationSize)
        buffer.writeMultipleIntegers(UInt32(0), UInt32(0), free, total - min(free, total), endianness: .little)
        buffer.writeSheepdogText(path, length: 4096)
        buffer.writeRepeatingByte(0, count: 63 * diskSize)
        buffer.writeMultipleIntegers(UInt32(1), UInt32(0), endianness: .little)
        return buffer
    }
}

extension ByteBuffer {
    fileprivate mutating func writeRepeatingZeros(_ count: Int) { writeRepeatingByte(0, count: count) }
}

/// Seconds << 32 | nanoseconds.
package struct SheepdogTime: Hashable, Sendable {
    package let rawValue: UInt64

    /// Since 1970.
    package init(nanoseconds: UInt64) { rawValue = (nanoseconds / 1_000_000_000) << 32 | nanoseconds % 1_000_000_000 }
}
