import Cluster
import ObjectModel
import SheepProtocol

extension SheepNode {
    func format(_ format: ClusterFormat, _ completion: @escaping AdministrationCompletion) {
        let order = ControlCommand.Format(
            cluster: ClusterID(high: random(), low: random()), copies: format.copies, objectShift: format.objectShift,
            flags: format.flags, force: format.force)
        propose(.format(order), completion) { _ in .done }
    }

    func clusterInformation(_ completion: @escaping AdministrationCompletion) {
        askAll(.nodeReport, as: NodeReport.self) { [self] answers in
            let state = control.state
            let reports = Array(answers.values) + [report]
            var information = ClusterInformation(status: clusterStatus)
            if let cluster = state.cluster {
                information.format = FormatRecord(
                    cluster: cluster.id, createdAt: cluster.createdAt, copies: cluster.copies,
                    objectShift: cluster.objectShift, flags: cluster.flags)
                information.redundancy = redundancy
            }
            information.epochs = state.epochs.reversed().map { epoch in
                SheepProtocol.EpochRecord(
                    epoch: epoch.epoch, time: epoch.time,
                    members: epoch.members.map {
                        EpochMember(host: $0.address.host, port: $0.address.port, virtualNodes: UInt16(clamping: $0.virtualNodes))
                    })
            }
            information.waitingFor = waitedFor
            information.waitingRequests = reports.reduce(0) { $0 + $1.waitingRequests }
            for report in reports {
                information.recovery.add(report.recovery)
                information.scrub.add(report.scrub)
                information.warnings += report.warnings
            }
            // The oldest pass speaks for all; a disk that has none yet, for none.
            let passes = answers.filter { !(state.nodes[$0.key]?.isGateway ?? true) }.map(\.value.scrub.lastPassAt)
            information.scrub.lastPassAt = (store == nil ? passes : passes + [report.scrub.lastPassAt]).min() ?? 0
            information.warnings.sort()
            if !state.closedGroups.absentNodes.isEmpty { information.warnings.append(Self.recoverHint) }
            completion(.success(.cluster(information)))
        }
    }

    private static var recoverHint: String {
        "if those that are waited for never return: 'dog cluster recover force' tells what is lost, asks, and goes on without them"
    }

    private var clusterStatus: ClusterStatus {
        let state = control.state
        if state.cluster == nil { return .waitingForFormat }
        if state.isShutDown { return .shuttingDown }
        return isServing && !state.closedGroups.hasAny ? .running : .waitingForNodes
    }

    /// Nodes without which some group cannot serve, or cannot be written.
    var waitedFor: [String] {
        let state = control.state
        guard state.cluster != nil else { return [] }
        if !isServing { return ["this sheep to join"] }
        let closed = state.closedGroups
        if closed.hasAny {
            let absent = closed.absentNodes.compactMap { state.nodes[$0] }
            return absent.isEmpty ? ["placement groups to open"] : absent.map { waitText($0, "") }
        }
        guard groupHealth(copies: state.copiesInUse).notWritable > 0 else { return [] }
        let absent = state.nodes.values.filter { !$0.isUp && !$0.isRemoved && !$0.isGateway }.sorted { $0.id < $1.id }
        let behind = state.nodes.values.filter { node in node.isUp && !node.isGateway && node.diskIDs.contains { !state.isInSync($0) } }
            .sorted { $0.id < $1.id }
        return absent.map { waitText($0, ": there are too few copies to write") }
            + behind.map { "\($0.address) to catch up: there are too few copies to write" }
    }

    private func waitText(_ node: Cluster.NodeRecord, _ why: String) -> String {
        "\(node.address) (down since entry \(node.downSince?.description ?? "?"))\(why)"
    }

    private var redundancy: RedundancyState {
        let state = control.state
        var redundancy = RedundancyState()
        redundancy.largestCopies = max(state.copiesInUse.largest, state.cluster?.copies ?? 0)
        redundancy.zones = UInt32(state.zones)
        let health = groupHealth(copies: state.copiesInUse)
        redundancy.degradedGroups = UInt32(health.degraded)
        redundancy.unavailableGroups = UInt32(health.notWritable)
        return redundancy
    }

    /// First every sheep gives its leases back, with everything on all members; then the log says so, and each ends. A lease
    /// that was on its way meanwhile makes it try again.
    func shutdownCluster(_ completion: @escaping AdministrationCompletion) {
        shutdownCluster(until: clock.now() + NodeTiming.shutdownTry, completion)
    }

    private func shutdownCluster(until end: UInt64, _ completion: @escaping AdministrationCompletion) {
        let again = { [weak self] (error: SheepError) in
            guard let self, clock.now() < end else {
                return completion(.failure(SheepError(error.code, "\(error.message); see 'dog cluster info', or stop the sheep by SIGTERM")))
            }
            clock.schedule(after: NodeTiming.tick) { [weak self] in self?.shutdownCluster(until: end, completion) }
        }
        askAll(.releaseLeases, as: Nothing.self) { [self] _ in
            beginReleasing()
            releaseAll {}
            control.propose(.shutdown) { result in
                switch result {
                case .refused(let error) where error.code == .busy: again(error)
                case .refused(let error): completion(.failure(error))
                case .done, .lease, .volume: completion(.success(.done))
                }
            }
        }
    }
}

extension RecoveryTotals {
    mutating func add(_ other: RecoveryTotals) {
        objectsDone += other.objectsDone
        objectsTotal += other.objectsTotal
        bytesDone += other.bytesDone
        bytesTotal += other.bytesTotal
        objectsExamined += other.objectsExamined
        objectsFetched += other.objectsFetched
    }
}

extension ScrubState {
    /// All but the time of the last pass.
    mutating func add(_ other: ScrubState) {
        objectsVerified += other.objectsVerified
        objectsTotal += other.objectsTotal
        damagedBlocks += other.damagedBlocks
        repairedBlocks += other.repairedBlocks
        lastPassObjects += other.lastPassObjects
        flaws.add(other.flaws)
        lastPassFlaws.add(other.lastPassFlaws)
    }
}
