import Cluster
import Logging
import ObjectModel
import ObjectStore
import SheepProtocol

extension SheepNode {
    /// The members of the cluster by address; their place in this list is the number that `dog` shows. A removed one stays
    /// in it as long as it runs or anything is still only there.
    func nodeList() -> [(row: NodeRow, record: SheepProtocol.NodeRecord)] {
        let rows = control.state.nodes.values.filter { !$0.isRemoved || $0.isUp || hasShare($0) }
            .sorted { ($0.address.host, $0.address.port) < ($1.address.host, $1.address.port) }
        return rows.map { row in
            let record = SheepProtocol.NodeRecord(
                node: row.id, host: row.address.host, port: row.address.port, virtualNodes: virtualNodes(of: row),
                zone: row.zone, state: state(of: row), isGateway: row.isGateway)
            return (row, record)
        }
    }

    private func virtualNodes(of row: NodeRow) -> UInt16 {
        if row.isGateway { return 0 }
        let placed = control.state.epochs.last?.members.first { $0.node == row.id }?.virtualNodes
        return UInt16(clamping: placed ?? UInt32(row.virtualNodes ?? 128))
    }

    private func state(of row: NodeRow) -> NodeState {
        guard row.isUp else { return .down }
        if row.isRemoved { return hasShare(row) ? .leaving : .removed }
        let isComplete = row.diskIDs.allSatisfy { control.state.isInSync($0) }
        return isComplete || control.state.cluster == nil ? .up : .syncing
    }

    /// Some group counts on the node: it is placed, or holds what others have not got yet.
    private func hasShare(_ row: NodeRow) -> Bool {
        let state = control.state
        return state.epochs.last?.members.contains { $0.node == row.id } ?? false
            || row.diskIDs.contains { state.disks[$0]?.isHolding ?? false }
    }

    var report: NodeReport {
        var report = NodeReport(waitingRequests: UInt64(waitingRequests), isRecovering: !recovery.isIdle)
        if let store, let space = try? store.space() {
            // As Sheepdog has it: what the objects take and what is free. The file system may be shared with others, and
            // objects may have holes.
            (report.size, report.free) = (min(store.objectBytes, space.total - space.free) + space.free, space.free)
        }
        let progress = recovery.progress
        report.recovery = RecoveryTotals(
            objectsDone: progress.done, objectsTotal: progress.total, bytesDone: progress.fetchedBytes,
            bytesTotal: progress.fetchedBytes, objectsExamined: progress.done, objectsFetched: progress.fetchedObjects)
        if store != nil { report.scrub = scrubber.state }
        report.warnings = diskWarnings
        return report
    }

    private var diskWarnings: [String] {
        guard let store else { return [] }
        if store.hasFailed { return ["the disk of \(name) failed; replace it, then start the sheep anew"] }
        if recovery.waitsForSpace { return ["\(name) is nearly full: it takes no copies that it should have; make space or add disks"] }
        return store.isNearlyFull ? ["\(name) is nearly full"] : []
    }

    func nodeSpace(_ completion: @escaping AdministrationCompletion) {
        askAll(.nodeReport, as: NodeReport.self) { [self] answers in
            var nodes: [NodeSpace] = []
            for (number, entry) in nodeList().enumerated()
            where !entry.row.isGateway && entry.record.state != .removed {
                guard let report = entry.row.id == identity ? self.report : answers[entry.row.id] else { continue }
                nodes.append(
                    NodeSpace(
                        number: UInt32(number), size: report.size, used: report.size - min(report.free, report.size),
                        available: report.free))
            }
            // Sparse volumes may have more than 2^64 bytes together.
            let virtualSize = control.state.volumes.filter { !$0.isFrozen && !$0.isDeleted }.reduce(UInt64(0)) { sum, volume in
                let (next, overflows) = sum.addingReportingOverflow(volume.size)
                return overflows ? .max : next
            }
            completion(.success(.space(SpaceReport(nodes: nodes, virtualSize: virtualSize))))
        }
    }

    /// Nodes that recover now, and those whose last recovery is worth telling.
    func nodeRecovery(_ completion: @escaping AdministrationCompletion) {
        askAll(.nodeReport, as: NodeReport.self) { [self] answers in
            var recoveries: [NodeRecovery] = []
            for (number, entry) in nodeList().enumerated() {
                guard let report = entry.row.id == identity ? self.report : answers[entry.row.id], report.isRecovering else { continue }
                recoveries.append(NodeRecovery(number: UInt32(number), record: entry.record, totals: report.recovery))
            }
            completion(.success(.recovery(recoveries)))
        }
    }

    func kill(_ target: NodeID, _ completion: @escaping AdministrationCompletion) {
        if target == identity {
            completion(.success(.done))
            clock.schedule(after: NodeTiming.retry) { [weak self] in self?.end(.stopped) }
            return
        }
        guard control.state.nodes[target]?.isUp == true else {
            return completion(.failure(SheepError(.noSuchNode, "node \(target) is not up")))
        }
        network.send(.endProcess, body: [], payload: nil, to: target) { result in
            completion(result.map { _ in .done })
        }
    }

    func remove(_ target: NodeID, givesUp: Bool, _ completion: @escaping AdministrationCompletion) {
        let state = control.state
        let isAwaited = state.disks.values.contains { $0.node == target && $0.isHolding }
        guard let record = state.nodes[target], record.isRemoved, !record.isUp, isAwaited else {
            return propose(.nodeOut(target, byOperator: true), completion) { _ in .done }
        }
        guard givesUp else { return completion(.success(.risk(recoveryRisk(of: state.opening(abandoning: target))))) }
        logger.warning("an operator gives up what only node \(record.address) has")
        propose(.giveUpNode(target), completion) { _ in .done }
    }

    var statistics: NodeStatistics {
        var statistics = NodeStatistics(client: RequestCounters(), peer: RequestCounters())
        let counters = replica.counters
        statistics.peer.writes = counters.changes
        statistics.peer.reads = counters.reads
        statistics.peer.flushes = counters.flushes
        statistics.peer.total = counters.changes + counters.reads + counters.flushes
        if let stored = store?.statistics {
            statistics.peer.bytesRead = stored.readBytes
            statistics.peer.bytesWritten = stored.writtenBytes
            statistics.peer.removes = stored.removes
        }
        statistics.client = requests
        statistics.client.active = UInt64(waitingRequests)
        return statistics
    }
}
