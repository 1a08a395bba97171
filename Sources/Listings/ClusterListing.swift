import ObjectModel
package import SheepProtocol

extension ClusterInformation {
    /// Scripts look for "Cluster status: running" at the very beginning; what only we tell comes when there is
    /// something to tell, or with `-v`, and never in raw output.
    /// With `difference` an epoch tells what changed since the one before it.
    package func lines(raw: Bool, verbose: Bool, difference: Bool = false) -> [String] {
        var lines = [raw ? statusText : "Cluster status: " + statusText]
        guard let format else { return lines }
        if verbose { lines += formatLines(format, raw: raw) }
        if !raw { lines += healthLines(verbose: verbose) }
        lines.append("")
        if !raw {
            lines += ["Cluster created at " + DateText.asCtime(format.createdAt), ""]
            lines.append("Epoch Time           Version [Host:Port:V-Nodes,,,]")
        }
        // Newest first: the one before an epoch comes after it.
        let formers = epochs.dropFirst().map { Optional($0) } + [nil]
        return lines + zip(epochs, formers).map { $0.line($0.texts(since: difference ? $1 : nil), raw: raw) }
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
    /// The members, or what differs from a former epoch.
    fileprivate func texts(since former: EpochRecord?) -> [String] {
        guard let former else { return members.map(\.text) }
        let (now, before) = (Set(members.map(\.text)), Set(former.members.map(\.text)))
        return members.map(\.text).filter { !before.contains($0) }.map { "+" + $0 }
            + former.members.map(\.text).filter { !now.contains($0) }.map { "-" + $0 }
    }

    fileprivate func line(_ texts: [String], raw: Bool) -> String {
        let members = texts.joined(separator: ", ")
        return raw
            ? "\(DateText.unixSeconds(time)) \(epoch) [\(members)]"
            : "\(DateText.seconds(time)) \(epoch.rawValue.padded(6)) [\(members)]"
    }
}

extension EpochMember {
    fileprivate var text: String { "\(host):\(port):\(virtualNodes)" }
}

extension ClusterInformation {
    /// What an operator must know: who is missing, what waits, whether copies are complete.
    fileprivate func healthLines(verbose: Bool) -> [String] {
        waitingLines + redundancyLines + warnings.map { "Warning: " + $0 } + recoveryLines + scrubLines(verbose: verbose)
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
            lines.append("Warning: \(redundancy.unavailableGroups) placement groups can not be written: too few copies")
        }
        return lines
    }

    private var recoveryLines: [String] {
        guard recovery.objectsDone < recovery.objectsTotal else { return [] }
        let percent = oneDecimal(tenths: percentTenths(recovery.objectsDone, of: recovery.objectsTotal))
        return ["Recovery: \(recovery.objectsDone) of \(recovery.objectsTotal) objects (\(percent)%)"]
    }

    private func scrubLines(verbose: Bool) -> [String] {
        var lines: [String] = []
        let unsound = max(scrub.flaws.unsound, scrub.lastPassFlaws.unsound)
        if unsound > 0 { lines.append("Warning: the scrub found \(unsound) objects that it could not make good; 'dog cluster check' names them") }
        guard verbose || scrub.damagedBlocks > scrub.repairedBlocks else { return lines }
        lines.append(
            "Scrub: \(scrub.objectsVerified) of \(scrub.objectsTotal) copies read in this pass, "
                + "\(scrub.damagedBlocks) damaged blocks, \(scrub.repairedBlocks) repaired; \(lastPass)")
        return lines
    }

    private var lastPass: String {
        if scrub.lastPassAt == 0 { return "no pass is complete yet" }
        let time = DateText.seconds(scrub.lastPassAt)
        if scrub.lastPassFlaws == ScrubFlaws() { return "every copy verified, \(scrub.lastPassObjects), at \(time)" }
        return "the last pass read \(scrub.lastPassObjects) copies, at \(time): of its objects \(scrub.lastPassFlaws.text)"
    }
}
