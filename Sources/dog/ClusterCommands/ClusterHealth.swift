import Listings
import ObjectModel
import SheepProtocol

extension ClusterInformation {
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
            ("warnings", .strings(warnings)),
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
            ("objectsTotal", .number(objectsTotal)),
            ("damagedBlocks", .number(damagedBlocks)),
            ("repairedBlocks", .number(repairedBlocks)),
            ("lastPassAt", .number(lastPassAt / 1_000_000_000)),
            ("lastPassObjects", .number(lastPassObjects)),
            ("unsound", .number(flaws.unsound)),
            ("incomplete", .number(flaws.incomplete)),
            ("lastPassUnsound", .number(lastPassFlaws.unsound)),
            ("lastPassIncomplete", .number(lastPassFlaws.incomplete)),
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
