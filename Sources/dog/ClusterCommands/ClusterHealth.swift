import ObjectModel
import SheepProtocol

extension ClusterInformation {
    /// What an operator must know: who is missing, what waits, whether copies are complete.
    func healthLines(verbose: Bool) -> [String] {
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

    var json: JSON {
        .object([
            ("status", .string(statusName)),
            ("format", format?.json ?? .null),
            ("epochs", .array(epochs.map(\.json))),
            ("waitingFor", .strings(waitingFor)),
            ("waitingRequests", .number(waitingRequests)),
            ("redundancy", redundancy.json),
            ("scrub", scrub.json),
            ("recovery", recovery.json),
        ])
    }

    private var statusName: String {
        switch status {
        case .running: "running"
        case .waitingForFormat: "waitingForFormat"
        case .waitingForNodes: "waitingForNodes"
        case .shuttingDown: "shuttingDown"
        }
    }
}

extension FormatRecord {
    fileprivate var json: JSON {
        .object([
            ("cluster", .string(cluster.description)),
            ("createdAt", .number(createdAt / 1_000_000_000)),
            ("copies", .number(copies)),
            ("objectShift", .number(objectShift)),
            ("flags", .number(flags)),
        ])
    }
}

extension EpochRecord {
    fileprivate var json: JSON {
        .object([
            ("epoch", .number(epoch.rawValue)),
            ("time", .number(time / 1_000_000_000)),
            ("members", .array(members.map(\.json))),
        ])
    }
}

extension EpochMember {
    fileprivate var json: JSON {
        .object([("host", .string(host)), ("port", .number(port)), ("virtualNodes", .number(virtualNodes))])
    }
}

extension RedundancyState {
    fileprivate var json: JSON {
        .object([
            ("zones", .number(zones)),
            ("largestCopies", .number(largestCopies)),
            ("degradedGroups", .number(degradedGroups)),
            ("unavailableGroups", .number(unavailableGroups)),
        ])
    }
}

extension ScrubState {
    fileprivate var json: JSON {
        .object([
            ("objectsVerified", .number(objectsVerified)),
            ("damagedBlocks", .number(damagedBlocks)),
            ("repairedBlocks", .number(repairedBlocks)),
            ("lastPassAt", .number(lastPassAt / 1_000_000_000)),
        ])
    }
}

extension RecoveryTotals {
    var json: JSON {
        .object([
            ("objectsDone", .number(objectsDone)),
            ("objectsTotal", .number(objectsTotal)),
            ("bytesDone", .number(bytesDone)),
            ("bytesTotal", .number(bytesTotal)),
            ("objectsExamined", .number(objectsExamined)),
            ("objectsFetched", .number(objectsFetched)),
        ])
    }
}
