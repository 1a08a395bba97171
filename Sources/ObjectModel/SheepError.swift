/// What can go wrong with a request, independent of any protocol; every front-end maps it to its own codes.
package struct SheepError: Error, Hashable, Sendable, CustomStringConvertible {
    package enum Code: UInt32, Hashable, Sendable, CaseIterable {
        case unknown = 1
        case noSuchObject
        case inputOutput
        case volumeExists
        case invalidArgument
        case volumeLocked
        case noSuchVolume
        case noSuchSnapshot
        case snapshotExists
        case notLocked
        case shuttingDown
        case noSpace
        case notFormatted
        case waitingForNodes
        case readOnly
        case tooManyVolumes
        case noSuchAttribute
        case attributeExists
        case alreadyFormatted
        case unavailable
        case busy
        case notSupported
        case versionMismatch
        case noSuchNode
        /// Between sheep: the sender's term, group version, incarnation or boot id is outdated; it catches up and tries again.
        case stale
        /// Between sheep: this sheep is not the volume's owner.
        case notOwner
        /// Between sheep: the receiver holds no node lease just now.
        case noLease
        /// Between sheep: a stored object does not match its checksums and must come from a peer.
        case damaged
        /// The other side does not prove the cluster's key.
        case accessDenied
    }

    package let code: Code
    /// What happened, to which volume or node, and what to do next.
    package let message: String

    package init(_ code: Code, _ message: String) { (self.code, self.message) = (code, message) }
    package var description: String { "\(code): \(message)" }
}

extension SheepError: WireCodable {
    package init(from reader: inout WireReader) throws(WireError) {
        code = Code(rawValue: try reader.read()) ?? .unknown
        message = try reader.readString()
    }

    package func encode(to writer: inout WireWriter) {
        writer.write(code.rawValue)
        writer.write(message)
    }
}
