package import SheepProtocol

extension [NodeRecord] {
    /// `dog node list`. Programs that read the raw lines take each for a sheep that serves.
    package func listing(raw: Bool) -> [String] {
        (raw ? [] : ["  Id   Host:Port         V-Nodes       Zone"])
            + enumerated().filter { !raw || ![.down, .removed].contains($1.state) }.map { $1.line(number: $0, raw: raw) }
    }
}

extension NodeRecord {
    package var address: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }

    /// Sheepdog's columns; for people the state follows where it is another than up.
    fileprivate func line(number: Int, raw: Bool) -> String {
        let line = raw
            ? "\(number) \(address) \(virtualNodes) \(zone)"
            : number.padded(4) + "   " + address.padded(right: 20) + "\t" + virtualNodes.padded(2) + zone.padded(11)
        return raw || state == .up ? line : line + "  " + state.text
    }
}

extension NodeState {
    package var text: String {
        switch self {
        case .up: "up"
        case .down: "down"
        case .syncing: "syncing"
        case .leaving: "leaving"
        case .removed: "removed"
        }
    }
}
