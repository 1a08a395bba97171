import ObjectModel
package import SheepProtocol

extension RecoveryRisk {
    /// `dog cluster recover force`, before it asks. Raw: a line for each volume.
    package func lines(raw: Bool) -> [String] {
        if raw { return volumes.map(\.rawLine) }
        if waitingGroups == 0 { return ["Nothing waits: every placement group has a current copy."] }
        var lines = ["\(waitingGroups) of \(PlacementGroup.count) placement groups have no current copy."]
        if !absent.isEmpty { lines += ["Newer copies than those that are up have:"] + absent.map { "  " + $0.text } }
        if givesUpData { lines.append("Without them:") }
        lines += fateLines
        if !volumes.isEmpty { lines += ["", VolumeRisk.heading] + volumes.map(\.line) }
        if givesUpData { lines += [""] + consequences }
        return lines
    }

    private var fateLines: [String] {
        [
            (olderGroups, "go back to an older copy: what was written since is lost"),
            (lostGroups, "are lost: no sheep that is up ever had all of them, and what is not there reads as zeros"),
            (closedGroups, "stay closed: none of their sheep is up; 'dog node remove' the dead ones first"),
            (openingGroups, "open by themselves in a moment: a sheep with a current copy is back"),
        ].filter { $0.0 > 0 }.map { "\($0.0.padded(7)) groups \($0.1)" }
    }

    private var consequences: [String] {
        [
            "Sheep that return are made equal to what is served then.",
            "Writes wait for half of the copies: until sheep have caught up, or the dead ones are taken out by 'dog node remove'.",
            "Start clients of these volumes anew: what they remember is newer than what they would read.",
        ]
    }
}

extension AbsentNode {
    fileprivate var text: String {
        let address = host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
        return address + (downSince.map { " (down since entry \($0))" } ?? " (its disk is gone)")
    }
}

extension VolumeRisk {
    fileprivate static let heading = "  Name        Id  VDI id   Objects     Older      Lost    Closed  Tag"

    private var flag: String { isSnapshot ? "s" : "=" }

    fileprivate var line: String {
        let counts = [objects, older, lost, closed].map { $0.padded(9) }.joined(separator: " ")
        let line = "\(isSnapshot ? "s" : " ") \(name.padded(right: 8)) \(snapshotID.padded(5)) \(vid.rawValue.hexadecimal(7)) \(counts)"
        return tag.isEmpty ? line : line + "  " + tag
    }

    fileprivate var rawLine: String {
        [flag, name.escapedName, String(snapshotID), vid.description, String(objects), String(older), String(lost), String(closed), tag]
            .joined(separator: " ")
    }
}
