import NIOCore
import ObjectModel

/// Requests on the cluster.
extension BackingStoreConnection {
    func readVolumeIDs(_ request: RequestHeader, deleted: Bool) {
        backend.whenCurrent { [self] in
            let maps = VolumeIDBitmap.maps(of: backend.allVolumes)
            reply(to: request, with: (deleted ? maps.deleted : maps.inUse).bytes)
        }
    }

    func getClusterDefault(_ request: RequestHeader) {
        var reply = ReplyHeader(to: request, epoch: server.epoch)
        let cluster = backend.cluster
        reply.setClusterDefault(copies: cluster.copies, objectShift: cluster.objectShift)
        completed(request, reply)
    }

    func getNodeList(_ request: RequestHeader) {
        var records = ByteBuffer()
        let nodes = backend.nodes.prefix(Int(request.dataLength) / ClusterRecords.nodeSize)
        for node in nodes { ClusterRecords.write(node, into: &records) }
        reply(to: request, with: records) { $0.nodeCount = UInt32(nodes.count) }
    }

    func statSheep(_ request: RequestHeader) {
        var reply = ReplyHeader(to: request, epoch: server.epoch)
        let space = backend.space
        reply.setSpace(total: space.total, free: space.free)
        completed(request, reply)
    }

    /// The most bytes of epochs in a reply, however much room the client says it has.
    private static var longestListing: Int { 4 << 20 }

    /// The records come with an error as well.
    func statCluster(_ request: RequestHeader) {
        let nodes = Int(min(request.nodesInRecord, UInt32(ClusterRecords.mostNodes)))
        let limit = min(Int(request.dataLength), Self.longestListing)
        guard let records = ClusterRecords.epochs(backend.cluster, nodesInRecord: nodes, limit: limit) else {
            return completed(request, .bufferTooSmall)
        }
        reply(to: request, with: records) { header in
            header.result =
                switch backend.readiness {
                case .serving: .success
                case .waitingForFormat: .waitingForFormat
                case .waitingForNodes: .waitingForJoin
                case .shuttingDown: .shuttingDown
                }
        }
    }

    func getClusterInformation(_ request: RequestHeader) {
        reply(
            to: request,
            with: ClusterRecords.cluster(backend.cluster, nodes: backend.nodes, readiness: backend.readiness))
    }

    /// Of every volume, with its lock: what `dog vdi lock list` shows. The client doubles its buffer until all fit.
    func getVolumeStates(_ request: RequestHeader) {
        backend.whenCurrent { [self] in
            let volumes = backend.allVolumes.sorted { $0.vid < $1.vid }
            let room = min(Int(request.dataLength), Self.longestListing) / ClusterRecords.volumeStateSize
            guard volumes.count <= room else { return completed(request, .bufferTooSmall) }
            let locks = backend.locks
            var records = ByteBufferAllocator().buffer(capacity: volumes.count * ClusterRecords.volumeStateSize)
            for volume in volumes { ClusterRecords.write(volume, lock: locks[volume.vid], into: &records) }
            reply(to: request, with: records)
        }
    }

    func getDiskInformation(_ request: RequestHeader) {
        let space = backend.space
        reply(to: request, with: ClusterRecords.disks(path: space.path, total: space.total, free: space.free))
    }
}
