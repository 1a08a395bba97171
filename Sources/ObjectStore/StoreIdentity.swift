package import ObjectModel

/// Whose disk this is: the file `identity`.
///
/// ```
///  0        8        12      16      32      48         64       68
///  +--------+--------+-------+-------+-------+----------+--------+
///  | magic  | format | flags | node  | disk  | cluster  | CRC32C |
///  +--------+--------+-------+-------+-------+----------+--------+
/// ```
///
/// Little-endian; UUIDs as two 64-bit words, the higher first; a zero cluster says "not formatted". Flag 1: a wipe is
/// under way and is finished before anything else. Replaced by a temporary file and a rename, never in place.
package struct StoreIdentity: Hashable, Sendable {
    static let fileName = "identity"
    static let temporaryName = "identity.new"
    static let size = 68
    /// "SHEEPDSK".
    private static let magic: UInt64 = 0x4b53_4450_4545_4853
    package static let formatVersion: UInt32 = 1

    package var node: NodeID
    package var disk: DiskID
    /// Nil until the cluster is formatted.
    package var cluster: ClusterID?
    var isBeingWiped = false

    package init(node: NodeID, disk: DiskID, cluster: ClusterID?) {
        (self.node, self.disk, self.cluster) = (node, disk, cluster)
    }

    package func encoded() -> [UInt8] {
        var writer = WireWriter(reserving: Self.size)
        writer.write(Self.magic)
        writer.write(Self.formatVersion)
        writer.write(UInt32(isBeingWiped ? 1 : 0))
        writer.write(node)
        writer.write(disk)
        writer.write(cluster ?? ClusterID(high: 0, low: 0))
        writer.write(CRC32C.of(writer.bytes))
        precondition(writer.bytes.count == Self.size)
        return writer.bytes
    }

    /// Refuses a damaged identity and one of an unknown format.
    package init(decoding bytes: [UInt8]) throws(SheepError) {
        do {
            var reader = WireReader(bytes)
            guard try reader.read(UInt64.self) == Self.magic else {
                throw SheepError(.versionMismatch, "the file \(Self.fileName) of the store is not a sheep's")
            }
            let format: UInt32 = try reader.read()
            guard format == Self.formatVersion else {
                throw SheepError(
                    .versionMismatch, "the store has format \(format), this sheep knows \(Self.formatVersion) only")
            }
            isBeingWiped = try reader.read(UInt32.self) & 1 != 0
            node = try reader.readValue()
            disk = try reader.readValue()
            let cluster: ClusterID = try reader.readValue()
            self.cluster = cluster == ClusterID(high: 0, low: 0) ? nil : cluster
            guard try reader.read(UInt32.self) == CRC32C.of(Array(bytes.prefix(Self.size - 4))) else {
                throw Self.damaged("does not match its checksum")
            }
        } catch let error as SheepError {
            throw error
        } catch {
            throw Self.damaged("is truncated")
        }
    }

    static func damaged(_ what: String) -> SheepError {
        SheepError(
            .damaged, "the store's identity \(what); start this sheep with --rebuild to have its share copied from others")
    }

    /// All refusals of a disk that is not the one expected, each naming both sides.
    func check(against expected: StoreConfiguration) throws(SheepError) {
        if let node = expected.node, node != self.node {
            throw SheepError(.versionMismatch, "the store belongs to node \(self.node), this sheep is \(node)")
        }
        if let disk = expected.disk, disk != self.disk {
            throw SheepError(.versionMismatch, "the store is disk \(self.disk), expected is disk \(disk)")
        }
        if let cluster = expected.cluster, let own = self.cluster, cluster != own {
            throw SheepError(
                .versionMismatch,
                "the store belongs to cluster \(own), this sheep to cluster \(cluster); wipe it to reuse the disk")
        }
    }
}
