/// All that can be wrong with a request by its header alone, in one place and in Sheepdog's order: version, opcode, whether
/// the cluster serves, then the lengths. After it the code trusts and asserts.
package enum RequestValidator {
    package enum Verdict: Hashable, Sendable {
        case accepted(Opcode)
        /// The sheep is joining the cluster, or leaves it: a client would take a refusal for an I/O error, and comes back to a sheep that is gone.
        case notYet
        case refused(ResultCode)
    }

    /// - Parameter longestData: The most bytes that the objects of the request's volume take in one request.
    package static func verdict(
        on request: RequestHeader, readiness: SheepdogReadiness, longestData: (RequestHeader) -> Int
    ) -> Verdict {
        let isPublic = request.opcode < Opcode.firstInternal
        guard
            isPublic
                ? request.version <= ProtocolVersion.highestPublic : request.version == ProtocolVersion.exactInternal
        else { return .refused(.versionMismatch) }
        guard let opcode = Opcode(rawValue: request.opcode) else { return .refused(.invalidParameters) }
        switch readiness {
        case .serving: break
        case .shuttingDown where opcode.isInputOutput: return .notYet
        case .shuttingDown where !opcode.isForced: return .refused(.shuttingDown)
        case .waitingForFormat where !opcode.isForced: return .refused(.waitingForFormat)
        case .waitingForNodes where !opcode.isForced: return .notYet
        case .shuttingDown, .waitingForFormat, .waitingForNodes: break
        }
        guard hasValidLength(request, opcode, longestData) else { return .refused(.invalidParameters) }
        return .accepted(opcode)
    }

    /// With a payload, its length; without one, that of the client's buffer.
    private static func hasValidLength(
        _ request: RequestHeader, _ opcode: Opcode, _ longestData: (RequestHeader) -> Int
    ) -> Bool {
        let length = Int(request.dataLength)
        let hasPayload = request.flags.contains(.write)
        switch opcode {
        case .readObject:
            return !hasPayload && length <= longestObject(request, longestData)
        case .createAndWriteObject, .writeObject:
            return (hasPayload || length == 0) && length <= longestObject(request, longestData)
        case .newVolume:
            return hasPayload && length == NamePayload.fieldSize
        case .lockVolume, .getVolumeInformation, .deleteVolume:
            return hasPayload && (length == NamePayload.fieldSize || length == 2 * NamePayload.fieldSize)
        case .releaseVolume:
            // QEMU sends the name, as long as it is.
            return length <= 2 * NamePayload.fieldSize
        case .readVolumeIDs, .readDeletedVolumeIDs:
            return !hasPayload && length == VolumeIDBitmap.size
        case .diskInformation:
            return !hasPayload && length == ClusterRecords.diskInformationSize
        case .clusterInformation:
            return !hasPayload && length == ClusterRecords.clusterSize
        case .getNodeList, .statCluster, .getStoreList, .getVolumeStates:
            return !hasPayload
        case .removeObject, .discardObject, .flushVolume, .getClusterDefault, .statSheep, .statRecovery, .flushDeletedCache,
            .objectExists:
            return !hasPayload || length == 0
        }
    }

    private static func longestObject(_ request: RequestHeader, _ longestData: (RequestHeader) -> Int) -> Int {
        switch request.object.kind {
        case .inode: InodeLayout.size
        case .data: longestData(request)
        // Of no use here: refused later, by what they are.
        case .vmstate, .attribute, .btree, .ledger, nil: 4 << 20
        }
    }
}
