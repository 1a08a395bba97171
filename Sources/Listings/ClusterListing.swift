import ObjectModel
package import SheepProtocol

extension ClusterInformation {
    /// Scripts look for "Cluster status: running" at the very beginning; what only we tell comes when there is
    /// something to tell, or with `-v`, and never in raw output.
    package func lines(raw: Bool, verbose: Bool) -> [String] {
        var lines = [raw ? statusText : "Cluster status: " + statusText]
        guard let format else { return lines }
        if verbose { lines += formatLines(format, raw: raw) }
        if !raw { lines += healthLines(verbose: verbose) }
        lines.append("")
        if !raw {
            lines += ["Cluster created at " + DateText.asCtime(format.createdAt), ""]
            lines.append("Epoch Time           Version [Host:Port:V-Nodes,,,]")
        }
        return lines + epochs.map { $0.line(raw: raw) }
    }

    private var statusText: String {
        switch status {
        case .running: "running, auto-recovery enabled"
        case .waitingForFormat: "Waiting for cluster to be formatted"
        case .waitingForNodes: "Waiting for other nodes to join cluster"
        case .shuttingDown: "System is shutting down"
        }
    }

    private func formatLines(_ format: FormatRecord, raw: Bool) -> [String] {
        let strategy = format.flags & ClusterFlags.automaticVirtualNodes != 0 ? "auto" : "fixed"
        let mode = format.flags & ClusterFlags.diskMode != 0 ? "disk" : "node"
        let store = raw ? "plain \(format.copies)" : "Cluster store: plain with \(format.copies) redundancy policy"
        return [
            store, (raw ? "" : "Cluster vnodes strategy: ") + strategy, (raw ? "" : "Cluster vnode mode: ") + mode,
        ]
    }
}

extension EpochRecord {
    fileprivate func line(raw: Bool) -> String {
        let members = members.map { "\($0.host):\($0.port):\($0.virtualNodes)" }.joined(separator: ", ")
        return raw
            ? "\(DateText.unixSeconds(time)) \(epoch) [\(members)]"
            : "\(DateText.seconds(time)) \(epoch.rawValue.padded(6)) [\(members)]"
    }
}

extension ClusterInformation {
    /// What an operator must know: who is missing, what waits, whether copies are complete.
    fileprivate func healthLines(verbose: Bool) -> [String] {
        waitingLines + redundancyLines + recoveryLines + scrubLines(verbose: verbose)
    }

    private var waitingLines: [String] {
        waitingFor.map { "Waiting for: \($0)" }
            + (waitingRequests > 0 ? ["Waiting requests: \(waitingRequests)"] : [])
    }

    private var redundancyLines: [String] {
        var lines: [String] = []
        if redundancy.zones < UInt32(redundancy.largestCopies) {
            lines.append(
                "Warning: \(redundancy.largestCopies) copies are asked for, but nodes are in \(redundancy.zones) "
                    + "zone\(redundancy.zones == 1 ? "" : "s") only: there are \(redundancy.zones) copies")
        }
        if redundancy.degradedGroups > 0 {
            lines.append("Warning: \(redundancy.degradedGroups) placement groups lack copies")
        }
        if redundancy.unavailableGroups > 0 {
            lines.append("Warning: \(redundancy.unavailableGroups) placement groups can not be written: too few nodes")
        }
        return lines
    }

    private var recoveryLines: [String] {
        guard recovery.objectsDone < recovery.objectsTotal else { return [] }
        let percent = oneDecimal(tenths: percentTenths(recovery.objectsDone, of: recovery.objectsTotal))
        return ["Recovery: \(recovery.objectsDone) of \(recovery.objectsTotal) objects (\(percent)%)"]
    }

    private func scrubLines(verbose: Bool) -> [String] {
        guard verbose || scrub.damagedBlocks > scrub.repairedBlocks else { return [] }
        let last = scrub.lastPassAt == 0 ? "none complete yet" : "last complete " + DateText.seconds(scrub.lastPassAt)
        return [
            "Scrub: \(scrub.objectsVerified) objects verified, \(scrub.damagedBlocks) damaged blocks, "
                + "\(scrub.repairedBlocks) repaired, \(last)"
        ]
    }
}
